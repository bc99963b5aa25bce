// Social: the clients of a simulation keep rosters, subscribe to each other and tell their
// presence, and what each of them comes to see is compared with an independent model (RosterModel).
//
// Between two audits the clients act at random. What two accounts do to each other is done by one
// of them until the next audit, and by one of its clients at a time, so that the outcome does not
// depend on the order of what crosses. (Everything else may cross.) If that client's connection
// breaks before all was acknowledged, the pair is left alone and believed at the audit.
//
// Checkers, at each audit: every roster that a client built from results and pushes, with versions,
// and the server's own answer are the model's, as are the requests that wait; every available
// client has seen the current presence of exactly those whom it may see; everybody whose request
// waits has been announced. At any time: no presence from who was not allowed to be seen since the
// last audit.
//
// Thread-safety: one thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/roster_model.h"
#include "sim/sim_user.h"
#include "xmpp/xep/roster.h"

namespace sim {

class Social {
 public:
  using Users = std::vector<std::unique_ptr<SimUser>>;
  using Names = std::set<std::string>;
  // `list_requests`: whose requests wait for an account, as stored. Rosters do not tell that, and
  // sessions are told of a request when it comes, but not when it is gone.
  Social(const Users& users, xmpp::Rng& rng, std::function<void(std::string)> fail,
         std::function<Names(const std::string&)> list_requests);

  void add_account(const std::string& account);

  // A bound client does something with its roster or a subscription.
  void act(SimUser& user);
  // It sends presence: broadcast (`to` empty) or directed.
  void tell(SimUser& user, xmpp::StanzaType type, const xmpp::Jid& to, const std::string& status);
  // True: an answer to something that was asked here.
  bool on_stanza(SimUser& user, const xmpp::Stanza& stanza);
  void on_end(SimUser& user);
  // Errors are allowed answers; what went from one account to another may be lost on its way.
  void expect_faults() noexcept { has_faults_ = true; }
  // The server has lost what it had not stored.
  void on_crash();

  // An audit, with quiet around each step: everybody bound is asked what it sees; then compared.
  // REQUIRES: of each account a client is bound.
  void begin_audit();
  void finish_audit();

 private:
  using Items = std::map<std::string, std::string>;
  using Pair = std::pair<std::string, std::string>;

  // What a client knows.
  struct View {
    std::uint32_t life = 0;                       // of what follows, up to the roster
    bool is_interested = false;                   // has asked for the roster in this life
    bool has_roster = false;                      // and was answered
    std::map<std::string, std::string> presence;  // full JID: status
    std::set<std::string> requests;               // bare JIDs that asked since it is available
    std::string status;                           // of its own broadcast; empty: not available
    bool is_known_there = false;                  // the server has told it so
    std::map<std::string, std::string> directed;  // target: status, as long as that holds
    std::set<std::string> hidden_from;  // sent directed unavailable since the last broadcast
    std::set<std::string> farewells;    // statuses of its own unavailable broadcasts
    std::set<std::string> forgotten;    // statuses that nobody may remember to take back
    bool was_away = true;               // not available at some time since the last audit
    std::map<std::uint64_t, std::string> pending;  // number: contact, not acknowledged
    std::map<std::uint64_t, bool> asked;           // number of a roster get: was it an audit?
    RosterModel::Told audited;
    bool is_audited = false;
    Items roster;
    std::string version;
  };

  View& view_of(SimUser& user);
  [[nodiscard]] bool may_act(SimUser& user, const std::string& contact);
  void change(SimUser& user, const std::string& contact);
  void ask_for_roster(SimUser& user, std::optional<std::string> version, bool is_audit);
  void send_set(SimUser& user, const xmpp::xep::RosterItem& item);
  void send_verb(SimUser& user, const std::string& contact, const std::string& type);
  void on_presence(SimUser& user, View& view, const xmpp::Stanza& stanza);
  bool on_roster(SimUser& user, View& view, const xmpp::Stanza& stanza);
  void permit(const std::string& one, const std::string& other);
  [[nodiscard]] bool is_estranged(const std::string& one, const std::string& other) const {
    return estranged_.contains({one, other});
  }
  [[nodiscard]] bool is_permitted(const std::string& from, const std::string& to) const;
  void believe_uncertain();
  void heal();
  void check_kept();
  void check_roster(SimUser& user, View& view);
  void check_presence(SimUser& user, View& view);
  void check_seen(SimUser& user, View& view, SimUser& other, View& others);
  [[nodiscard]] View* find_audited(const std::string& account);
  [[nodiscard]] std::size_t pick(std::size_t bound) {
    return static_cast<std::size_t>(rng_.below(bound));
  }

  const Users& users_;
  xmpp::Rng& rng_;
  std::function<void(std::string)> fail_;
  std::function<Names(const std::string&)> list_requests_;
  RosterModel model_;
  std::vector<std::string> accounts_;
  std::map<const SimUser*, View> views_;
  std::map<Pair, std::string> actors_;  // of two accounts in order: who acts until the next audit
  std::set<Pair> uncertain_;            // (who acted, contact)
  std::set<Pair> permitted_;            // (who is seen, by whom) since the last audit
  // With faults: what two accounts do to each other takes a commit of each, and the second may be
  // missing for ever. Who disagrees then is not compared until both have said that they want
  // nothing of each other, and that has been believed at an audit.
  bool has_faults_ = false;
  std::map<std::uint64_t, std::pair<Pair, std::string>> sets_;  // under way: of whom, names
  std::map<Pair, std::uint64_t> newest_sets_;                   // what was sent last of a pair
  std::map<Pair, std::string> kept_;  // names as acknowledged; empty: the item was removed
  std::set<Pair> touched_;            // (who acted, contact) since the last audit
  std::set<Pair> estranged_;          // both ways
  std::set<std::string> directed_;    // every status that was directed to somebody
  std::uint64_t next_number_ = 1;
};

}  // namespace sim
