// Post: couriers write to each other's accounts, with acknowledgements, broken connections and
// absence.
//
// Checkers: what the server acknowledged arrives, once, in order; also if the receiver's connection
// broke, its stream was taken up again or was not, or the receiver was away and logged in later. A
// message may come twice only if the stream on which it came first was lost before the receiver
// could acknowledge it. After a crash of the machine, what was acknowledged for a receiver that was
// away is there.
//
// Thread-safety: one thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/sim_courier.h"
#include "sim/sim_part.h"

namespace sim {

class Post final : public Part {
 public:
  Post(const Stage& stage, std::uint64_t seed);
  void act() override;
  void on_crash() override;
  void gather() override;
  void check() override;
  void leave() override;

 private:
  struct Letter {
    std::size_t from;
    std::size_t to;
    bool is_acknowledged = false;
    bool is_kept = false;  // the receiver was certainly not connected from then on
  };
  struct Seat {
    std::unique_ptr<Courier> courier;
    Instant back_at{};
    std::optional<Instant> gone_at;                  // since when it has no connection
    std::optional<Instant> broken_at;                // when it lost the one with its stream
    bool must_resume = false;                        // since it is back so soon
    std::uint64_t reloads = 0;                       // of the world, then
    std::map<std::size_t, std::uint64_t> last;       // number by sender, of all streams
    std::map<std::size_t, std::uint64_t> last_here;  // of this stream
    std::set<std::uint64_t> seen_here;               // on this stream, resumptions included
    std::set<std::uint64_t> may_repeat;
  };
  void write(std::size_t from);
  void on_stanza(std::size_t to, const xmpp::Stanza& stanza);
  void on_return(Seat& seat);
  void connect(std::size_t who);
  void note_gone();
  void break_off(Seat& seat);
  [[nodiscard]] bool is_long_away(const Seat& seat) const;

  Stage stage_;
  std::vector<Seat> seats_;
  std::map<std::uint64_t, Letter> letters_;  // under way, by number
  std::uint64_t next_number_ = 1;
  std::uint64_t first_since_crash_ = 1;
};

}  // namespace sim
