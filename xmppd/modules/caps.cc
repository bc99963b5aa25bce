// XEP-0115 1.6.0 partial: the server's own; those of clients are only passed on
// Tells clients the hash of the server's disco#info as a stream feature (section 6.3), so that they
// need not ask again what they have asked before.
#include "xmppd/disco.h"
#include "xmppd/module.h"

namespace xmppd::mod::caps {

class Caps final : public Module {
 public:
  void attach(Scope& scope) override {
    scope.feature(xmpp::ns::caps);
    scope.stream_feature(
        [](Host& host) { return xmpp::xml::to_xml(make_caps(make_disco_info(host))); });
  }
};
XMPPD_MODULE(Caps, {.name = "caps",
                    .xep = "0115",
                    .summary = "Tells the server's capabilities",
                    .requires_modules = {"disco"}});

}  // namespace xmppd::mod::caps
