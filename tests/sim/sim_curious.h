// Curious: a client that asks the server and its own account whatever one can ask.
//
// Checker: one answer to each question, a result where there is one to give; also while modules are
// replaced.
//
// Thread-safety: one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "sim/sim_part.h"

namespace sim {

class Curious final : public Part {
 public:
  Curious(const Stage& stage, std::uint64_t seed);
  void act() override;
  void on_crash() override { asked_.clear(); }
  void gather() override;
  void check() override;
  void leave() override;

 private:
  void ask();
  void on_stanza(const xmpp::Stanza& stanza);

  Stage stage_;
  SimUser user_;
  std::map<std::uint64_t, std::size_t> asked_;  // which question, by the number in its id
  std::uint64_t next_number_ = 1;
};

}  // namespace sim
