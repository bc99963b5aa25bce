// Outsider: somebody on an address of its own who guesses the passwords of many accounts, and now
// and then gives a right one.
//
// Checkers: a password from there is looked at, or not, by what its address was told before
// (auth_failures_per_address, auth_failures_decay), whosever it is and also if it is right; from
// elsewhere the right password always lets in. Where that depends on when within its journey an
// attempt was looked at, both are right. What a fault interrupts is not judged.
//
// Thread-safety: one thread. Spec: docs/security.md, "Limits".
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/sim_part.h"
#include "sim/sim_raw.h"

namespace sim {

class Outsider final : public Part {
 public:
  explicit Outsider(const Stage& stage);
  void act() override;
  void on_crash() override;
  void gather() override {}
  void check() override {}
  void leave() override { peer_.reset(); }

 private:
  void attempt();
  void judge();

  Stage stage_;
  xmpp::net::Reactor& loop_;
  std::string address_;
  std::vector<std::string> nobodies_;  // each shares its count with nobody
  std::size_t next_nobody_ = 0;
  std::unique_ptr<RawPeer> peer_;
  Instant sent_at_{};
  bool is_right_ = false;      // the password
  bool is_elsewhere_ = false;  // the address is another one
  // When all will be forgiven, at the least and at the most.
  Instant forgiven_from_{};
  Instant forgiven_until_{};
};

}  // namespace sim
