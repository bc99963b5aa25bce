// RFC 6121 4 complete
// Keeps each session's presence, tells the account's other sessions, and remembers directed
// presence so that whoever saw a session come also sees it go (RFC 6121 4). Subscribers are the
// module subscription's.
#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "xmppd/directed_presence.h"
#include "xmppd/module.h"

namespace xmppd::mod::presence {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaCondition;
using xmpp::StanzaType;

namespace {

// Entities that a session sent directed presence to (RFC 6121 4.6).
struct Directed {
  static constexpr std::string_view kSlotName = "directed";
  [[nodiscard]] std::string save() const {
    std::string lines;
    for (const Jid& target : targets) lines.append(target.str()).append("\n");  // never in a JID
    return lines;
  }
  static std::optional<Directed> restore(std::string_view saved) {
    Directed directed;
    while (!saved.empty()) {
      const auto end = saved.find('\n');
      if (auto jid = Jid::parse(saved.substr(0, end))) directed.targets.push_back(std::move(*jid));
      saved.remove_prefix(end == std::string_view::npos ? saved.size() : end + 1);
    }
    return directed;
  }
  std::vector<Jid> targets;
};
constexpr std::size_t kDirectedMax = 1000;

// RFC 6121 4.7.2.3: -128..127, absent is 0; nullopt if it is no such number.
std::optional<std::int8_t> priority_of(const Stanza& presence) {
  auto text = presence.child_text("priority");
  if (!text) return std::int8_t{0};
  // An integer of XML Schema: white space around it, and a plus sign.
  std::string_view digits = *text;
  constexpr std::string_view kSpace = " \t\r\n";
  digits.remove_prefix(std::min(digits.find_first_not_of(kSpace), digits.size()));
  digits.remove_suffix(digits.size() - (digits.find_last_not_of(kSpace) + 1));
  if (digits.size() > 1 && digits[0] == '+' && digits[1] != '-') digits.remove_prefix(1);
  int value = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || value < -128 || value > 127) {
    return std::nullopt;
  }
  return static_cast<std::int8_t>(value);
}

// Left to the module subscription; nobody delivers them without it.
bool is_of_subscriptions(StanzaType type) {
  return type != StanzaType::available && type != StanzaType::unavailable &&
         type != StanzaType::error;
}

}  // namespace

class Presence final : public Module, public DirectedPresence {
 public:
  void attach(Scope& scope) override {
    directed_ = scope.session_slot<Directed>();
    scope.provide<DirectedPresence>(*this);
    scope.on<FromSession>(Stage::deliver, [this](FromSession& hook) { return on_sent(hook); });
    scope.on<SentByAccount>(Stage::deliver,
                            [this](SentByAccount& hook) { return on_leaving(hook); });
    scope.on<ToAccount>(Stage::copy, [this](ToAccount& hook) { return on_entity_gone(hook); });
    scope.on<ToAccount>(Stage::deliver, [](ToAccount& hook) { return deliver(hook); });
    scope.on<Available>(Stage::deliver, [](Available& hook) { return on_available(hook); });
    scope.on<Unavailable>(Stage::deliver,
                          [this](Unavailable& hook) { return on_unavailable(hook); });
    scope.on<Unbound>(Stage::deliver, [this](Unbound& hook) { return on_unbound(hook); });
  }

  bool has_told(Session& session, const Jid& entity) override {
    const auto& targets = session[directed_].targets;
    return std::find(targets.begin(), targets.end(), entity) != targets.end();
  }
  std::vector<Jid> list(Session& session) override { return session[directed_].targets; }
  std::vector<Jid> take(Session& session) override {
    return std::exchange(session[directed_].targets, {});
  }

 private:
  Verdict on_sent(FromSession& hook) {
    if (!hook.stanza.is_presence()) return Verdict::pass;
    if (hook.stanza.to()) return on_directed(hook);
    switch (hook.stanza.type()) {
      case StanzaType::available: {
        auto priority = priority_of(hook.stanza);
        if (!priority)
          return hook.bounce({StanzaCondition::bad_request, "priority is -128 to 127"});
        hook.from.set_presence(hook.stanza, *priority);
        return Verdict::handled;
      }
      case StanzaType::unavailable:
        if (hook.from.is_available()) {
          hook.from.set_unavailable(hook.stanza);
        } else {
          // RFC 6121 4.6.3: who was told directly is told also without initial presence.
          tell_directed(hook.from, hook.stanza);
        }
        return Verdict::handled;
      case StanzaType::error:
        return Verdict::drop;
      default:
        // A subscription or a probe without `to` is addressed to nobody.
        return hook.bounce(StanzaCondition::bad_request);
    }
  }

  // Remembers whom to tell at the end; the stanza itself goes on to the router.
  Verdict on_directed(FromSession& hook) {
    if (hook.stanza.type() != StanzaType::available || has_told(hook.from, hook.stanza.to())) {
      return Verdict::pass;
    }
    auto& targets = hook.from[directed_].targets;
    if (targets.size() >= kDirectedMax) return hook.bounce(StanzaCondition::policy_violation);
    targets.push_back(hook.stanza.to());
    return Verdict::pass;
  }

  // Whoever is told, by the client or on its behalf, need not be told again.
  Verdict on_leaving(SentByAccount& hook) {
    const Stanza& stanza = hook.stanza;
    if (!stanza.is_presence() || stanza.type() != StanzaType::unavailable) return Verdict::pass;
    Session* session = hook.from.find_session(stanza.from().resource());
    if (session == nullptr) return Verdict::pass;
    std::erase_if((*session)[directed_].targets, [&to = stanza.to()](const Jid& target) {
      return target == to || (to.is_bare() && target.bare_equals(to));
    });
    return Verdict::pass;
  }

  // RFC 6121 4.6.1: nor does who has gone itself, e.g. a room that was left.
  Verdict on_entity_gone(ToAccount& hook) {
    const Stanza& stanza = hook.stanza;
    if (!stanza.is_presence() || stanza.type() != StanzaType::unavailable) return Verdict::pass;
    for (Session* session : hook.to.sessions()) {
      if (stanza.to().is_full() && session->jid() != stanza.to()) continue;
      std::erase((*session)[directed_].targets, stanza.from());
    }
    return Verdict::pass;
  }

  static Verdict deliver(ToAccount& hook) {
    const auto& stanza = hook.stanza;
    if (!stanza.is_presence() || is_of_subscriptions(stanza.type())) return Verdict::pass;
    if (stanza.to().is_full()) {
      Session* session = hook.to.find_session(stanza.to().resource());
      if (session == nullptr) return Verdict::drop;
      session->deliver(stanza);
      return Verdict::handled;
    }
    // RFC 6121 3.1.2: also why a request, which is sent in the account's name, could not be routed.
    for (Session* session : hook.to.sessions()) {
      if (session->is_available()) session->deliver(stanza);
    }
    return Verdict::handled;
  }

  // RFC 6121 4.2.2 and 4.4.2: to all own available resources, the sender included. On the way that
  // directed presence takes, too, so that neither overtakes the other (RFC 6120 10.1).
  static Verdict on_available(Available& hook) {
    Account& account = hook.session.account();
    account.send(addressed(*hook.session.presence(), account.jid()));
    if (!hook.is_initial) return Verdict::pass;
    for (Session* other : account.sessions()) {
      if (!other->is_available() || other == &hook.session) continue;
      hook.session.deliver(addressed(*other->presence(), account.jid()));
    }
    return Verdict::pass;
  }

  Verdict on_unavailable(Unavailable& hook) {
    Account& account = hook.session.account();
    const auto& presence = *hook.session.presence();
    // RFC 6121 4.5.2: also to the resource that sent it (a link that is closing drops it).
    hook.session.deliver(addressed(presence, account.jid()));
    tell_directed(hook.session, presence);
    // Even if nobody is there: what was said before may still be on its way, and be seen by who
    // comes.
    account.send(addressed(presence, account.jid()));
    return Verdict::pass;
  }

  void tell_directed(Session& session, const Stanza& presence) {
    for (Jid& target : take(session)) {
      session.account().send(addressed(presence, std::move(target)));
    }
  }

  // However a session ends, everybody who saw it is told (RFC 6121 4.5.2).
  Verdict on_unbound(Unbound& hook) {
    Stanza gone = Stanza::presence(StanzaType::unavailable);
    gone.envelope().from = hook.session.jid();
    if (hook.session.is_available()) {
      hook.session.set_unavailable(std::move(gone));
      return Verdict::pass;
    }
    tell_directed(hook.session, gone);
    return Verdict::pass;
  }

  static Stanza addressed(Stanza stanza, Jid to) {
    stanza.envelope().to = std::move(to);
    return stanza;
  }

  SessionSlot<Directed> directed_;
};
XMPPD_MODULE(Presence,
             {.name = "presence", .xep = "RFC 6121", .summary = "Keeps and tells presence"});

}  // namespace xmppd::mod::presence
