// RFC 6121 complete
// Delivers messages to an account's sessions (RFC 6121 8.5; the table in hooks.h).
#include "xmpp/xep/delay.h"
#include "xmppd/module.h"

namespace xmppd::mod::message {

using xmpp::Jid;
using xmpp::Payload;
using xmpp::Stanza;
using xmpp::StanzaType;
using xmpp::xep::Delay;

namespace {
// A delay in the name of this host that this host did not add: what it adds comes later.
bool is_forged(const Payload& payload, const Jid& host) {
  if (!payload.is(Delay::codec.name)) return false;
  const auto delay = xmpp::xml::decode<Delay>(payload.element());
  return delay && delay->from == host;
}

// Its stream is over and nobody will resume it: what is delivered to it is lost.
bool is_gone(const Session& session) {
  return session.is_ending() && !session.is_detached();
}
}  // namespace

class Message final : public Module {
 public:
  void attach(Scope& scope) override {
    scope.on<ToAccount>(Stage::filter, [](ToAccount& hook) {
      const bool may_be_forged = hook.stanza.is_message() && hook.stanza.has<Delay>();
      if (may_be_forged) remove_forged_delays(hook.stanza, hook.to.host().jid());
      return Verdict::pass;
    });
    scope.on<ToAccount>(Stage::deliver, [](ToAccount& hook) { return deliver(hook); });
  }

 private:
  // XEP-0203 5: only the recipient's server says that the recipient's server held a message back.
  static void remove_forged_delays(Stanza& stanza, const Jid& host) {
    const auto payloads = stanza.payloads();
    stanza.clear_payloads();
    for (const Payload& payload : payloads) {
      if (!is_forged(payload, host)) stanza.add(payload);
    }
  }

  static Verdict deliver(ToAccount& hook) {
    const auto& stanza = hook.stanza;
    if (!stanza.is_message()) return Verdict::pass;
    if (stanza.to().is_full()) {
      Session* session = hook.to.find_session(stanza.to().resource());
      if (session != nullptr && !is_gone(*session)) {
        session->deliver(std::move(hook.stanza));
        return Verdict::handled;
      }
      // RFC 6121 8.5.3.2.1: only chat falls back to the bare JID.
      if (stanza.type() == StanzaType::error) return Verdict::drop;
      if (stanza.type() != StanzaType::chat) return Verdict::pass;
    }
    if (stanza.type() == StanzaType::error) return Verdict::drop;
    if (stanza.type() == StanzaType::groupchat) return Verdict::pass;
    bool is_delivered = false;
    for (Session* session : hook.to.sessions()) {
      if (!session->takes_messages() || is_gone(*session)) continue;
      session->deliver(stanza);
      is_delivered = true;
    }
    if (is_delivered) return Verdict::handled;
    return stanza.type() == StanzaType::headline ? Verdict::drop : Verdict::pass;
  }
};
XMPPD_MODULE(Message, {.name = "message", .xep = "RFC 6121", .summary = "Delivers messages"});

}  // namespace xmppd::mod::message
