// RFC 6121 2 complete
// The roster: get with versions, set, remove, pushes to the sessions that asked for it. Offers it
// to other modules (xmppd/roster.h).
#include "xmpp/xep/roster.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>

#include "xmppd/module.h"
#include "xmppd/roster.h"
#include "xmppd/subscription.h"

namespace xmppd::mod::roster {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaCondition;
using xmpp::StanzaType;
using xmpp::Task;
namespace xep = xmpp::xep;

namespace {

// Reads and changes that may wait for one account's roster.
constexpr std::size_t kJobsMax = 1000;
// RFC 6121 2.3.3: of a name or a group.
constexpr std::size_t kTextBytesMax = 1023;

struct Job {
  RosterService::Read read;  // or a change (below)
  bool is_exact = false;     // rather nothing than a roster that may be out of date
  Jid contact;
  RosterService::Edit edit;
  RosterService::Done done;
};

// An account's roster in memory.
struct State {
  bool is_loaded = false;
  bool is_known = false;    // `roster` is what it was at the last commit that is known of
  bool is_working = false;  // work() is at it
  std::size_t requests = 0;
  std::size_t items = 0;
  Roster roster;
  std::deque<Job> jobs;
};

struct Interest {
  static constexpr std::string_view kSlotName = "interest";
  [[nodiscard]] std::string save() const { return wants_pushes ? "pushes" : ""; }
  static std::optional<Interest> restore(std::string_view saved) {
    return Interest{!saved.empty()};
  }
  bool wants_pushes = false;
};

xep::RosterItem to_item(const RosterContact& contact) {
  xep::RosterItem item;
  item.jid = contact.jid;
  if (!contact.is_listed) {
    item.subscription = xep::Subscription::remove;
    return item;
  }
  constexpr xep::Subscription states[] = {xep::Subscription::none, xep::Subscription::to,
                                          xep::Subscription::from, xep::Subscription::both};
  item.subscription = states[static_cast<std::size_t>(contact.subscription)];
  item.name = contact.name;
  item.ask = contact.is_asked ? xep::Ask::subscribe : xep::Ask::none;
  item.approved = contact.is_approved;
  item.groups = contact.groups;
  return item;
}

// What clients see of it, and so what raises the version.
bool differs_visibly(const RosterContact& a, const RosterContact& b) {
  return a.is_listed != b.is_listed || (a.is_listed && to_item(a) != to_item(b));
}

bool can_be_stored(const Jid& account, const RosterContact& contact) {
  const auto fits = [&](std::string_view group) {
    return fits_key(account, contact.jid.str(), group);
  };
  return contact.is_empty() ||
         (fits({}) && std::all_of(contact.groups.begin(), contact.groups.end(), fits));
}

// The answer to a roster get (RFC 6121 2.2, 2.6.2): everything, or nothing new.
IqReply make_reply(const Roster& roster, const std::optional<std::string>& known) {
  std::string version = std::to_string(roster.version);
  if (known == version) return IqReply::ok();
  xep::Roster all;
  all.version = std::move(version);
  for (const auto& [jid, contact] : roster.contacts) {
    if (contact.is_listed) all.items.push_back(to_item(contact));
  }
  return IqReply::with(all);
}

}  // namespace

class RosterModule final : public Module, public RosterService {
 public:
  void attach(Scope& scope) override {
    scope_ = &scope;
    state_ = scope.account_slot<State>();
    interest_ = scope.session_slot<Interest>();
    scope.provide<RosterService>(*this);
    scope.stream_feature("<ver xmlns='urn:xmpp:features:rosterver'/>", true);
    scope.on_iq<xep::Roster>(Target::own_account | Target::account,
                             [this](IqCall& call, xep::Roster query) -> Task<IqReply> {
                               return answer(call, std::move(query));
                             });
  }

  void read(Account& account, Read read) override { read_as(account, false, std::move(read)); }

  void keep_last_presence(Account& account, std::string presence) override {
    State& state = account[state_];
    state.roster.last_presence = presence;
    // Nobody waits for it. Without the account it is refused, and that is well.
    scope_->storage().write_then(
        scope_->reactor(), account.jid(), [](const StorageResult<bool>&) {},
        [](Tx& tx, const Jid& who, const std::string& text) -> StorageResult<bool> {
          if (auto put = tx.rosters().put_last_presence(who, text); !put) {
            return xmpp::Err(put.error());
          }
          return true;
        },
        account.jid(), std::move(presence));
  }

  void forget(Account& account) override {
    State& state = account[state_];
    state.is_loaded = state.is_known = false;
    state.roster = {};
    state.items = state.requests = 0;
  }

  void change(Account& account, Jid contact, Edit edit, Done done) override {
    State& state = account[state_];
    if (state.jobs.size() >= kJobsMax) {
      done(account, RosterOutcome::busy);
    } else {
      add_job(account, state, Job{{}, false, contact.bare(), std::move(edit), std::move(done)});
    }
  }

  const Roster* before_changes(Account& account) override {
    const State& state = account[state_];
    return state.is_known && state.is_working ? &state.roster : nullptr;
  }

  bool is_interested(Session& session) override { return session[interest_].wants_pushes; }

 private:
  void read_as(Account& account, bool is_exact, Read read) {
    State& state = account[state_];
    if (state.is_loaded && !state.is_working) {
      read(account, &state.roster);
    } else if (state.jobs.size() >= kJobsMax || !account.host().is_served()) {
      // (What waits for the database goes with an account whose host goes.)
      read(account, known_roster(state, is_exact));
    } else {
      add_job(account, state, Job{std::move(read), is_exact, {}, {}, {}});
    }
  }

  // Without the database: whoever was told to come is told to go all the same.
  static const Roster* known_roster(const State& state, bool is_exact) {
    return state.is_known && !is_exact ? &state.roster : nullptr;
  }

  void add_job(Account& account, State& state, Job job) {
    state.jobs.push_back(std::move(job));
    if (state.is_working) return;
    state.is_working = true;
    account.spawn(*scope_, work(account, life_));
  }

  // Does the jobs of an account one after the other. It belongs to the account, which it keeps in
  // memory; the module, and with it the state, may be gone after a suspension.
  Task<void> work(Account& account, std::weak_ptr<const bool> life) {
    State& state = account[state_];
    while (!state.jobs.empty()) {
      if (!state.is_loaded) {
        auto loading = scope_->storage().read(
            scope_->reactor(), account.jid(),
            [](Tx& tx, const Jid& who) { return tx.rosters().load(who); }, account.jid());
        auto loaded = co_await loading;
        if (life.expired()) co_return;
        take_loaded(account, state, std::move(loaded));
        continue;
      }
      Job job = std::move(state.jobs.front());
      state.jobs.pop_front();
      if (job.read) {
        job.read(account, &state.roster);
        continue;
      }
      RosterContact next;
      const auto outcome = plan(account.jid(), state, job, next);
      if (outcome != RosterOutcome::changed) {
        job.done(account, outcome);
        continue;
      }
      const bool is_visible = differs_visibly(current(state, job.contact), next);
      auto storing = store(account.jid(), next, is_visible);
      auto version = co_await storing;
      if (life.expired()) co_return;
      take_stored(account, state, job, next, is_visible, version);
    }
    state.is_working = false;
  }

  void take_loaded(Account& account, State& state, StorageResult<RosterRecord> loaded) {
    if (!loaded) {
      log_failure(loaded.error());
      for (Job& job : std::exchange(state.jobs, {})) {
        if (job.read) {
          job.read(account, known_roster(state, job.is_exact));
        } else {
          job.done(account, RosterOutcome::failed);
        }
      }
      return;
    }
    const Roster before = std::exchange(state.roster, {});
    state.roster.version = loaded->version;
    state.roster.last_presence = std::move(loaded->last_presence);
    state.items = state.requests = 0;
    for (RosterContact& contact : loaded->contacts) {
      state.items += contact.is_listed ? 1 : 0;
      state.requests += contact.request.empty() ? 0 : 1;
      const Jid jid = contact.jid;
      state.roster.contacts.emplace(jid, std::move(contact));
    }
    state.is_loaded = true;
    if (std::exchange(state.is_known, true)) push_differences(account, before, state.roster);
  }

  // A change of which storage could not say whether it was made: it was, if there is a difference.
  void push_differences(Account& account, const Roster& before, const Roster& now) {
    auto contacts = before.contacts;
    contacts.insert(now.contacts.begin(), now.contacts.end());
    for (const auto& [jid, unused] : contacts) {
      const RosterContact* old = before.find(jid);
      RosterContact changed;
      changed.jid = jid;
      if (const RosterContact* found = now.find(jid)) changed = *found;
      if (differs_visibly(old == nullptr ? RosterContact() : *old, changed)) {
        push(account, changed, now.version);
      }
    }
  }

  static RosterContact current(const State& state, const Jid& jid) {
    if (const RosterContact* known = state.roster.find(jid)) return *known;
    RosterContact fresh;
    fresh.jid = jid;
    return fresh;
  }

  // What the contact will be; `changed` if that is to be stored.
  RosterOutcome plan(const Jid& account, const State& state, const Job& job,
                     RosterContact& next) const {
    const RosterContact before = current(state, job.contact);
    next = before;
    if (!job.edit(next)) return RosterOutcome::refused;
    if (!next.is_listed) {
      RosterContact request;  // nothing else is kept of a contact that is no item
      request.jid = next.jid;
      request.request = std::move(next.request);
      next = std::move(request);
    }
    if (next == before) return RosterOutcome::unchanged;
    if (!can_be_stored(account, next)) return RosterOutcome::too_long;
    const bool is_new_item = next.is_listed && !before.is_listed;
    const bool is_new_request = !next.request.empty() && before.request.empty();
    if ((is_new_item && state.items >= static_cast<std::size_t>(*items_max_)) ||
        (is_new_request && state.requests >= static_cast<std::size_t>(*requests_max_))) {
      return RosterOutcome::full;
    }
    return RosterOutcome::changed;
  }

  // The version if it was raised, else 0.
  xmpp::Completion<StorageResult<std::uint64_t>> store(const Jid& account,
                                                       const RosterContact& contact, bool raise) {
    return scope_->storage().write(
        scope_->reactor(), account,
        [](Tx& tx, const Jid& who, const RosterContact& what,
           bool is_visible) -> StorageResult<std::uint64_t> {
          if (auto put = tx.rosters().put(who, what); !put) return xmpp::Err(put.error());
          if (!is_visible) return std::uint64_t{0};
          return tx.rosters().raise_version(who);
        },
        account, contact, raise);
  }

  void take_stored(Account& account, State& state, const Job& job, const RosterContact& next,
                   bool is_visible, const StorageResult<std::uint64_t>& version) {
    if (!version) {
      log_failure(version.error());
      state.is_loaded = false;  // whether it was stored may be unknown: look again
      job.done(account, RosterOutcome::failed);
      return;
    }
    const RosterContact before = current(state, next.jid);
    state.items += next.is_listed ? 1 : 0;
    state.items -= before.is_listed ? 1 : 0;
    state.requests += next.request.empty() ? 0 : 1;
    state.requests -= before.request.empty() ? 0 : 1;
    if (next.is_empty()) {
      state.roster.contacts.erase(next.jid);
    } else {
      state.roster.contacts[next.jid] = next;
    }
    if (is_visible) state.roster.version = *version;
    job.done(account, RosterOutcome::changed);
    if (is_visible) push(account, next, *version);
  }

  // RFC 6121 2.1.6: to every session that asked for the roster; 2.6.3: with the version, asked for
  // or not.
  void push(Account& account, const RosterContact& contact, std::uint64_t version) {
    xep::Roster query;
    query.items.push_back(to_item(contact));
    query.version = std::to_string(version);
    for (Session* session : account.sessions()) {
      if (!(*session)[interest_].wants_pushes) continue;
      Stanza stanza =
          Stanza::iq(StanzaType::set, session->jid(), "push" + std::to_string(++pushes_));
      stanza.add(query);
      session->deliver(std::move(stanza));
    }
  }

  // RFC 6121 2.1.5: nobody but the account itself.
  Task<IqReply> answer(IqCall& call, xep::Roster query) {
    if (call.target != Target::own_account) co_return IqReply::error(StanzaCondition::forbidden);
    xmpp::Completion<IqReply> answered;
    // With a removal goes presence, which what the client says next must not overtake.
    OrderHold hold;
    if (call.is_set() && call.session != nullptr) hold = call.session->hold_order();
    if (call.is_set()) {
      set(*call.account, std::move(query), answered.ticket());
    } else {
      get(*call.account, call.request.from(), query.version, answered.ticket());
    }
    auto reply = co_await answered;
    co_return reply;
  }

  using Ticket = xmpp::Completion<IqReply>::Ticket;

  void get(Account& account, const Jid& from, std::optional<std::string> known, Ticket ticket) {
    read_as(account, true,
            [this, from, known = std::move(known), ticket](Account& owner, const Roster* roster) {
              if (roster == nullptr) {
                ticket.complete(IqReply::error(StanzaCondition::internal_server_error));
                return;
              }
              // From now on, so that no push comes before the result.
              if (Session* session = owner.find_session(from.resource())) {
                (*session)[interest_].wants_pushes = true;
              }
              ticket.complete(make_reply(*roster, known));
            });
  }

  void set(Account& account, xep::Roster query, Ticket ticket) {
    if (auto wrong = check(account, query)) {
      ticket.complete(IqReply::error(std::move(*wrong)));
      return;
    }
    xep::RosterItem item = std::move(query.items.front());
    const Jid contact = item.jid.bare();
    const bool is_removal = item.subscription == xep::Subscription::remove;
    if (is_removal) {
      remove(account, contact, std::move(ticket));
      return;
    }
    auto edit = [item = std::move(item)](RosterContact& known) {
      known.is_listed = true;
      known.name = item.name;
      known.groups = item.groups;
      std::sort(known.groups.begin(), known.groups.end());
      return true;
    };
    change(account, contact, std::move(edit),
           [this, ticket, contact](Account& owner, RosterOutcome outcome) {
             ticket.complete(reply_of(outcome));
             // RFC 6121 2.3.2: every set is pushed, one that changes nothing as well.
             if (outcome != RosterOutcome::unchanged) return;
             const State& state = owner[state_];
             push(owner, current(state, contact), state.roster.version);
           });
  }

  void remove(Account& account, const Jid& contact, Ticket ticket) {
    auto removed = std::make_shared<RosterContact>();
    auto edit = [removed](RosterContact& known) {
      *removed = known;
      return std::exchange(known.is_listed, false);
    };
    change(account, contact, std::move(edit),
           [ticket, removed](Account& owner, RosterOutcome outcome) {
             ticket.complete(reply_of(outcome));
             if (outcome == RosterOutcome::changed) cancel(owner, *removed);
           });
  }

  // RFC 6121 2.5.2: with the item go the subscriptions, both ways; 3.2.2: presence before that.
  static void cancel(Account& account, const RosterContact& removed) {
    if (has_to(removed.subscription) || removed.is_asked) {
      account.send(Stanza::presence(StanzaType::unsubscribe, removed.jid));
    }
    if (!has_from(removed.subscription)) return;
    for (Session* session : account.sessions()) {
      if (!session->is_available()) continue;
      Stanza gone = Stanza::presence(StanzaType::unavailable, removed.jid);
      gone.envelope().from = session->jid();
      account.send(std::move(gone));
    }
    account.send(Stanza::presence(StanzaType::unsubscribed, removed.jid));
  }

  static IqReply reply_of(RosterOutcome outcome) {
    switch (outcome) {
      case RosterOutcome::changed:
      case RosterOutcome::unchanged:
        return IqReply::ok();
      case RosterOutcome::refused:  // there is nothing to remove
        return IqReply::error(StanzaCondition::item_not_found);
      case RosterOutcome::full:
        return IqReply::error({StanzaCondition::resource_constraint, "The roster is full"});
      case RosterOutcome::too_long:  // RFC 6121 2.3.3
        return IqReply::error(
            {StanzaCondition::not_acceptable, "The address, or it and a group, is too long"});
      case RosterOutcome::busy:
        return IqReply::error(StanzaCondition::resource_constraint);
      case RosterOutcome::failed:
        break;
    }
    return IqReply::error(StanzaCondition::internal_server_error);
  }

  // RFC 6121 2.3.3; nullopt if it may be set.
  std::optional<xmpp::StanzaError> check(Account& account, const xep::Roster& query) const {
    if (query.items.size() != 1) {
      return xmpp::StanzaError(StanzaCondition::bad_request, "One item at a time");
    }
    const xep::RosterItem& item = query.items.front();
    if (item.subscription == xep::Subscription::remove) return std::nullopt;
    if (item.jid.bare_equals(account.jid())) {
      return xmpp::StanzaError(StanzaCondition::not_allowed, "This is your own address");
    }
    if (item.name.size() > kTextBytesMax) {
      return xmpp::StanzaError(StanzaCondition::not_acceptable, "The name is too long");
    }
    if (item.groups.size() > static_cast<std::size_t>(*groups_max_)) {
      return xmpp::StanzaError(StanzaCondition::not_acceptable, "Too many groups");
    }
    auto groups = item.groups;
    std::sort(groups.begin(), groups.end());
    if (std::adjacent_find(groups.begin(), groups.end()) != groups.end()) {
      return xmpp::StanzaError(StanzaCondition::bad_request, "A group is named twice");
    }
    for (const std::string& group : groups) {
      if (group.empty() || group.size() > kTextBytesMax) {
        return xmpp::StanzaError(StanzaCondition::not_acceptable,
                                 "A group's name is empty or too long");
      }
    }
    return std::nullopt;
  }

  void log_failure(const StorageError& error) {
    xmpp::log::warn(scope_->log_context(), "a roster cannot be used: check the database",
                    {xmpp::log::kv("error", error.text)});
  }

  Option<std::int64_t> items_max_{*this, "items",   1'000,
                                  1,     1'000'000, "Items of one roster at most."};
  Option<std::int64_t> groups_max_{*this, "groups", 20, 0, 1'000, "Groups of one item at most."};
  Option<std::int64_t> requests_max_{
      *this, "requests", 1'000,
      1,     1'000'000,  "Subscription requests that wait for the answer of one account at most."};
  Scope* scope_ = nullptr;
  AccountSlot<State> state_;
  SessionSlot<Interest> interest_;
  std::uint64_t pushes_ = 0;
  std::shared_ptr<const bool> life_ = std::make_shared<const bool>(true);
};
XMPPD_MODULE(RosterModule, {.name = "roster", .xep = "RFC 6121", .summary = "Keeps rosters"});

}  // namespace xmppd::mod::roster
