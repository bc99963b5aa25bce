#include "core/login_throttle.h"

#include <algorithm>
#include <string>

#include "xmpp/base/hash.h"

namespace xmppd {
namespace {

std::uint64_t account_hash(const LoginThrottle::Attempt& attempt) noexcept {
  const auto& key = xmpp::process_hash_key();
  return xmpp::siphash64(key, attempt.username) ^ (xmpp::siphash64(key, attempt.host) << 1U);
}

bool has_room(const std::atomic<std::int64_t>& place, std::size_t limit, xmpp::Duration decay,
              xmpp::Instant now) noexcept {
  if (limit == 0) return true;
  const auto debt = place.load(std::memory_order_relaxed) - now.time_since_epoch().count();
  return debt <= static_cast<std::int64_t>(limit - 1) * decay.count();
}

void charge(std::atomic<std::int64_t>& place, std::size_t limit, xmpp::Duration decay,
            xmpp::Instant now) noexcept {
  if (limit == 0) return;
  const auto at = now.time_since_epoch().count();
  // However many were under way at once: the wait is never longer than from a full count.
  const auto most = at + static_cast<std::int64_t>(limit) * decay.count();
  auto before = place.load(std::memory_order_relaxed);
  std::int64_t after = 0;
  do {
    after = std::min(std::max(before, at) + decay.count(), most);
  } while (!place.compare_exchange_weak(before, after, std::memory_order_relaxed));
}

}  // namespace

bool LoginThrottle::is_open(const Attempt& attempt, const Limits& limits,
                            xmpp::Instant now) const noexcept {
  const auto decay = limits.auth_failures_decay;
  const auto& account = (*accounts_)[account_hash(attempt) % kPlaces];
  if (!has_room(account, limits.auth_failures_per_account, decay, now)) return false;
  const auto& address = (*addresses_)[attempt.address % kPlaces];
  return attempt.is_loopback || has_room(address, limits.auth_failures_per_address, decay, now);
}

void LoginThrottle::note_failure(const Attempt& attempt, const Limits& limits,
                                 xmpp::Instant now) noexcept {
  const auto decay = limits.auth_failures_decay;
  charge((*accounts_)[account_hash(attempt) % kPlaces], limits.auth_failures_per_account, decay,
         now);
  if (attempt.is_loopback) return;
  charge((*addresses_)[attempt.address % kPlaces], limits.auth_failures_per_address, decay, now);
}

}  // namespace xmppd
