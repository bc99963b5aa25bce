// Quota: a client stores roster items, blocked addresses, private documents and vCards, more than
// its account may have; another one sends its presence directly to more than it may.
//
// Checkers: what fits is stored, what does not is refused with the condition of its specification
// and changes nothing; what was acknowledged is there and nothing else, and never more than the
// limit. Where the disk fails a refusal may have any reason, the rest holds.
//
// Thread-safety: one thread.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "sim/sim_part.h"

namespace sim {

class Quota final : public Part {
 public:
  Quota(const Stage& stage, std::uint64_t seed);
  void act() override;
  void on_crash() override;
  void gather() override;
  void check() override;
  void leave() override;

 private:
  enum class Kind : std::uint8_t { item, blocked, document, groups, card };
  static constexpr std::size_t kStores = 3;  // those that have a limit of their entries
  enum class Verb : std::uint8_t { put, remove, list };
  struct Request {
    Kind kind;
    Verb verb;
    std::string key;
    std::size_t bytes = 0;
    std::uint64_t reloads = 0;  // when it was sent
  };
  // What the server has to have: certainly, and perhaps.
  struct Store {
    std::map<std::string, std::size_t> present;  // with their sizes
    std::set<std::string> unknown;
  };
  void store_something();
  void tell_too_many();
  void send(Request request, const std::string& markup);
  void on_answer(const xmpp::Stanza& stanza);
  void on_change(const Request& request, const xmpp::Stanza& stanza);
  void on_list(const Request& request, const xmpp::Stanza& stanza);
  void on_told(const xmpp::Stanza& stanza);
  [[nodiscard]] bool fits(const Request& request) const;
  // Its answer may come behind those to later ones: what is asked of a module that is being
  // replaced waits.
  [[nodiscard]] bool is_out_of_turn(const Request& request) const;
  [[nodiscard]] std::size_t limit_of(Kind kind) const;
  void compare(Kind kind, const std::string& key, bool is_there);
  [[nodiscard]] Store& store_of(Kind kind) { return stores_[static_cast<std::size_t>(kind)]; }
  [[nodiscard]] const Store& store_of(Kind kind) const {
    return stores_[static_cast<std::size_t>(kind)];
  }

  Stage stage_;
  std::unique_ptr<SimUser> user_;
  std::unique_ptr<SimUser> herald_;  // tells its presence
  std::array<Store, kStores> stores_;
  std::map<std::uint64_t, Request> requests_;  // by the number in their ids
  std::uint64_t next_number_ = 1;
  enum class Telling : std::uint8_t { not_yet, begun, done };
  Telling telling_ = Telling::not_yet;
  std::set<std::uint64_t> not_told_;
};

}  // namespace sim
