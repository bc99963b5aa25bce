// Copies: two clients of one account, which both want copies, and a friend who writes to one or the
// other.
//
// Checker: of every message one copy reaches the other client, in order, none of those that ask not
// to be copied; and the message itself reaches whom it was sent to.
//
// Thread-safety: one thread.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "sim/sim_part.h"

namespace sim {

class Copies final : public Part {
 public:
  Copies(const Stage& stage, std::uint64_t seed);
  void act() override;
  void on_crash() override;
  void gather() override;
  void check() override;
  void leave() override;

 private:
  static constexpr std::size_t kUsers = 3;  // the last one is the friend
  void enter(std::size_t who);
  void write(std::size_t who);
  void on_stanza(std::size_t who, const xmpp::Stanza& stanza);
  void on_arrival(std::size_t who, const std::string& kind, std::uint64_t number);
  [[nodiscard]] bool is_everybody_ready() const;

  Stage stage_;
  std::vector<std::unique_ptr<SimUser>> users_;
  std::array<bool, kUsers> is_ready_{};
  std::set<std::string> expected_;             // "who kind number"
  std::map<std::string, std::uint64_t> last_;  // by "who kind sender"
  std::map<std::uint64_t, std::size_t> senders_;
  std::uint64_t next_number_ = 1;
};

}  // namespace sim
