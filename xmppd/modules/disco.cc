// XEP-0030 2.5.0 partial: no items yet
// Answers what the server is and can do; for an own account, that it is one.
#include "xmpp/xep/disco.h"

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
    constexpr auto kAnybody = Target::host | Target::own_account;
    scope.on_iq<DiscoInfo>(kAnybody, IqKind::get, &info);
    scope.on_iq<DiscoItems>(kAnybody, IqKind::get, &items);
  }

 private:
  static IqReply info(IqCall& call, const DiscoInfo& query) {
    if (!query.node.empty()) return IqReply::error(StanzaCondition::item_not_found);
    DiscoInfo answer;
    if (call.target == Target::own_account) {
      // XEP-0030 8: a registered account.
      answer.identities.push_back({"account", "registered", "", ""});
      answer.features.push_back({std::string(xmpp::ns::disco_info)});
      return IqReply::with(answer);
    }
    for (const auto& identity : call.host.identities()) {
      answer.identities.push_back({identity.category, identity.type, identity.name, ""});
    }
    for (const auto& feature : call.host.features()) answer.features.push_back({feature});
    return IqReply::with(answer);
  }

  static IqReply items(IqCall&, const DiscoItems& query) {
    if (!query.node.empty()) return IqReply::error(StanzaCondition::item_not_found);
    return IqReply::with(DiscoItems{});
  }
};
XMPPD_MODULE(Disco, {.name = "disco", .xep = "0030", .summary = "Service discovery"});

}  // namespace xmppd::mod::disco
