// SilenceWatch: connections whose clients are gone without a word (half-open) must be given up in
// the time that is documented for it: of the kernel (tcp_keepalive, tcp_user_timeout), of silence
// (idle_timeout), of an acknowledgement that does not come (the module sm). A newer connection of
// the same session or resource may end them earlier.
//
// Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "sim/sim_world.h"

namespace sim {

class SilenceWatch {
 public:
  SilenceWatch(SimWorld& world, std::function<void(std::string)> fail)
      : world_(world), fail_(std::move(fail)) {}

  // After a step of the world.
  void sample();
  // Are there silent connections that the server has not given up?
  [[nodiscard]] bool sees_any() const noexcept { return sees_any_; }
  [[nodiscard]] std::string summary() const;

 private:
  // The longest that a server may take.
  [[nodiscard]] Duration longest(const KernelTimes& times, bool is_bound, bool is_over) const;

  SimWorld& world_;
  std::function<void(std::string)> fail_;
  // Silent connections that wait for an acknowledgement, by address: since when.
  std::map<std::string, Instant> unacknowledged_;
  std::map<std::string, Instant> paused_;  // when one was last not read, by address
  std::set<std::string> reported_;
  Duration most_{};
  bool sees_any_ = false;
};

}  // namespace sim
