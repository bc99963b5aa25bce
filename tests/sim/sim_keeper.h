// Keeper: two clients of one account store private XML and a vCard and read them.
//
// Checker: what is read was stored, and is not older than what was acknowledged when it was asked
// for; also after a crash of the machine.
//
// Thread-safety: one thread.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/sim_part.h"

namespace sim {

class Keeper final : public Part {
 public:
  Keeper(const Stage& stage, std::uint64_t seed);
  void act() override;
  void on_crash() override { forget(nullptr); }
  void gather() override;
  void check() override;
  void leave() override;

 private:
  struct Document {
    std::uint64_t acknowledged = 0;
    std::uint64_t newest = 0;  // that was sent
    bool is_changing = false;
  };
  struct Request {
    const SimUser* user;
    std::size_t document;
    bool is_set;
    std::uint64_t value;  // set: this; get: at least this
  };
  void set(SimUser& user, std::size_t document);
  void get(SimUser& user, std::size_t document);
  void on_stanza(SimUser& user, const xmpp::Stanza& stanza);
  void on_value(const Request& request, const xmpp::Stanza& stanza);
  // Requests of this client (null: of all) have no outcome.
  void forget(const SimUser* user);

  static constexpr std::size_t kDocuments = 3;  // the first is the vCard
  Stage stage_;
  std::vector<std::unique_ptr<SimUser>> users_;
  std::array<Document, kDocuments> documents_;
  std::map<std::uint64_t, Request> requests_;  // by the number in their ids
  std::uint64_t next_number_ = 1;
};

}  // namespace sim
