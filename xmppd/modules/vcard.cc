// XEP-0054 1.3.0 complete
// Keeps an account's vCard, which everybody may read and only the account may change.
#include "xmpp/xep/vcard_temp.h"

#include <utility>

#include "xmpp/xml/writer.h"
#include "xmppd/module.h"

namespace xmppd::mod::vcard {

using xmpp::Jid;
using xmpp::StanzaCondition;
using xmpp::Task;
using xmpp::xep::VcardTemp;

namespace {
constexpr const char* kSpace = "vcard";

// Anything else would break the stream of who asked.
bool is_card(std::string_view stored) {
  constexpr xmpp::xml::Limits kAny{.stanza_bytes = 1 << 27,
                                   .depth = 1'000,
                                   .attributes = 10'000,
                                   .prefixes = 10'000,
                                   .nodes = 1 << 22};
  const auto document = xmpp::xml::Document::parse(stored, {}, kAny);
  return document && document->root().is(VcardTemp::codec.name);
}

}  // namespace

class Vcard final : public Module {
 public:
  void attach(Scope& scope) override {
    scope_ = &scope;
    scope.feature(xmpp::ns::vcard);
    constexpr auto kAccounts = Target::own_account | Target::account;
    scope.on_iq<VcardTemp>(kAccounts, IqKind::get,
                           [this](IqCall& call, VcardTemp) { return get(call); });
    scope.on_iq<VcardTemp>(kAccounts, IqKind::set,
                           [this](IqCall& call, VcardTemp) { return set(call); });
  }

 private:
  Task<IqReply> get(IqCall& call) {
    const Jid owner = call.request.to().bare();
    auto pending = scope_->storage().read(
        scope_->reactor(), owner,
        [](Tx& tx, const Jid& who) { return tx.account_data().find(who, kSpace, ""); }, owner);
    auto found = co_await pending;
    if (!found) co_return failed(found.error());
    if (*found && !is_card(**found)) co_return failed({StorageErrorCode::corrupt, "no vCard"});
    if (*found) co_return IqReply::with(xmpp::Payload(VcardTemp::codec.name, std::move(**found)));
    // XEP-0054 3.3: somebody else's is answered as if there was no such account.
    co_return IqReply::error(call.target == Target::own_account
                                 ? StanzaCondition::item_not_found
                                 : StanzaCondition::service_unavailable);
  }

  Task<IqReply> set(IqCall& call) {
    if (call.target != Target::own_account) co_return IqReply::error(StanzaCondition::forbidden);
    std::string card;
    xmpp::xml::Writer writer(card);
    writer.write(call.request.payloads().front().element());
    const Jid owner = call.request.to().bare();
    DataLimits limits;
    limits.entries = 1;
    limits.bytes = static_cast<std::uint64_t>(*bytes_);
    auto pending = scope_->storage().write(
        scope_->reactor(), owner,
        [](Tx& tx, const Jid& who, const std::string& value, const DataLimits& at_most) {
          return tx.account_data().put(who, kSpace, "", value, at_most);
        },
        owner, card, limits);
    auto stored = co_await pending;
    if (!stored) co_return failed(stored.error());
    if (!*stored) {
      co_return IqReply::error({StanzaCondition::not_acceptable, "The vCard is too big"});
    }
    co_return IqReply::ok();
  }

  IqReply failed(const StorageError& error) {
    xmpp::log::warn(scope_->log_context(), "a vCard cannot be used: check the database",
                    {xmpp::log::kv("error", error.text)});
    return IqReply::error(error.code == StorageErrorCode::busy
                              ? StanzaCondition::resource_constraint
                              : StanzaCondition::internal_server_error);
  }

  Option<std::int64_t> bytes_{*this, "bytes",    262'144,
                              1'024, 67'108'864, "Bytes of a vCard at most."};
  Scope* scope_ = nullptr;
};
XMPPD_MODULE(Vcard, {.name = "vcard", .xep = "0054", .summary = "Keeps vCards"});

}  // namespace xmppd::mod::vcard
