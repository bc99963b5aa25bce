#include "core/authentication.h"

#include <memory>

#include "xmpp/core/jid.h"

namespace xmppd {

using xmpp::sasl::ScramKeys;

void offer_mechanisms(xmpp::StreamOffer& offer, const AuthConfig& auth,
                      xmpp::sasl::ScramHashSet hashes, bool is_secure,
                      const xmpp::TlsFacts& facts) {
  xmpp::sasl::OfferPolicy policy;
  policy.hashes = hashes;
  policy.tls = is_secure;
  policy.offer_channel_binding = auth.channel_binding == ChannelBindingPolicy::offer;
  policy.allow_without_tls = auth.plain_without_tls;
  policy.channel_bindings = facts;
  offer.mechanisms = xmpp::sasl::offered_mechanisms(policy);
  if (policy.offer_channel_binding) offer.binding_types = facts.types();
}

xmpp::Completion<StorageResult<std::optional<AccountRecord>>> find_account(
    Storage& storage, xmpp::net::Reactor& reactor, std::string_view username,
    const std::string& domain) {
  // The mechanism prepared the name; what is no localpart for all that is nobody's.
  auto jid = xmpp::Jid::make(username, domain);
  if (!jid) {
    xmpp::Completion<StorageResult<std::optional<AccountRecord>>> nobody;
    nobody.ticket().complete(std::optional<AccountRecord>());
    return nobody;
  }
  return storage.read(
      reactor, *jid, [](Tx& tx, xmpp::Jid who) { return tx.accounts().find(who); }, *jid);
}

xmpp::sasl::Lookup lookup_of(const StorageResult<std::optional<AccountRecord>>& found) noexcept {
  if (!found) return xmpp::sasl::Lookup::failed;
  if (!found->has_value()) return xmpp::sasl::Lookup::unknown;
  return (*found)->is_enabled ? xmpp::sasl::Lookup::found : xmpp::sasl::Lookup::disabled;
}

xmpp::Completion<std::optional<bool>> verify_off_worker(xmpp::net::Offload& offload,
                                                        xmpp::net::Reactor& reactor, ScramKeys keys,
                                                        xmpp::Secret password) {
  auto work = [keys = std::move(keys), password = std::move(password)] {
    return xmpp::sasl::verify_password(keys, password);
  };
  return offload.run(reactor, std::move(work));
}

}  // namespace xmppd
