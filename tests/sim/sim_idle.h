// Idle: a client whose user looks away now and then (XEP-0352), and a friend who sends it directed
// presence and messages.
//
// Checkers: a message comes behind all presence that was sent before it, of which the newest
// counts; messages come in order, once; who looks again sees the newest presence.
//
// Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "sim/sim_part.h"

namespace sim {

class Idle final : public Part {
 public:
  Idle(const Stage& stage, std::uint64_t seed);
  void act() override;
  void on_crash() override { forget(); }
  void gather() override;
  void check() override;
  void leave() override;

 private:
  void tell();
  void write();
  void look(bool is_active);
  void on_stanza(const xmpp::Stanza& stanza);
  void on_message(std::uint64_t number);
  // One of them has gone: what was on its way counts for nothing.
  void forget();

  Stage stage_;
  SimUser idler_;
  SimUser friend_;
  std::uint64_t next_number_ = 1;
  std::uint64_t told_ = 0;  // the newest presence that was sent; 0: none
  std::uint64_t seen_ = 0;
  std::uint64_t last_message_ = 0;
  std::map<std::uint64_t, std::uint64_t> messages_;  // under way; the presence before each
};

}  // namespace sim
