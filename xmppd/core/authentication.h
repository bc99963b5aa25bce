// Authentication: from SASL events to account look-ups and back; which mechanisms a stream is
// offered.
//
// Unknown users get keys that no password fits, made deterministically from a server secret, so
// that they cannot be told from known ones (architecture (d)).
//
// Thread-safety: a worker; the PBKDF2 of PLAIN runs on offload threads.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/config.h"
#include "xmpp/base/random.h"
#include "xmpp/base/task.h"
#include "xmpp/net/offload.h"
#include "xmpp/net/reactor.h"
#include "xmpp/sasl/credentials.h"
#include "xmpp/stream/stream.h"
#include "xmppd/storage.h"

namespace xmppd {

class Server;

// Fills mechanisms and binding types of an offer by the policy of the profile.
void offer_mechanisms(xmpp::StreamOffer& offer, const AuthConfig& auth,
                      xmpp::sasl::ScramHashSet hashes, bool is_secure, const xmpp::TlsFacts& facts);

// The stored account of a user of `domain`; nullopt if there is none.
[[nodiscard]] xmpp::Completion<StorageResult<std::optional<AccountRecord>>> find_account(
    Storage& storage, xmpp::net::Reactor& reactor, std::string_view username,
    const std::string& domain);

// What SASL is told of a look-up.
[[nodiscard]] xmpp::sasl::Lookup lookup_of(
    const StorageResult<std::optional<AccountRecord>>& found) noexcept;

// Does the password belong to the keys? nullopt: too many jobs wait.
[[nodiscard]] xmpp::Completion<std::optional<bool>> verify_off_worker(xmpp::net::Offload& offload,
                                                                      xmpp::net::Reactor& reactor,
                                                                      xmpp::sasl::ScramKeys keys,
                                                                      xmpp::Secret password);

// The password of `account` was seen and fits `verified`: if its keys have another iteration count
// than wanted, or lack a hash, they are made anew and stored, unless the password changes
// meanwhile. Nobody waits for that; if it fails, the next login tries again.
void upgrade_keys(Server& server, xmpp::net::Reactor& reactor, xmpp::Rng& rng,
                  const AccountRecord& account, const xmpp::sasl::ScramKeys& verified,
                  std::uint32_t iterations, xmpp::Secret password);

}  // namespace xmppd
