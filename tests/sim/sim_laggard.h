// Laggard: in rounds, a client that asks to acknowledge stanzas (XEP-0198) and never does, while
// somebody writes to it more stanzas, or more bytes, than it may leave unacknowledged; then it
// comes back without what it had.
//
// Checkers: its stream is ended by policy-violation, for that and not earlier; every message then
// arrives, in order and once, or comes back to its sender. What a fault interrupts is not judged.
//
// Thread-safety: one thread. Spec: XEP-0198 4; docs/security.md, "Limits".
#pragma once

#include <cstdint>
#include <memory>
#include <set>

#include "sim/sim_part.h"
#include "sim/sim_raw.h"

namespace sim {

class Laggard final : public Part {
 public:
  Laggard(const Stage& stage, std::uint64_t seed);
  void act() override;
  void on_crash() override;
  void gather() override {}
  void check() override {}
  void leave() override;

 private:
  enum class Phase : std::uint8_t { quiet, connecting, written, back };
  void write();
  void judge_end();
  void judge_messages();
  void next(Phase phase, Duration in);

  Stage stage_;
  xmpp::net::Reactor& loop_;
  std::unique_ptr<SimUser> writer_;
  std::unique_ptr<RawPeer> peer_;
  Phase phase_ = Phase::quiet;
  Instant next_at_{};
  std::set<std::uint64_t> sent_;
  std::size_t expected_ = 0;  // of these it gets at least so many before it is ended
  std::set<std::uint64_t> returned_;
  std::uint64_t next_number_ = 1;
};

}  // namespace sim
