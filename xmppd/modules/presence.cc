// RFC 6121 4 partial: subscribers who also got directed presence may see it go twice
// Keeps each session's presence, tells the account's other sessions, and remembers directed
// presence so that whoever saw a session come also sees it go (RFC 6121 4). Subscribers are the
// module subscription's.
#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

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
  int value = 0;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size() || value < -128 || value > 127) {
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

class Presence final : public Module {
 public:
  void attach(Scope& scope) override {
    directed_ = scope.session_slot<Directed>();
    scope.on<FromSession>(Stage::deliver, [this](FromSession& hook) { return on_sent(hook); });
    scope.on<ToAccount>(Stage::deliver, [](ToAccount& hook) { return deliver(hook); });
    scope.on<Available>(Stage::deliver, [](Available& hook) { return on_available(hook); });
    scope.on<Unavailable>(Stage::deliver,
                          [this](Unavailable& hook) { return on_unavailable(hook); });
    scope.on<Unbound>(Stage::deliver, [this](Unbound& hook) { return on_unbound(hook); });
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
    auto& targets = hook.from[directed_].targets;
    auto known = std::find(targets.begin(), targets.end(), hook.stanza.to());
    if (hook.stanza.type() == StanzaType::available) {
      if (known == targets.end()) {
        if (targets.size() >= kDirectedMax) return hook.bounce(StanzaCondition::policy_violation);
        targets.push_back(hook.stanza.to());
      }
    } else if (hook.stanza.type() == StanzaType::unavailable && known != targets.end()) {
      targets.erase(known);
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
    if (stanza.type() == StanzaType::error) return Verdict::drop;
    for (Session* session : hook.to.sessions()) {
      if (session->is_available()) session->deliver(stanza);
    }
    return Verdict::handled;
  }

  static Verdict on_available(Available& hook) {
    for (Session* other : hook.session.account().sessions()) {
      if (!other->is_available()) continue;
      // RFC 6121 4.2.2 and 4.4.2: to all own available resources, the sender included.
      other->deliver(addressed(*hook.session.presence(), other->jid().bare()));
      if (hook.is_initial && other != &hook.session) {
        hook.session.deliver(addressed(*other->presence(), hook.session.jid().bare()));
      }
    }
    return Verdict::pass;
  }

  Verdict on_unavailable(Unavailable& hook) {
    const auto& presence = *hook.session.presence();
    for (Session* other : hook.session.account().sessions()) {
      // RFC 6121 4.5.2: also to the resource that sent it (a link that is closing drops it).
      if (other->is_available() || other == &hook.session) {
        other->deliver(addressed(presence, other->jid().bare()));
      }
    }
    tell_directed(hook.session, presence);
    return Verdict::pass;
  }

  void tell_directed(Session& session, const Stanza& presence) {
    auto targets = std::exchange(session[directed_].targets, {});
    for (Jid& target : targets) session.account().send(addressed(presence, std::move(target)));
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
