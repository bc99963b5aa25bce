// XEP-0030 2.5.0 partial: no items yet
// Answers what the server is and can do.
#include "xmpp/xep/disco.h"

#include "xmppd/disco.h"
#include "xmppd/module.h"

namespace xmppd::mod::disco {

using xmpp::StanzaCondition;
using xmpp::xep::DiscoInfo;
using xmpp::xep::DiscoItems;

class Disco final : public Module {
 public:
  void attach(Scope& scope) override {
    scope.identity("server", "im", "xmppd");
    scope.feature(xmpp::ns::disco_info);
    scope.feature(xmpp::ns::disco_items);
    scope.on_iq<DiscoInfo>(Target::host, IqKind::get, &info);
    scope.on_iq<DiscoItems>(Target::host, IqKind::get, &items);
  }

 private:
  static IqReply info(IqCall& call, const DiscoInfo& query) {
    DiscoInfo answer = make_disco_info(call.host);
    if (!query.node.empty()) {
      // XEP-0115 6.2: who has seen our <c/> asks for that very version.
      const auto caps = make_caps(answer);
      if (query.node != caps.node + "#" + caps.ver) {
        return IqReply::error(StanzaCondition::item_not_found);
      }
      answer.node = query.node;
    }
    return IqReply::with(answer);
  }

  static IqReply items(IqCall&, const DiscoItems& query) {
    if (!query.node.empty()) return IqReply::error(StanzaCondition::item_not_found);
    return IqReply::with(DiscoItems{});
  }
};
XMPPD_MODULE(Disco, {.name = "disco", .xep = "0030", .summary = "Service discovery"});

}  // namespace xmppd::mod::disco
