// Strangers: connections that say nothing, come too many at a time, guess passwords, send what is
// too big, too deep or has too many attributes, or do not read what they are sent.
//
// Checkers: each is ended by the limit that is meant for it, with the condition that it documents,
// and nothing of it counts from there on; what is just within the limit is dealt with. The others
// of the simulation must not notice. What a fault interrupts is not judged.
//
// Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/sim_part.h"
#include "sim/sim_raw.h"

namespace sim {

class Strangers final : public Part {
 public:
  Strangers(const Stage& stage, std::uint64_t seed);
  void act() override;
  void on_crash() override;
  void gather() override {}
  void check() override {}
  void leave() override;

 private:
  enum class Doing : std::uint8_t { nothing, crowding, breaking, guessing, deaf };
  void look_after_silent();
  void let_go_of_silent();
  void begin(Doing doing);
  void crowd();
  void judge_crowd();
  void break_rules();
  void judge_rules();
  // False: not finished.
  bool guess();
  void be_deaf();
  bool judge_deaf();
  void finish();
  [[nodiscard]] std::unique_ptr<RawPeer> make(const LinkQuality& quality, int address);
  [[nodiscard]] Duration since_begun() const { return stage_.world.now() - begun_at_; }

  Stage stage_;
  xmpp::net::Reactor& loop_;
  std::unique_ptr<SimUser> speaker_;
  std::unique_ptr<RawPeer> silent_;
  std::vector<std::unique_ptr<RawPeer>> peers_;
  Doing doing_ = Doing::nothing;
  Instant begun_at_{};
  bool has_spoken_ = false;
  std::string nobody_;           // whose password is guessed
  std::size_t guesses_ = 0;      // on this connection
  std::size_t all_guesses_ = 0;  // that were looked at, since the server was started
  Instant guessing_since_{};
  std::uint64_t slow_peers_ = 0;  // that the server has ended: only those of this part
};

}  // namespace sim
