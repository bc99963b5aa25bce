// Bounds: in rounds, somebody writes more messages, or more bytes, to an account whose clients are
// all away than it may keep, and then more of them come than it may have.
//
// Checkers: what is more than the limit is returned, the rest arrives in order, once; no more
// clients get in than the limit says, and everybody is told. A round during which the server or its
// disk failed is not judged but for the limits.
//
// Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "sim/sim_part.h"

namespace sim {

class Bounds final : public Part {
 public:
  Bounds(const Stage& stage, std::uint64_t seed);
  void act() override;
  void on_crash() override;
  void gather() override;
  void check() override;
  void leave() override;

 private:
  enum class Phase : std::uint8_t { quiet, written, came, reading };
  void write();
  void come();
  void count();
  void read();
  void judge();
  void go();
  void on_answer(const xmpp::Stanza& stanza);
  void on_message(SimUser& user, const xmpp::Stanza& stanza);
  void next(Phase phase, Duration in);

  Stage stage_;
  std::size_t kept_max_ = 0;  // in this round: messages, which one sender has written
  bool is_big_ = false;       // in this round: it is their bytes that are too many
  std::unique_ptr<SimUser> writer_;
  std::vector<std::unique_ptr<SimUser>> readers_;
  Phase phase_ = Phase::quiet;
  Instant next_at_{};
  bool is_disturbed_ = false;  // by a fault, in this round
  std::set<std::uint64_t> sent_;
  std::set<std::uint64_t> refused_;
  std::set<std::uint64_t> received_;
  std::uint64_t next_number_ = 1;
};

}  // namespace sim
