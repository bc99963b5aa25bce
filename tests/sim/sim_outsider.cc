#include "sim/sim_outsider.h"

#include <algorithm>

#include "core/address_table.h"

namespace sim {
namespace {

constexpr std::string_view kAccount = "outsider";
// So many that none is tried again before it is forgiven.
constexpr std::size_t kNobodies = 64;
// In which an answer comes, over the connections of this part.
constexpr Duration kWait = std::chrono::milliseconds(2'500);

// On which two addresses fall together (xmppd/core/login_throttle.h).
std::uint32_t place_of(const std::string& address) {
  constexpr std::uint32_t kPlaces = 16'384;
  return xmppd::AddressTable::key_of(address) % kPlaces;
}

// Shares its place with none of those that Strangers use.
std::string find_lone_address() {
  for (int i = 1;; ++i) {
    auto address = "203.0.113." + std::to_string(i) + ":4000";
    bool is_shared = false;
    for (int other = 1; other < 20; ++other) {
      const auto place = place_of("198.51.100." + std::to_string(other) + ":4000");
      is_shared = is_shared || place == place_of(address);
    }
    if (!is_shared) return address;
  }
}

}  // namespace

Outsider::Outsider(const Stage& stage)
    : stage_(stage), loop_(stage.world.make_reactor()), address_(find_lone_address()) {
  stage_.world.reserve_address(address_);
  stage_.world.add_account(std::string(kAccount) + "@localhost");
  for (std::size_t i = 0; i < kNobodies; ++i) {
    nobodies_.push_back(stage_.world.find_lone_name("outlaw"));
  }
}

void Outsider::act() {
  if (peer_ == nullptr) {
    attempt();
  } else if (peer_->saw("<success") || peer_->saw("<not-authorized") ||
             peer_->saw("<temporary-auth-failure") || stage_.world.now() - sent_at_ > kWait) {
    judge();
    peer_.reset();
  }
}

void Outsider::attempt() {
  is_right_ = stage_.pick(3) == 0;
  is_elsewhere_ = is_right_ && stage_.pick(2) == 0;
  sent_at_ = stage_.world.now();
  peer_ = std::make_unique<RawPeer>(stage_.world, loop_, LinkQuality{},
                                    is_elsewhere_ ? std::string() : address_);
  peer_->write(raw_header() + (is_right_
                                   ? raw_auth(std::string(kAccount), kPassword)
                                   : raw_auth(nobodies_[next_nobody_++ % kNobodies], "guess")));
}

void Outsider::judge() {
  const auto& limits = stage_.limits.server;
  const auto now = stage_.world.now();
  stage_.transcript.add(now, "outsider", peer_->seen());
  const bool is_shut = peer_->saw("<temporary-auth-failure");
  const bool is_wrong = peer_->saw("<not-authorized");
  // At a full count this is what has yet to be forgiven.
  const auto full =
      static_cast<Duration::rep>(limits.auth_failures_per_address - 1) * limits.auth_failures_decay;
  const bool may_be_open = is_elsewhere_ || forgiven_from_ - now <= full;
  const bool may_be_shut = !is_elsewhere_ && forgiven_until_ - sent_at_ > full;
  const bool is_answered = is_shut || (is_right_ ? peer_->saw("<success") : is_wrong);
  if (!stage_.has_faults &&
      (!is_answered || (is_shut && !may_be_shut) || (!is_shut && !may_be_open))) {
    stage_.fail(std::string("who gave a ") + (is_right_ ? "right" : "wrong") +
                " password from an address that " + (may_be_open ? "may" : "may not") +
                " try saw " + peer_->seen());
  }
  if (!is_wrong) return;
  const auto most =
      static_cast<Duration::rep>(limits.auth_failures_per_address) * limits.auth_failures_decay;
  const auto charge = [&](Instant before, Instant at) {
    return std::min(std::max(before, at) + limits.auth_failures_decay, at + most);
  };
  forgiven_from_ = charge(forgiven_from_, sent_at_);
  forgiven_until_ = charge(forgiven_until_, now);
}

// Nobody has counted what was under way.
void Outsider::on_crash() {
  peer_.reset();
  forgiven_from_ = forgiven_until_ = Instant{};
}

}  // namespace sim
