// Faults: what happens to the server of a simulation: its disk is slow, or reads well but does not
// write; its process is killed; its machine loses its power at any write or sync.
//
// Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "sim/sim_vfs.h"
#include "sim/sim_world.h"

namespace sim {

class Faults {
 public:
  Faults(SimWorld& world, SimDisk& disk, xmpp::Rng& rng) : world_(world), disk_(disk), rng_(rng) {}

  // Begins a fault now and then, and ends what has lasted long enough.
  void act();
  // The disk is as it should be, from now on until act() is called again.
  void stop();
  // The power is gone: the world has to be restarted.
  [[nodiscard]] bool has_crashed() const noexcept { return disk_.has_crashed(); }
  // The process is to die now; once.
  [[nodiscard]] bool take_kill() noexcept { return std::exchange(is_kill_due_, false); }
  void note_power_cut() noexcept { ++crashes_; }
  [[nodiscard]] std::string summary() const;

 private:
  SimWorld& world_;
  SimDisk& disk_;
  xmpp::Rng& rng_;
  Instant failing_until_{};
  bool is_failing_ = false;
  bool is_kill_due_ = false;
  std::uint64_t stalls_ = 0;
  std::uint64_t failures_ = 0;
  std::uint64_t kills_ = 0;
  std::uint64_t crashes_ = 0;
};

}  // namespace sim
