// XEP-0202 2.0 complete
// Tells the server's time.
#include "xmpp/xep/time.h"

#include "xmppd/module.h"

namespace xmppd::mod::time {

class Time final : public Module {
 public:
  void attach(Scope& scope) override {
    scope.feature(xmpp::ns::time);
    scope.on_iq<xmpp::xep::EntityTime>(
        Target::host, IqKind::get, [&scope](IqCall&, const xmpp::xep::EntityTime&) {
          return IqReply::with(xmpp::xep::EntityTime{.offset = xmpp::xep::UtcOffset{},
                                                     .utc = scope.reactor().wall()});
        });
  }
};
XMPPD_MODULE(Time, {.name = "time", .xep = "0202", .summary = "Tells the server's time"});

}  // namespace xmppd::mod::time
