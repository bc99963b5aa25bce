// Blocking: three clients of three accounts block each other, release each other, write,
// tell their presence and ask.
//
// Checkers: once a block was acknowledged, nothing comes from the blocked account, and nothing that
// is sent to it arrives; while nobody blocks, every stanza arrives; what was acknowledged is in
// the list that the server tells, also after a crash of the machine.
//
// Thread-safety: one thread.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "sim/sim_part.h"

namespace sim {

class Blocking final : public Part {
 public:
  Blocking(const Stage& stage, std::uint64_t seed);
  void act() override;
  void on_crash() override;
  void gather() override;
  void check() override;
  void leave() override;

 private:
  static constexpr std::size_t kUsers = 3;
  enum class State : std::uint8_t { open, changing, blocked, unknown };
  struct Change {
    std::size_t who;
    std::size_t whom;
    bool is_block;
  };
  void change(std::size_t who, std::size_t whom);
  void write(std::size_t who, std::size_t whom);
  [[nodiscard]] xmpp::Stanza make_note(std::size_t whom);
  void ask(std::size_t who);
  void on_stanza(std::size_t who, const xmpp::Stanza& stanza);
  void on_answer(std::size_t who, const xmpp::Stanza& stanza);
  void on_note(std::size_t who, const xmpp::Stanza& stanza);
  void on_list(std::size_t who, const xmpp::Stanza& stanza);
  void expect_nothing_between(std::size_t one, std::size_t other);

  Stage stage_;
  std::vector<std::unique_ptr<SimUser>> users_;
  std::array<std::array<State, kUsers>, kUsers> states_{};  // [who][whom]
  std::map<std::uint64_t, Change> changes_;
  std::set<std::uint64_t> asked_;
  std::map<std::uint64_t, std::array<std::size_t, 2>> expected_;  // number: from, to
  std::set<std::uint64_t> forbidden_;
  bool is_quiet_ = false;  // an audit: the server has had the time to read again what failed
  std::uint64_t next_number_ = 1;
};

}  // namespace sim
