// Operator: replaces modules by themselves, with those that need them, while everybody talks. Of
// that nobody may notice anything, so all other checkers hold as they are.
//
// Not with faults: a change that is under way knows the server that it changes.
//
// Thread-safety: one thread.
#pragma once

#include <string>
#include <vector>

#include "core/commands.h"
#include "core/module_manager.h"
#include "sim/sim_part.h"
#include "xmpp/base/task.h"

namespace sim {

class Operator final : public Part {
 public:
  // REQUIRES: !stage.has_faults.
  Operator(const Stage& stage, std::uint64_t seed);
  void act() override;
  void on_crash() override {}
  void gather() override {}
  void check() override;
  void leave() override {}

 private:
  xmpp::Task<void> reload(std::string name);

  Stage stage_;
  xmpp::SeededRng rng_;
  xmppd::CommandContext context_;
  bool is_busy_ = false;
  xmpp::TaskOwner owner_;
};

}  // namespace sim
