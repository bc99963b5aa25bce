// Petition: in rounds, more accounts ask a star to be allowed to see its presence than may wait for
// its answer; the star is there at the time or comes later, and refuses them all.
//
// Checkers: the star is told of as many requests as may wait, never more. What a
// fault interrupts is not judged but for the limit.
//
// Thread-safety: one thread. Spec: RFC 6121 3.1; docs/security.md, "Limits".
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "sim/sim_part.h"

namespace sim {

class Petition final : public Part {
 public:
  Petition(const Stage& stage, std::uint64_t seed);
  void act() override;
  void on_crash() override;
  void gather() override {}
  void check() override {}
  void leave() override;

 private:
  enum class Phase : std::uint8_t { away, coming, asked, judged, refused };
  void ask();
  void judge();
  void refuse();
  void next(Phase phase, Duration in);

  Stage stage_;
  std::unique_ptr<SimUser> star_;
  std::vector<std::unique_ptr<SimUser>> fans_;
  Phase phase_ = Phase::away;
  Instant next_at_{};
  std::set<std::string> seen_;  // who asks, as the star is told
};

}  // namespace sim
