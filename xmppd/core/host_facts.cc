#include "core/host_facts.h"

#include <chrono>
#include <string>

#include "xmpp/base/hash.h"

namespace xmppd {
namespace {
constexpr xmpp::Duration kRefreshEvery = std::chrono::minutes(1);
constexpr std::size_t kSample = 3'000;  // keys: bounded work for a host of any size
}  // namespace

xmpp::sasl::ScramHashSet HostFacts::common_hashes() const noexcept {
  xmpp::sasl::ScramHashSet set;
  const auto bits = hash_bits_.load(std::memory_order_relaxed);
  for (auto hash : xmpp::sasl::kScramHashes) {
    if ((bits >> static_cast<unsigned>(hash) & 1U) != 0) set.add(hash);
  }
  return set;
}

std::uint32_t HostFacts::fake_iterations(const xmpp::Secret& secret, std::string_view username,
                                         std::uint32_t fallback) const {
  // A place among all keys that depends on the name and on what nobody else knows.
  xmpp::HashKey key{};
  key.k0 = xmpp::siphash64(key, secret.reveal());
  key.k1 = ~key.k0;
  const std::uint64_t place = xmpp::siphash64(key, username);
  const std::lock_guard lock(mutex_);
  std::uint64_t all = 0;
  for (const auto& count : counts_) all += count.keys;
  if (all == 0) return fallback;
  // In thousandths, so that one more account does not move every name.
  const std::uint64_t wanted = place % 1'000;
  std::uint64_t passed = 0;
  for (const auto& count : counts_) {
    passed += count.keys;
    if (wanted * all < passed * 1'000) return count.iterations;
  }
  return counts_.back().iterations;
}

void HostFacts::set(xmpp::sasl::ScramHashSet common, std::vector<IterationCount> counts) {
  std::uint8_t bits = 0;
  for (auto hash : xmpp::sasl::kScramHashes) {
    if (common.has(hash)) bits |= static_cast<std::uint8_t>(1U << static_cast<unsigned>(hash));
  }
  hash_bits_.store(bits, std::memory_order_relaxed);
  const std::lock_guard lock(mutex_);
  counts_ = std::move(counts);
}

bool HostFacts::claim_refresh(xmpp::Instant now) noexcept {
  const auto us = now.time_since_epoch().count();
  auto due = next_refresh_us_.load(std::memory_order_relaxed);
  return us >= due && next_refresh_us_.compare_exchange_strong(due, us + kRefreshEvery.count(),
                                                               std::memory_order_relaxed);
}

StorageResult<HostFactsRecord> load_host_facts(Tx& tx, const std::string& host) {
  auto hashes = tx.accounts().common_hashes(host);
  if (!hashes) return xmpp::Err(hashes.error());
  auto counts = tx.accounts().iteration_counts(host, kSample);
  if (!counts) return xmpp::Err(counts.error());
  return HostFactsRecord{*hashes, std::move(*counts)};
}

}  // namespace xmppd
