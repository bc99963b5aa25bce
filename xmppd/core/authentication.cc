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
  policy.channel_bindings = {facts.tls_exporter, facts.tls_server_end_point};
  policy.offer_channel_binding = auth.channel_binding == ChannelBindingPolicy::offer;
  policy.allow_without_tls = auth.plain_without_tls;
  for (auto id : xmpp::sasl::offered_mechanisms(policy)) {
    offer.mechanisms.emplace_back(to_string(id));
  }
  if (policy.offer_channel_binding && is_secure) {
    for (auto type : policy.channel_bindings.types()) offer.binding_types.emplace_back(to_string(type));
  }
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

ScramKeys keys_or_fake(const std::optional<AccountRecord>& account, const xmpp::Secret& secret,
                       std::string_view username, xmpp::sasl::ScramHash hash,
                       std::uint32_t iterations) {
  const ScramKeys* keys = account ? account->find_keys(hash) : nullptr;
  return keys != nullptr ? *keys
                         : xmpp::sasl::fake_scram_keys(secret, username, hash, iterations);
}

xmpp::Completion<PasswordCheck> verify_off_worker(xmpp::net::Offload& offload,
                                                  xmpp::net::Reactor& reactor, ScramKeys keys,
                                                  xmpp::Secret password) {
  xmpp::Completion<PasswordCheck> completion;
  struct Job {
    ScramKeys keys;
    xmpp::Secret password;
    bool is_right = false;
  };
  auto job = std::make_shared<Job>(Job{std::move(keys), std::move(password)});
  const bool accepted = offload.submit(
      [job] { job->is_right = xmpp::sasl::verify_password(job->keys, job->password); }, reactor,
      [job, ticket = completion.ticket()] {
        ticket.complete(job->is_right ? PasswordCheck::right : PasswordCheck::wrong);
      });
  if (!accepted) completion.ticket().complete(PasswordCheck::overloaded);
  return completion;
}

}  // namespace xmppd
