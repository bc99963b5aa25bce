// RFC 3921 partial: the session request, which RFC 6121 made unnecessary
// COMPAT(clients that still ask for a session, e.g. libstrophe, gloox): says that none is needed
// and grants it.
#include "xmpp/xep/bind.h"

#include "xmppd/module.h"

namespace xmppd::mod::session_legacy {

class SessionLegacy final : public Module {
 public:
  void attach(Scope& scope) override {
    scope.stream_feature(
        "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>", true);
    scope.on_iq<xmpp::xep::SessionRequest>(
        Target::host | Target::own_account, IqKind::set,
        [](IqCall&, const xmpp::xep::SessionRequest&) { return IqReply::ok(); });
  }
};
XMPPD_MODULE(SessionLegacy, {.name = "session_legacy",
                             .xep = "RFC 3921",
                             .summary = "Grants the session request of old clients"});

}  // namespace xmppd::mod::session_legacy
