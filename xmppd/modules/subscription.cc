// RFC 6121 3 complete
// Presence subscriptions by the rules of appendix A, with pre-approval; broadcast of presence to
// those who may see it, probes and their answers.
#include "xmppd/subscription.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "xmpp/xep/delay.h"
#include "xmppd/directed_presence.h"
#include "xmppd/module.h"
#include "xmppd/roster.h"
#include "xmppd/stored_stanza.h"

namespace xmppd::mod::subscription {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaCondition;
using xmpp::StanzaType;
using xmpp::Task;

namespace {

// A request or a last presence that is bigger is kept without what it contains.
constexpr std::size_t kKeptBytesMax = 4096;
// Of all requests that wait at a login; the rest comes without what it contains, lest strangers
// fill the output of whoever comes.
constexpr std::size_t kRequestBytesMax = 262'144;
// After a roster could not be read; twice as long each time, up to the second.
constexpr xmpp::Duration kReadAgain = std::chrono::seconds(1);
constexpr xmpp::Duration kReadAgainMax = std::chrono::seconds(8);

// Of an account: available sessions, by resource, that nobody was told of since its roster could
// not be read; true: initial presence.
struct Untold {
  std::map<std::string, bool> sessions;
  bool is_waiting = false;  // tell_untold() is, for `pause`
  xmpp::Instant failed_at{};
  xmpp::Duration pause{};
};

std::optional<SubscriptionVerb> verb_of(const Stanza& stanza) {
  if (!stanza.is_presence()) return std::nullopt;
  switch (stanza.type()) {
    case StanzaType::subscribe:
      return SubscriptionVerb::subscribe;
    case StanzaType::unsubscribe:
      return SubscriptionVerb::unsubscribe;
    case StanzaType::subscribed:
      return SubscriptionVerb::subscribed;
    case StanzaType::unsubscribed:
      return SubscriptionVerb::unsubscribed;
    default:
      return std::nullopt;
  }
}

// Between bare addresses (RFC 6121 3.1.2 and alike).
Stanza stamped(Stanza stanza, const Jid& from, const Jid& to) {
  stanza.envelope().from = from.bare();
  stanza.envelope().to = to.bare();
  return stanza;
}

std::string request_of(Stanza stanza) {
  std::string text = to_xml(stanza, xmpp::ns::client);
  if (text.size() > kKeptBytesMax) {
    stanza.clear_payloads();
    text = to_xml(stanza, xmpp::ns::client);
  }
  return text;
}

bool is_available(const Account& account) {
  const auto sessions = account.sessions();
  return std::any_of(sessions.begin(), sessions.end(),
                     [](const Session* session) { return session->is_available(); });
}

// What an edit of the roster decided and its end carries out.
struct Plan {
  Stanza stanza;  // stamped
  Jid sender;     // outbound: the session
  SubscriptionVerb verb{};
  bool goes_on = false;
  bool is_answered = false;
  bool had_from = false;
  bool has_from = false;
  OrderHold hold;  // what the sender says next waits for the commit
  Ticket ticket;   // and so does its acknowledgement
};

void tell_presence(Account& account, const Jid& contact, bool is_visible) {
  for (Session* session : account.sessions()) {
    if (!session->is_available()) continue;
    Stanza presence = is_visible ? *session->presence() : Stanza::presence(StanzaType::unavailable);
    presence.envelope().from = session->jid();
    presence.envelope().to = contact;
    account.send(std::move(presence));
  }
}

// REQUIRES: the change was not made.
StanzaCondition condition_of(RosterOutcome outcome) {
  if (outcome == RosterOutcome::failed) return StanzaCondition::internal_server_error;
  if (outcome == RosterOutcome::too_long) return StanzaCondition::not_acceptable;
  return StanzaCondition::resource_constraint;
}

// The contact may see the account's presence from now on, or no longer (RFC 6121 3.1.5, 3.2.2).
void tell_change(Account& account, const Plan& plan, const Jid& contact) {
  if (plan.had_from != plan.has_from) tell_presence(account, contact, plan.has_from);
}

void plan_outbound(Plan& plan, RosterContact& contact) {
  plan.had_from = has_from(contact.subscription);
  plan.goes_on = send_subscription(plan.verb, contact).goes_on;
  plan.has_from = has_from(contact.subscription);
}

void plan_inbound(Plan& plan, RosterContact& contact) {
  plan.had_from = has_from(contact.subscription);
  const auto step = receive_subscription(plan.verb, contact, request_of(plan.stanza));
  plan.goes_on = step.goes_on;
  plan.is_answered = step.is_answered;
  plan.has_from = has_from(contact.subscription);
}

void broadcast(Account& account, const Roster& roster, const Stanza& presence) {
  for (const auto& [jid, contact] : roster.contacts) {
    if (!has_from(contact.subscription)) continue;
    Stanza copy = presence;
    copy.envelope().to = jid;
    account.send(std::move(copy));
  }
}

// Does broadcast presence reach it: a subscriber, or the account itself?
bool is_broadcast_to(const Account& account, const Roster* roster, const Jid& entity) {
  if (entity.bare_equals(account.jid())) {
    const Session* session = account.find_session(entity.resource());
    return entity.is_bare() || (session != nullptr && session->is_available());
  }
  const RosterContact* contact = roster == nullptr ? nullptr : roster->find(entity);
  return contact != nullptr && has_from(contact->subscription);
}

void add_subscribers(std::vector<Jid>& entities, const Roster& roster) {
  for (const auto& [jid, contact] : roster.contacts) {
    if (has_from(contact.subscription)) entities.push_back(jid);
  }
}

// What a session that has become available is told.
void begin(Account& account, const Roster& roster, const Jid& from) {
  for (const auto& [jid, contact] : roster.contacts) {
    if (!has_to(contact.subscription)) continue;
    // In the name of the full JID, though 4.3 has the bare one: the other sessions, which have been
    // answered, are spared.
    Stanza probe = Stanza::presence(StanzaType::probe, jid);
    probe.envelope().from = from;
    account.send(std::move(probe));
  }
  std::size_t bytes = 0;
  for (const auto& [jid, contact] : roster.contacts) {
    if (contact.request.empty()) continue;
    Session* session = account.find_session(from.resource());
    if (session == nullptr || !session->is_available()) return;
    // RFC 6121 3.1.3: again at every login until it is answered.
    auto request = parse_stored_stanza(contact.request);
    if (!request) continue;
    bytes += contact.request.size();
    if (bytes > kRequestBytesMax) request->clear_payloads();
    session->deliver(std::move(*request));
  }
}

// Presence to who asked, and nothing more than that where `presence` is nothing more.
void answer(Account& account, const Jid& to, const Jid& from, Stanza presence) {
  presence.envelope().to = to;
  presence.envelope().from = from;
  account.send(std::move(presence));
}

// RFC 6121 4.3.2, rule 3. (4.3.2.1: the probe's id where there is no available resource's own.)
void answer_gone(Account& account, const Roster& roster, const Stanza& probe) {
  Stanza gone =
      parse_stored_stanza(roster.last_presence).value_or(Stanza::presence(StanzaType::unavailable));
  gone.envelope().id = probe.id();
  answer(account, probe.from(), account.jid(), std::move(gone));
}

// A probe of who may see the account's presence (RFC 6121 4.3.2, rules 3 and 4).
void answer_subscriber(Account& account, const Roster& roster, const Stanza& probe) {
  if (probe.to().is_full()) {
    // Nothing but whether this resource is there.
    const Session* session = account.find_session(probe.to().resource());
    const bool is_there = session != nullptr && session->is_available();
    Stanza bare = Stanza::presence(is_there ? StanzaType::available : StanzaType::unavailable);
    // 4.3.2.1: that of the resource's own presence, if there is one.
    bare.envelope().id = is_there ? session->presence()->id() : probe.id();
    answer(account, probe.from(), probe.to(), std::move(bare));
    return;
  }
  for (const Session* session : account.sessions()) {
    if (session->is_available()) {
      answer(account, probe.from(), session->jid(), *session->presence());
    }
  }
  if (!is_available(account)) answer_gone(account, roster, probe);
}

}  // namespace

class Subscription final : public Module {
 public:
  void attach(Scope& scope) override {
    scope_ = &scope;
    roster_ = &scope.use<RosterService>();
    directed_ = &scope.use<DirectedPresence>();
    untold_ = scope.account_slot<Untold>();
    scope.stream_feature("<sub xmlns='urn:xmpp:features:pre-approval'/>", true);
    scope.on<FromSession>(Stage::deliver, [this](FromSession& hook) { return on_sent(hook); });
    scope.on<ToAccount>(Stage::deliver, [this](ToAccount& hook) { return on_received(hook); });
    scope.on<Available>(Stage::deliver, [this](Available& hook) { return on_available(hook); });
    // Before the module presence tells those who got directed presence: here it is known whom the
    // broadcast reaches.
    scope.on<Unavailable>(Stage::copy, [this](Unavailable& hook) { return on_unavailable(hook); });
    scope.on<Removed>(Stage::deliver, [this](Removed& hook) { return on_removed(hook); });
  }

 private:
  Verdict on_sent(FromSession& hook) {
    const auto verb = verb_of(hook.stanza);
    if (!verb || !hook.stanza.to()) return Verdict::pass;
    Account& account = hook.from.account();
    const Jid contact = hook.stanza.to().bare();
    if (contact == account.jid()) return Verdict::drop;
    auto plan = std::make_shared<Plan>();
    plan->stanza = stamped(hook.stanza, account.jid(), contact);
    plan->sender = hook.from.jid();
    plan->verb = *verb;
    plan->hold = hook.from.hold_order();
    plan->ticket = account.hold(hook.stanza);
    roster_->change(
        account, contact,
        [plan](RosterContact& known) {
          plan_outbound(*plan, known);
          return true;
        },
        [plan](Account& owner, RosterOutcome outcome) { finish_outbound(*plan, owner, outcome); });
    return Verdict::handled;
  }

  static void finish_outbound(Plan& plan, Account& account, RosterOutcome outcome) {
    if (outcome != RosterOutcome::changed && outcome != RosterOutcome::unchanged) {
      Session* session = account.find_session(plan.sender.resource());
      if (session == nullptr) return;
      Stanza error = xmpp::make_error(plan.stanza, condition_of(outcome));
      error.envelope().to = plan.sender;
      session->deliver(std::move(error));
      return;
    }
    const Jid contact = plan.stanza.to();
    // RFC 6121 3.2.2: gone while the contact still may see it; 3.1.5: there when it may.
    if (!plan.has_from) tell_change(account, plan, contact);
    if (plan.goes_on) account.send(std::move(plan.stanza));
    if (plan.has_from) tell_change(account, plan, contact);
  }

  Verdict on_received(ToAccount& hook) {
    const Stanza& stanza = hook.stanza;
    if (!stanza.is_presence() || !stanza.from()) return Verdict::pass;
    const bool is_own = stanza.from().bare_equals(hook.to.jid());
    if (stanza.type() == StanzaType::probe) {
      roster_->read(hook.to, scope_->guard([this, stanza](Account& account, const Roster* roster) {
        if (roster != nullptr) answer_probe(account, *roster, stanza);
      }));
      return Verdict::handled;
    }
    const auto verb = verb_of(stanza);
    if (!verb) return Verdict::pass;
    if (is_own) return Verdict::drop;
    // RFC 6121 8.5.3.2.2; a request to a full JID is one to the account (3.1.3).
    if (verb != SubscriptionVerb::subscribe && stanza.to().is_full() &&
        hook.to.find_session(stanza.to().resource()) == nullptr) {
      return Verdict::drop;
    }
    auto plan = std::make_shared<Plan>();
    plan->stanza = stamped(stanza, stanza.from(), stanza.to());
    plan->verb = *verb;
    plan->hold = hook.to.hold_order(stanza);
    plan->ticket = hook.to.hold(stanza);
    roster_->change(
        hook.to, stanza.from().bare(),
        [plan](RosterContact& known) {
          plan_inbound(*plan, known);
          return true;
        },
        scope_->guard([this, plan](Account& owner, RosterOutcome outcome) {
          if (outcome == RosterOutcome::changed || outcome == RosterOutcome::unchanged) {
            finish_inbound(*plan, owner);
          }
        }));
    return Verdict::handled;
  }

  void finish_inbound(const Plan& plan, Account& account) {
    if (plan.goes_on) {
      for (Session* session : account.sessions()) {
        // RFC 6121 3.1.3: a request goes to who is available; 3.1.6, 3.2.3, 3.3.3: the rest to who
        // knows the roster.
        const bool is_wanted = plan.verb == SubscriptionVerb::subscribe
                                   ? session->is_available()
                                   : roster_->is_interested(*session);
        if (is_wanted) session->deliver(plan.stanza);
      }
    }
    const Jid contact = plan.stanza.from();
    if (plan.is_answered) {
      Stanza answer = Stanza::presence(StanzaType::subscribed, contact);
      answer.envelope().id = plan.stanza.id();
      account.send(std::move(answer));
    }
    tell_change(account, plan, contact);
  }

  void answer_probe(Account& account, const Roster& roster, const Stanza& probe) {
    const Jid& from = probe.from();
    const RosterContact* contact = roster.find(from);
    if (from.bare_equals(account.jid()) ||
        (contact != nullptr && has_from(contact->subscription))) {
      answer_subscriber(account, roster, probe);
      return;
    }
    // RFC 6121 4.6.6: whoever got directed presence may know whether it still holds.
    bool is_answered = false;
    for (Session* session : account.sessions()) {
      if (probe.to().is_full() && session->jid() != probe.to()) continue;
      if (!directed_->has_told(*session, from) && !directed_->has_told(*session, from.bare())) {
        continue;
      }
      Stanza bare = Stanza::presence();
      bare.envelope().id = probe.id();
      answer(account, from, session->jid(), std::move(bare));
      is_answered = true;
    }
    // The prober believes in a permission that is not there; who still waits is not turned down.
    if (is_answered || (contact != nullptr && !contact->request.empty())) return;
    Stanza refusal = Stanza::presence(StanzaType::unsubscribed);
    refusal.envelope().id = probe.id();
    answer(account, from.bare(), account.jid(), std::move(refusal));
  }

  Verdict on_available(Available& hook) {
    tell_available(hook.session.account(), *hook.session.presence(), hook.is_initial,
                   hook.session.hold_order());
    return Verdict::pass;
  }

  void tell_available(Account& account, Stanza presence, bool is_initial, OrderHold hold) {
    auto later = scope_->guard([this, is_initial](Account& owner, const Jid& session) {
      tell_later(owner, session, is_initial);
    });
    roster_->read(account,
                  [presence = std::move(presence), is_initial, hold = std::move(hold),
                   later = std::move(later)](Account& owner, const Roster* roster) mutable {
                    if (roster == nullptr) {
                      later(owner, presence.from());
                      return;
                    }
                    broadcast(owner, *roster, presence);
                    if (is_initial) begin(owner, *roster, presence.from());
                  });
  }

  // The database could not say whom to tell, or of what: it is asked again until it can, or the
  // session has gone. Meanwhile nothing waits for it.
  void tell_later(Account& account, const Jid& session, bool is_initial) {
    if (!account.host().is_served()) return;
    Untold& untold = account[untold_];
    untold.sessions[std::string(session.resource())] |= is_initial;
    if (std::exchange(untold.is_waiting, true)) return;
    const auto now = scope_->reactor().now();
    const bool is_again = now - untold.failed_at < 2 * untold.pause;
    untold.pause = is_again ? std::min(2 * untold.pause, kReadAgainMax) : kReadAgain;
    untold.failed_at = now;
    account.spawn(*scope_, tell_untold(account));
  }

  Task<void> tell_untold(Account& account) {
    xmpp::Completion<void> over;
    xmpp::Timer timer([ticket = over.ticket()] { ticket.complete(); });
    scope_->reactor().timers().set(timer, scope_->reactor().now() + account[untold_].pause);
    co_await over;
    Untold& untold = account[untold_];
    untold.is_waiting = false;
    const auto sessions = std::exchange(untold.sessions, {});
    for (const auto& [resource, is_initial] : sessions) {
      Session* session = account.find_session(resource);
      if (session == nullptr || !session->is_available()) continue;
      tell_available(account, *session->presence(), is_initial, {});
    }
  }

  Verdict on_unavailable(Unavailable& hook) {
    Account& leaving = hook.session.account();
    const Stanza& presence = *hook.session.presence();
    if (!is_available(leaving)) roster_->keep_last_presence(leaving, last_presence(presence));
    if (Untold* untold = leaving.find(untold_)) {
      untold->sessions.erase(std::string(hook.session.jid().resource()));
    }
    auto directed = directed_->take(hook.session);
    // A change under way may end what somebody may see. Its end does not tell of this session any
    // more, and the broadcast, which waits for it, does not reach them: told like the others.
    if (const Roster* now = roster_->before_changes(leaving)) add_subscribers(directed, *now);
    roster_->read(leaving,
                  [presence, directed = std::move(directed), hold = hook.session.hold_order()](
                      Account& account, const Roster* roster) {
                    if (roster != nullptr) broadcast(account, *roster, presence);
                    for (const Jid& entity : directed) {
                      if (!is_broadcast_to(account, roster, entity)) {
                        answer(account, entity, presence.from(), presence);
                      }
                    }
                  });
    return Verdict::pass;
  }

  // With the time, for probes (RFC 6121 4.3.2).
  [[nodiscard]] std::string last_presence(Stanza presence) const {
    presence.envelope().from = presence.envelope().to = {};
    presence.remove<xmpp::xep::Delay>();
    const xmpp::xep::Delay now{scope_->reactor().wall(), {}, {}};
    presence.add(now);
    std::string text = to_xml(presence, xmpp::ns::client);
    if (text.size() > kKeptBytesMax) {
      presence.clear_payloads();
      presence.add(now);
      text = to_xml(presence, xmpp::ns::client);
    }
    return text;
  }

  // Its contacts shall not believe in it any longer.
  Verdict on_removed(Removed& hook) {
    for (const RosterContact& contact : hook.roster.contacts) {
      const bool has_seen = has_from(contact.subscription);
      if (has_seen) tell_presence(hook.account, contact.jid, false);
      if (has_to(contact.subscription) || contact.is_asked) {
        hook.account.send(Stanza::presence(StanzaType::unsubscribe, contact.jid));
      }
      if (has_seen || !contact.request.empty()) {
        hook.account.send(Stanza::presence(StanzaType::unsubscribed, contact.jid));
      }
    }
    roster_->forget(hook.account);
    return Verdict::pass;
  }

  Scope* scope_ = nullptr;
  RosterService* roster_ = nullptr;
  DirectedPresence* directed_ = nullptr;
  AccountSlot<Untold> untold_;
};
XMPPD_MODULE(Subscription, {.name = "subscription",
                            .xep = "RFC 6121",
                            .summary = "Presence subscriptions, broadcast and probes",
                            .requires_modules = {"presence", "roster"}});

}  // namespace xmppd::mod::subscription
