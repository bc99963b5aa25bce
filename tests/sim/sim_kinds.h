// Kinds: two clients of one account write messages of every type to an account with three clients,
// of which some are there, some available, some with a negative priority, some want copies; to its
// full and bare addresses, to a resource that is not there, and to an account that does not exist.
//
// In rounds: everybody gets into some state; then messages are sent while nothing changes; then all
// must have happened that the tables of RFC 6121 8 (summary in 8.5.4), XEP-0160 and XEP-0280 say,
// written down here naively, and nothing else: who gets the message, who a copy, who an error, what
// comes to the next client that is available. Of what may be done or not, xmppd's choice is written
// down: an error for what cannot be delivered to a full address.
//
// Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "sim/sim_part.h"

namespace sim {

class Kinds final : public Part {
 public:
  Kinds(const Stage& stage, std::uint64_t seed);
  void act() override;
  void on_crash() override;
  void gather() override {}
  void check() override;
  void leave() override;

 private:
  enum class Phase : std::uint8_t { settling, settled, writing, written };
  enum class Body : std::uint8_t { text, none, composing, no_store, not_copied };
  struct Client {
    std::unique_ptr<SimUser> user;
    bool is_reader = false;
    // What it is to be in this round.
    bool is_there = false;
    std::optional<std::int8_t> priority;  // none: not available
    bool wants_copies = false;
    bool is_asked = false;  // it has said so
    bool is_set = false;    // and the server has answered
  };
  struct Letter {
    std::size_t from;
    std::string what;            // for people
    std::set<std::string> owed;  // "name form"
    std::set<std::string> seen;
    bool may_fail = false;  // with faults
  };

  void draw();
  void settle(Client& client);
  [[nodiscard]] bool is_everybody_settled() const;
  void write();
  [[nodiscard]] xmpp::Stanza make(xmpp::StanzaType type, const xmpp::Jid& to, Body body,
                                  const std::string& id) const;
  void expect(Letter& letter, std::uint64_t number, xmpp::StanzaType type, const xmpp::Jid& to,
              Body body);
  void owe_copies(Letter& letter, bool is_reader, const std::string& form,
                  const std::set<std::string>& except) const;
  void judge();
  void on_stanza(Client& client, const xmpp::Stanza& stanza);
  void on_letter(const Client& client, std::uint64_t number, const std::string& form);
  void on_stored(const Client& client, std::uint64_t number);
  void on_end(Client& client);
  void forget();
  void next(Phase phase, Duration in);
  [[nodiscard]] static bool takes(const Client& client) {
    return client.is_there && client.priority && *client.priority >= 0;
  }

  Stage stage_;
  std::vector<Client> clients_;  // the writers first
  std::string nobody_;
  Phase phase_ = Phase::settling;
  Instant next_at_{};
  std::size_t turns_left_ = 0;
  std::uint64_t reloads_ = 0;
  std::map<std::uint64_t, Letter> letters_;      // of this round
  std::map<std::uint64_t, std::size_t> stored_;  // number: writer
  std::map<std::size_t, std::uint64_t> last_stored_;
  std::uint64_t next_number_ = 1;
  std::uint64_t first_since_crash_ = 1;
};

}  // namespace sim
