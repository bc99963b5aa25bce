#include "sim/sim_fleet.h"

#include <algorithm>

#include "core/activation.h"

namespace sim {

using xmpp::Jid;
using xmpp::Stanza;

namespace {

constexpr std::size_t kClients = 4;
// In which everything has arrived, over the connections of this part.
constexpr Duration kWait = std::chrono::milliseconds(700);
// Whose modules were replaced meanwhile are looked up first.
constexpr Duration kSoon = 2 * xmppd::kActivationRetry;
constexpr Duration kLate = std::chrono::milliseconds(3'000);
// Who comes back after that certainly is too late, before the other certainly is not
// (resume_window is 2 s; an account whose modules were just replaced is looked up first).
constexpr Duration kTooLate = std::chrono::milliseconds(2'200) + xmppd::kActivationRetry;
constexpr Duration kInTime = std::chrono::milliseconds(1'800);

}  // namespace

Fleet::Fleet(const Stage& stage, std::uint64_t seed) : stage_(stage) {
  stage_.world.add_account("fleet@localhost");
  for (std::size_t i = 0; i < kClients; ++i) {
    auto courier = std::make_unique<Courier>(
        stage_.world, stage_.transcript, "f" + std::to_string(i),
        Jid::from_prepared("fleet@localhost/r" + std::to_string(i)), true, seed * 100 + 80 + i);
    courier->on_stanza = [](Courier&, const Stanza&) {};
    courier->on_acknowledged = [](Courier&, const std::string&) {};
    courier->on_fresh_stream = [this](Courier&) { ++fresh_; };
    couriers_.push_back(std::move(courier));
  }
}

void Fleet::next(Phase phase, Duration in) {
  phase_ = phase;
  next_at_ = stage_.world.now() + in;
}

std::size_t Fleet::count_bound() const {
  return static_cast<std::size_t>(std::count_if(couriers_.begin(), couriers_.end(),
                                                [](const auto& one) { return one->is_bound(); }));
}

void Fleet::act() {
  if (stage_.world.now() < next_at_) return;
  switch (phase_) {
    case Phase::away:
      connect_all();
      next(Phase::there, kWait);
      break;
    case Phase::there:
      if (count_bound() != kClients) {
        if (!stage_.has_faults) stage_.fail("not all clients of the fleet got in");
        next(Phase::away, kWait);
      } else {
        break_off();
        next(Phase::broken, stage_.pick(3) == 0 ? kLate : kSoon);
      }
      break;
    case Phase::broken:
      fresh_ = 0;
      back_at_ = stage_.world.now();
      connect_all();
      next(Phase::back, kWait);
      break;
    case Phase::back:
      judge();
      next(Phase::there, kWait);
      break;
  }
}

void Fleet::connect_all() {
  for (auto& courier : couriers_) {
    if (!courier->is_connected()) courier->connect(LinkQuality{});
  }
}

void Fleet::break_off() {
  is_disturbed_ = stage_.has_faults;
  broken_at_ = stage_.world.now();
  reloads_ = stage_.world.reloads;
  for (auto& courier : couriers_) courier->cut();
}

void Fleet::judge() {
  const Duration away = back_at_ - broken_at_;
  const std::size_t resumed = count_bound() - std::min(fresh_, count_bound());
  const std::size_t allowed = away >= kTooLate ? 0 : stage_.limits.detached;
  // Each time that modules are replaced the account is read again before a session can end.
  if (stage_.world.reloads != reloads_) return;
  if (is_disturbed_ || (away > kInTime && away < kTooLate) ||
      (resumed == allowed && fresh_ + allowed == kClients))
    return;
  stage_.fail(std::to_string(resumed) + " clients of the fleet took up their streams, " +
              std::to_string(fresh_) + " made new ones; " + std::to_string(allowed) +
              " may wait for their clients");
}

void Fleet::on_crash() {
  next(Phase::away, kWait);
}

void Fleet::leave() {
  for (auto& courier : couriers_) {
    if (courier->is_bound()) courier->leave();
  }
}

}  // namespace sim
