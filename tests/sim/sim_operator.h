// Operator: replaces modules by themselves, with those that need them, and has the configuration
// read again, with other limits and options or the same, while everybody talks. Of that nobody may
// notice anything, so all other checkers hold as they are.
//
// Checkers: what was reloaded counts, and is told to who asks; a file that is wrong changes
// nothing.
//
// Thread-safety: one thread.
#pragma once

#include <memory>
#include <string>

#include "sim/sim_console.h"
#include "sim/sim_part.h"

namespace sim {

class Operator final : public Part {
 public:
  // REQUIRES: !stage.has_faults.
  Operator(const Stage& stage, std::shared_ptr<Console> console, std::uint64_t seed);
  void act() override;
  void on_crash() override {}
  void gather() override;
  void check() override;
  void leave() override;

 private:
  void reload_module();
  void reload_config();
  void ask();

  Stage stage_;
  std::shared_ptr<Console> console_;
  std::unique_ptr<SimUser> asker_;
  TightLimits current_;  // what counts
  std::uint64_t asked_ = 0;
  std::string expected_;  // in the answer that is under way; empty: there is none
};

}  // namespace sim
