// XEP-0199 2.0.1 complete
// Answers pings addressed to the server or to an own account.
#include "xmpp/xep/ping.h"

#include "xmppd/module.h"

namespace xmppd::mod::ping {

class Ping final : public Module {
 public:
  void attach(Scope& scope) override {
    scope.feature(xmpp::ns::ping);
    scope.on_iq<xmpp::xep::Ping>(Target::host | Target::own_account,
                                 [](IqCall&, const xmpp::xep::Ping&) { return IqReply::ok(); });
  }
};
XMPPD_MODULE(Ping, {.name = "ping", .xep = "0199", .summary = "Answers pings"});

}  // namespace xmppd::mod::ping
