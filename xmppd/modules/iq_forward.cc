// RFC 6121 complete
// Hands iqs that are addressed to a full JID to that session (RFC 6121 8.5.3).
#include "xmppd/module.h"

namespace xmppd::mod::iq_forward {

class IqForward final : public Module {
 public:
  void attach(Scope& scope) override {
    scope.on<ToAccount>(Stage::deliver, [](ToAccount& hook) {
      if (!hook.stanza.is_iq() || !hook.stanza.to().is_full()) return Verdict::pass;
      Session* session = hook.to.find_session(hook.stanza.to().resource());
      if (session == nullptr) return Verdict::pass;
      // Its stream is over: nobody will answer.
      if (session->is_ending() && !session->is_detached()) return Verdict::pass;
      session->deliver(std::move(hook.stanza));
      return Verdict::handled;
    });
  }
};
XMPPD_MODULE(IqForward, {.name = "iq_forward",
                         .xep = "RFC 6121",
                         .summary = "Hands iqs for a full JID to that session"});

}  // namespace xmppd::mod::iq_forward
