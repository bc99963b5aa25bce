#include "core/authentication.h"

#include <algorithm>
#include <memory>
#include <span>

#include "core/server.h"
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

namespace {

using Keys = std::vector<ScramKeys>;

bool is_current(const AccountRecord& account, std::uint32_t iterations) noexcept {
  return std::all_of(xmpp::sasl::kScramHashes.begin(), xmpp::sasl::kScramHashes.end(),
                     [&](xmpp::sasl::ScramHash hash) {
                       const ScramKeys* keys = account.find_keys(hash);
                       return keys != nullptr && keys->iterations == iterations;
                     });
}

// Replaces keys only while the password that they were made of is the account's.
StorageResult<bool> replace_keys(Tx& tx, const xmpp::Jid& jid, const ScramKeys& verified,
                                 const Keys& fresh) {
  auto account = tx.accounts().find(jid);
  if (!account) return xmpp::Err(account.error());
  const ScramKeys* stored = *account ? (**account).find_keys(verified.hash) : nullptr;
  if (stored == nullptr || !(*stored == verified)) return false;
  return tx.accounts().set_keys(jid, fresh);
}

}  // namespace

void upgrade_keys(Server& server, xmpp::net::Reactor& reactor, xmpp::Rng& rng,
                  const AccountRecord& account, const ScramKeys& verified, std::uint32_t iterations,
                  xmpp::Secret password) {
  if (is_current(account, iterations)) return;
  std::string salt(xmpp::sasl::kSaltSize, '\0');
  rng.fill(std::as_writable_bytes(std::span(salt)));
  auto work = [password = std::move(password), salt = std::move(salt), iterations] {
    const auto made = xmpp::sasl::derive_scram_keys(password, salt, iterations);
    return std::make_unique<Keys>(made.begin(), made.end());
  };
  auto done = [&server, &reactor, jid = account.jid, verified](std::unique_ptr<Keys> fresh) {
    server.storage().write_then(
        reactor, jid,
        [jid](const StorageResult<bool>& replaced) {
          if (replaced && *replaced) {
            xmpp::log::info({.component = "c2s"}, "password keys upgraded",
                            {xmpp::log::kv("jid", jid.str())});
          }
        },
        [](Tx& tx, const xmpp::Jid& who, const ScramKeys& of, const Keys& keys) {
          return replace_keys(tx, who, of, keys);
        },
        jid, verified, *fresh);
  };
  if (!server.offload().submit(std::move(work), reactor, std::move(done))) {
    xmpp::log::debug({.component = "c2s"}, "password keys not upgraded: too much work waits");
  }
}

}  // namespace xmppd
