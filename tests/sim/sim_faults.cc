#include "sim/sim_faults.h"

namespace sim {

namespace {

// Of so many acts of the workload one begins such a fault.
constexpr std::uint64_t kStallOneIn = 60;
constexpr std::uint64_t kFailOneIn = 400;
constexpr std::uint64_t kKillOneIn = 1'000;
constexpr std::uint64_t kCrashOneIn = 300;
constexpr std::uint64_t kStallMilliseconds = 120;
constexpr std::uint64_t kFailMilliseconds = 200;
constexpr std::uint64_t kFailingWrites = 12;  // one in so many
constexpr std::uint64_t kCrashOperations = 60;

Duration milliseconds(std::uint64_t count) {
  return std::chrono::milliseconds(count);
}

}  // namespace

void Faults::act() {
  const auto now = world_.now();
  if (is_failing_ && now >= failing_until_) {
    disk_.fail(0);
    is_failing_ = false;
  }
  if (rng_.below(kStallOneIn) == 0) {
    ++stalls_;
    world_.stall_storage(now + milliseconds(rng_.below(kStallMilliseconds)));
  }
  if (!is_failing_ && rng_.below(kFailOneIn) == 0) {
    ++failures_;
    is_failing_ = true;
    failing_until_ = now + milliseconds(rng_.below(kFailMilliseconds));
    disk_.fail(kFailingWrites);
  }
  if (rng_.below(kKillOneIn) == 0) {
    ++kills_;
    is_kill_due_ = true;
  }
  if (rng_.below(kCrashOneIn) == 0) {
    disk_.crash_after(1 + rng_.below(kCrashOperations));
  }
}

void Faults::stop() {
  disk_.fail(0);
  is_failing_ = false;
  disk_.crash_after(0);
  is_kill_due_ = false;
}

std::string Faults::summary() const {
  return std::to_string(stalls_) + " stalls, " + std::to_string(failures_) + " times failing, " +
         std::to_string(kills_) + " kills, " + std::to_string(crashes_) + " power cuts";
}

}  // namespace sim
