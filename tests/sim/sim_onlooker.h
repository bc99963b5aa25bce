// Onlooker: a client that looks away (XEP-0352) while as many others tell it their presence as may
// be held back for it, one after the other.
//
// Checkers: nothing comes before the last of them, then everything does, once. What a fault
// interrupts is not judged.
//
// Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "sim/sim_part.h"

namespace sim {

class Onlooker final : public Part {
 public:
  Onlooker(const Stage& stage, std::uint64_t seed);
  void act() override;
  void on_crash() override;
  void gather() override;
  void check() override {}
  void leave() override;

 private:
  enum class Phase : std::uint8_t { coming, away, told, full };
  void look_away();
  void tell(SimUser& friend_of_it);
  void on_stanza(const xmpp::Stanza& stanza);
  [[nodiscard]] bool is_everybody_there() const;
  void next(Phase phase, Duration in);

  Stage stage_;
  std::unique_ptr<SimUser> onlooker_;
  std::vector<std::unique_ptr<SimUser>> friends_;
  Phase phase_ = Phase::coming;
  Instant next_at_{};
  bool is_inactive_ = false;  // the server knows
  std::set<std::uint64_t> told_;
  std::set<std::uint64_t> seen_;
  std::uint64_t next_number_ = 1;
};

}  // namespace sim
