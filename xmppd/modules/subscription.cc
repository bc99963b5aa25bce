// RFC 6121 3 partial: the last unavailable presence is not kept for probes
// Presence subscriptions by the table of appendix A, with pre-approval; broadcast of presence to
// those who may see it, probes and their answers.
#include "xmppd/subscription.h"

#include <memory>
#include <optional>
#include <utility>

#include "xmpp/xml/document.h"
#include "xmppd/module.h"
#include "xmppd/roster.h"

namespace xmppd::mod::subscription {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaCondition;
using xmpp::StanzaType;

namespace {

// A request that is bigger is kept without what it contains.
constexpr std::size_t kRequestBytesMax = 4096;

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
  if (text.size() > kRequestBytesMax) {
    stanza.clear_payloads();
    text = to_xml(stanza, xmpp::ns::client);
  }
  return text;
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

// The contact may see the account's presence from now on, or no longer (RFC 6121 3.1.5, 3.2.2).
void tell_change(Account& account, const Plan& plan, const Jid& contact) {
  if (plan.had_from != plan.has_from) tell_presence(account, contact, plan.has_from);
}

void deliver_presence(Account& account, const Stanza& stanza) {
  for (Session* session : account.sessions()) {
    const bool is_addressed =
        stanza.to().is_full() ? session->jid() == stanza.to() : session->is_available();
    if (is_addressed) session->deliver(stanza);
  }
}

void plan_outbound(Plan& plan, RosterContact& contact) {
  const auto step =
      subscription_step(SubscriptionWay::outbound, plan.verb, subscription_state(contact));
  plan.had_from = has_from(contact.subscription);
  plan.goes_on = step.goes_on;
  set_subscription_state(contact, step.next);
  plan.has_from = has_from(contact.subscription);
  switch (plan.verb) {
    case SubscriptionVerb::subscribe:
      contact.is_listed = true;
      break;
    case SubscriptionVerb::subscribed:
      // RFC 6121 3.4: who has not asked yet is approved in advance.
      if (!plan.has_from) contact.is_approved = true;
      contact.is_listed = true;
      break;
    case SubscriptionVerb::unsubscribed:
      contact.is_approved = false;
      break;
    case SubscriptionVerb::unsubscribe:
      break;
  }
}

void plan_inbound(Plan& plan, RosterContact& contact) {
  plan.had_from = plan.has_from = has_from(contact.subscription);
  if (plan.verb == SubscriptionVerb::subscribe && contact.is_approved && !plan.had_from) {
    const bool is_to = has_to(contact.subscription);
    contact.subscription = is_to ? RosterSubscription::both : RosterSubscription::from;
    contact.request.clear();
    plan.is_answered = plan.has_from = true;
    return;
  }
  const auto step =
      subscription_step(SubscriptionWay::inbound, plan.verb, subscription_state(contact));
  plan.goes_on = step.goes_on;
  plan.is_answered = step.is_answered;
  set_subscription_state(contact, step.next);
  plan.has_from = has_from(contact.subscription);
  if (plan.verb == SubscriptionVerb::subscribe && step.goes_on) {
    contact.request = request_of(plan.stanza);
  }
}

// RFC 6121 3.1.3: again at every login until it is answered.
void deliver_request(Session& session, const RosterContact& contact) {
  auto document = xmpp::xml::Document::parse(contact.request, xmpp::ns::client);
  if (!document) return;
  auto parsed = xmpp::parse_stanza(*document, xmpp::ns::client);
  if (parsed) session.deliver(std::move(parsed->stanza));
}

void broadcast(Account& account, const Roster& roster, const Stanza& presence) {
  for (const auto& [jid, contact] : roster.contacts) {
    if (!has_from(contact.subscription)) continue;
    Stanza copy = presence;
    copy.envelope().to = jid;
    account.send(std::move(copy));
  }
}

void begin(Account& account, const Roster& roster, const Jid& from) {
  for (const auto& [jid, contact] : roster.contacts) {
    if (!has_to(contact.subscription)) continue;
    Stanza probe = Stanza::presence(StanzaType::probe, jid);
    probe.envelope().from = from;
    account.send(std::move(probe));
  }
  for (const auto& [jid, contact] : roster.contacts) {
    if (contact.request.empty()) continue;
    if (Session* session = account.find_session(from.resource())) {
      deliver_request(*session, contact);
    }
  }
}

// RFC 6121 4.3.2.
void answer_probe(Account& account, const Roster& roster, const Jid& from) {
  const RosterContact* contact = roster.find(from);
  if (contact == nullptr || !has_from(contact->subscription)) {
    // The prober believes in a permission that is not there; who still waits is not turned down.
    if (contact == nullptr || contact->request.empty()) {
      account.send(Stanza::presence(StanzaType::unsubscribed, from.bare()));
    }
    return;
  }
  bool is_available = false;
  for (Session* session : account.sessions()) {
    if (!session->is_available()) continue;
    is_available = true;
    Stanza presence = *session->presence();
    presence.envelope().to = from;
    account.send(std::move(presence));
  }
  if (!is_available) account.send(Stanza::presence(StanzaType::unavailable, from));
}

}  // namespace

class Subscription final : public Module {
 public:
  void attach(Scope& scope) override {
    scope_ = &scope;
    roster_ = &scope.use<RosterService>();
    scope.stream_feature("<sub xmlns='urn:xmpp:features:pre-approval'/>", true);
    scope.on<FromSession>(Stage::deliver, [this](FromSession& hook) { return on_sent(hook); });
    scope.on<ToAccount>(Stage::copy, [this](ToAccount& hook) { return on_presence(hook); });
    scope.on<ToAccount>(Stage::deliver, [this](ToAccount& hook) { return on_received(hook); });
    scope.on<Available>(Stage::deliver, [this](Available& hook) { return on_available(hook); });
    scope.on<Unavailable>(Stage::deliver,
                          [this](Unavailable& hook) { return on_unavailable(hook); });
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
      const auto condition = outcome == RosterOutcome::failed
                                 ? StanzaCondition::internal_server_error
                                 : StanzaCondition::resource_constraint;
      Session* session = account.find_session(plan.sender.resource());
      if (session == nullptr) return;
      Stanza error = xmpp::make_error(plan.stanza, condition);
      error.envelope().to = plan.sender;
      session->deliver(std::move(error));
      return;
    }
    const Jid contact = plan.stanza.to();
    if (plan.goes_on) account.send(std::move(plan.stanza));
    tell_change(account, plan, contact);
  }

  // Presence does not overtake the "subscribed" before it, which waits for its commit.
  Verdict on_presence(ToAccount& hook) {
    const Stanza& stanza = hook.stanza;
    const bool is_told = stanza.is_presence() && (stanza.type() == StanzaType::available ||
                                                  stanza.type() == StanzaType::unavailable);
    if (!is_told || !roster_->is_busy(hook.to)) return Verdict::pass;
    roster_->read(hook.to,
                  [stanza](Account& account, const Roster*) { deliver_presence(account, stanza); });
    return Verdict::handled;
  }

  Verdict on_received(ToAccount& hook) {
    const Stanza& stanza = hook.stanza;
    if (!stanza.is_presence() || !stanza.from()) return Verdict::pass;
    const bool is_own = stanza.from().bare_equals(hook.to.jid());
    if (stanza.type() == StanzaType::probe) {
      if (is_own) return Verdict::drop;
      roster_->read(hook.to, [from = stanza.from()](Account& account, const Roster* roster) {
        if (roster != nullptr) answer_probe(account, *roster, from);
      });
      return Verdict::handled;
    }
    const auto verb = verb_of(stanza);
    if (!verb) return Verdict::pass;
    if (is_own) return Verdict::drop;
    auto plan = std::make_shared<Plan>();
    plan->stanza = stamped(stanza, stanza.from(), stanza.to());
    plan->verb = *verb;
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
    if (plan.is_answered) account.send(Stanza::presence(StanzaType::subscribed, contact));
    tell_change(account, plan, contact);
  }

  Verdict on_available(Available& hook) {
    roster_->read(hook.session.account(),
                  [presence = *hook.session.presence(), is_initial = hook.is_initial](
                      Account& account, const Roster* roster) {
                    if (roster == nullptr) return;
                    broadcast(account, *roster, presence);
                    if (is_initial) begin(account, *roster, presence.from());
                  });
    return Verdict::pass;
  }

  Verdict on_unavailable(Unavailable& hook) {
    roster_->read(hook.session.account(),
                  [presence = *hook.session.presence()](Account& account, const Roster* roster) {
                    if (roster != nullptr) broadcast(account, *roster, presence);
                  });
    return Verdict::pass;
  }

  Scope* scope_ = nullptr;
  RosterService* roster_ = nullptr;
};
XMPPD_MODULE(Subscription, {.name = "subscription",
                            .xep = "RFC 6121",
                            .summary = "Presence subscriptions, broadcast and probes",
                            .requires_modules = {"presence", "roster"}});

}  // namespace xmppd::mod::subscription
