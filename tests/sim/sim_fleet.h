// Fleet: the clients of one account, all of which can take up their streams again, break off at the
// same time and come back, in time or too late.
//
// Checker: no more of them take up their streams than may wait for their clients (sm:
// max_detached), and exactly so many if the server did not fail; none does after the time for it
// (resume_window). A round during which the server or its disk failed is judged by the limits only.
//
// Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sim/sim_courier.h"
#include "sim/sim_part.h"

namespace sim {

class Fleet final : public Part {
 public:
  Fleet(const Stage& stage, std::uint64_t seed);
  void act() override;
  void on_crash() override;
  void gather() override {}
  void check() override {}
  void leave() override;

 private:
  enum class Phase : std::uint8_t { away, there, broken, back };
  void connect_all();
  void break_off();
  void judge();
  [[nodiscard]] std::size_t count_bound() const;
  void next(Phase phase, Duration in);

  Stage stage_;
  std::vector<std::unique_ptr<Courier>> couriers_;
  Phase phase_ = Phase::away;
  Instant next_at_{};
  std::uint64_t reloads_ = 0;  // when it broke
  Instant broken_at_{};
  Instant back_at_{};
  bool is_disturbed_ = false;  // by a fault, in this round
  std::size_t fresh_ = 0;      // streams, instead of those that were to be taken up
};

}  // namespace sim
