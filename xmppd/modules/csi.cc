// XEP-0352 1.0.0 complete
// While a client says that nobody looks at it, presence and chat states wait for it, the latest of
// each sender; they go before anything else that is sent to it, and when the module is unloaded.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "xmpp/xep/chat_states.h"
#include "xmpp/xml/document.h"
#include "xmppd/module.h"

namespace xmppd::mod::csi {

using xmpp::Stanza;
using xmpp::StanzaType;
using xmpp::xml::Element;
using xmpp::xml::Name;

namespace {

constexpr Name kMucUser{"http://jabber.org/protocol/muc#user", "x"};
constexpr Name kMucStatus{"http://jabber.org/protocol/muc#user", "status"};
// What is bigger is not worth the memory.
constexpr std::size_t kHeldBytesMax = 8'192;

struct State {
  static constexpr std::string_view kSlotName = "state";
  // An element that holds what waits; empty: active.
  [[nodiscard]] std::string save() const {
    if (!is_inactive) return {};
    std::string saved = "<inactive xmlns='urn:xmpp:csi:0'>";
    for (const Stanza& stanza : held) saved += to_xml(stanza, xmpp::ns::client);
    return saved + "</inactive>";
  }
  static std::optional<State> restore(std::string_view saved) {
    constexpr xmpp::xml::Limits kBig{.stanza_bytes = 1 << 27, .nodes = 1 << 22};
    auto all = xmpp::xml::Document::parse(saved, {}, kBig);
    if (!all) return std::nullopt;
    State state;
    state.is_inactive = true;
    for (const Element child : all->root().children()) {
      auto document = xmpp::xml::Document::parse(child.raw(), xmpp::ns::client, kBig);
      if (!document) continue;
      auto parsed = xmpp::parse_stanza(*document, xmpp::ns::client);
      if (parsed) state.held.push_back(std::move(parsed->stanza));
    }
    return state;
  }

  bool is_inactive = false;
  bool is_flushing = false;
  std::vector<Stanza> held;
};

std::size_t size_of(const Stanza& stanza) {
  std::size_t size = 0;
  for (const xmpp::Payload& payload : stanza.payloads()) size += payload.verbatim().size();
  return size;
}

// A status code tells of what happens to the client itself in a room, not only of others.
bool has_muc_status(const Stanza& presence) {
  const xmpp::Payload* payload = presence.find(kMucUser);
  return payload != nullptr && payload->element().find_child(kMucStatus);
}

bool can_wait(const Stanza& stanza) {
  switch (stanza.kind()) {
    case xmpp::StanzaKind::presence:
      return (stanza.type() == StanzaType::available || stanza.type() == StanzaType::unavailable) &&
             !has_muc_status(stanza) && size_of(stanza) <= kHeldBytesMax;
    case xmpp::StanzaKind::message:
      return stanza.type() != StanzaType::error && xmpp::xep::is_only_chat_state(stanza) &&
             size_of(stanza) <= kHeldBytesMax;
    case xmpp::StanzaKind::iq:
      break;
  }
  return false;
}

}  // namespace

class Csi final : public Module {
 public:
  void attach(Scope& scope) override {
    scope_ = &scope;
    state_ = scope.session_slot<State>();
    scope.stream_feature("<csi xmlns='urn:xmpp:csi:0'/>", true);
    scope.on_nonza(xmpp::ns::csi, [this](Session& session, Element element) {
      if (element.name() == "inactive") {
        session[state_].is_inactive = true;
      } else if (element.name() == "active") {
        session[state_].is_inactive = false;
        flush(session);
      }
    });
    // Section 5.2: a resumed stream begins in the active state.
    scope.on<Resumed>(Stage::deliver, [this](Resumed& hook) {
      hook.session[state_].is_inactive = false;
      flush(hook.session);
      return Verdict::pass;
    });
    scope.on<ToSession>(Stage::deliver, [this](ToSession& hook) { return on_delivery(hook); });
  }

  // Nobody will tell it of the client's activity any more.
  void retire(bool has_successor) override {
    if (has_successor) return;
    scope_->for_each(state_, [this](Session& session, State& state) {
      state.is_inactive = false;
      flush(session);
    });
  }

 private:
  Verdict on_delivery(ToSession& hook) {
    State& state = hook.to[state_];
    if (!state.is_inactive || state.is_flushing) return Verdict::pass;
    if (!can_wait(hook.stanza)) {
      flush(hook.to);
      return Verdict::pass;
    }
    // Of each sender the latest counts; a stale one that stays would only be corrected.
    const auto& latest = hook.stanza;
    std::erase_if(state.held, [&latest](const Stanza& one) {
      return one.kind() == latest.kind() && one.from() == latest.from();
    });
    state.held.push_back(std::move(hook.stanza));
    if (state.held.size() >= static_cast<std::size_t>(*stanzas_)) flush(hook.to);
    return Verdict::handled;
  }

  void flush(Session& session) {
    State& state = session[state_];
    if (state.held.empty()) return;
    state.is_flushing = true;
    for (Stanza& stanza : std::exchange(state.held, {})) session.deliver(std::move(stanza));
    session[state_].is_flushing = false;
  }

  Option<std::int64_t> stanzas_{*this, "stanzas", 200,
                                1,     10'000,    "Stanzas that wait for one session at most."};
  Scope* scope_ = nullptr;
  SessionSlot<State> state_;
};
XMPPD_MODULE(Csi, {.name = "csi",
                   .xep = "0352",
                   .summary = "Lets what nobody looks at wait for idle clients"});

}  // namespace xmppd::mod::csi
