// XEP-0030 2.5.0 complete
// Answers service discovery on behalf of accounts (section 8): what they are and which resources
// are available, for their owner and for who may see their presence; strangers cannot tell an
// account from none.
#include "xmpp/xep/disco.h"

#include <utility>

#include "xmppd/module.h"
#include "xmppd/roster.h"
#include "xmppd/subscription.h"

namespace xmppd::mod::account_disco {

using xmpp::Completion;
using xmpp::StanzaCondition;
using xmpp::Task;
using xmpp::xep::DiscoInfo;
using xmpp::xep::DiscoItems;

namespace {

DiscoItems available_resources(const Account& account) {
  DiscoItems answer;
  for (const Session* session : account.sessions()) {
    if (session->is_available()) answer.items.push_back({session->jid(), "", ""});
  }
  return answer;
}

IqReply nothing_at(const DiscoItems& query) {
  DiscoItems answer;
  answer.node = query.node;
  return IqReply::with(answer);
}

}  // namespace

class AccountDisco final : public Module {
 public:
  void attach(Scope& scope) override {
    roster_ = &scope.use<RosterService>();
    constexpr auto kAccounts = Target::own_account | Target::account;
    scope.on_iq<DiscoInfo>(kAccounts, IqKind::get, [this](IqCall& call, DiscoInfo query) {
      return info(call, std::move(query));
    });
    scope.on_iq<DiscoItems>(kAccounts, IqKind::get, [this](IqCall& call, DiscoItems query) {
      return items(call, std::move(query));
    });
    scope.on_iq<DiscoItems>(Target::nobody, IqKind::get,
                            [](IqCall&, const DiscoItems& query) { return nothing_at(query); });
  }

 private:
  Task<IqReply> info(IqCall& call, DiscoInfo query) {
    auto pending = ask(call);
    const auto seen = co_await pending;
    if (!seen.is_allowed) co_return IqReply::error(StanzaCondition::service_unavailable);
    if (!query.node.empty()) co_return IqReply::error(StanzaCondition::item_not_found);
    DiscoInfo answer;
    answer.identities.push_back({"account", "registered", "", ""});
    answer.features.push_back({std::string(xmpp::ns::disco_info)});
    answer.features.push_back({std::string(xmpp::ns::disco_items)});
    co_return IqReply::with(answer);
  }

  Task<IqReply> items(IqCall& call, DiscoItems query) {
    auto pending = ask(call);
    auto seen = co_await pending;
    if (!seen.is_allowed) co_return nothing_at(query);
    if (!query.node.empty()) co_return IqReply::error(StanzaCondition::item_not_found);
    co_return IqReply::with(seen.resources);
  }

  struct Seen {
    bool is_allowed = false;
    DiscoItems resources;
  };

  // May the sender see the account's presence, and what is there?
  Completion<Seen> ask(IqCall& call) {
    Completion<Seen> seen;
    if (call.target == Target::own_account) {
      seen.ticket().complete({true, available_resources(*call.account)});
      return seen;
    }
    roster_->read(*call.account, [from = call.request.from(), ticket = seen.ticket()](
                                     Account& account, const Roster* roster) {
      const RosterContact* contact = roster == nullptr ? nullptr : roster->find(from);
      if (contact == nullptr || !has_from(contact->subscription)) {
        ticket.complete({});
      } else {
        ticket.complete({true, available_resources(account)});
      }
    });
    return seen;
  }

  RosterService* roster_ = nullptr;
};
XMPPD_MODULE(AccountDisco, {.name = "account_disco",
                            .xep = "0030",
                            .summary = "Service discovery of accounts",
                            .requires_modules = {"roster"}});

}  // namespace xmppd::mod::account_disco
