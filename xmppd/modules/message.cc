// RFC 6121 complete
// Delivers messages to an account's sessions (RFC 6121 8.5; the table in hooks.h).
#include "xmppd/module.h"

namespace xmppd::mod::message {

using xmpp::StanzaType;

namespace {
// Its stream is over and nobody will resume it: what is delivered to it is lost.
bool is_gone(const Session& session) {
  return session.is_ending() && !session.is_detached();
}
}  // namespace

class Message final : public Module {
 public:
  void attach(Scope& scope) override {
    scope.on<ToAccount>(Stage::deliver, [](ToAccount& hook) { return deliver(hook); });
  }

 private:
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
