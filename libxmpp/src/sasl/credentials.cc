#include "xmpp/sasl/credentials.h"

#include <utility>

#include "xmpp/base/assert.h"
#include "xmpp/core/prep.h"
#include "xmpp/sasl/digest.h"

namespace xmpp::sasl {
namespace {

ScramKeys keys_of(ScramHash hash, const Secret& salted, std::string_view salt,
                  std::uint32_t iterations) {
  std::string client_key = hmac(hash, salted.reveal(), "Client Key");
  ScramKeys keys{hash, std::string(salt), iterations, digest(hash, client_key),
                 hmac(hash, salted.reveal(), "Server Key")};
  wipe(client_key);
  return keys;
}

}  // namespace

std::size_t digest_size(ScramHash hash) noexcept {
  switch (hash) {
    case ScramHash::sha1:
      return 20;
    case ScramHash::sha256:
      return 32;
    case ScramHash::sha512:
      return 64;
  }
  return 0;
}

std::optional<Secret> prepare_password(std::string_view password) {
  // OpaqueString is the profile of resourceparts too (RFC 7622 3.4); its bound suits passwords.
  auto prepared = prep::prepare_resource(password);
  if (!prepared) return std::nullopt;
  return Secret(std::move(*prepared));
}

std::optional<std::string> prepare_username(std::string_view username) {
  auto prepared = prep::prepare_local(username);
  if (!prepared) return std::nullopt;
  return std::move(*prepared);
}

Secret salted_password(ScramHash hash, const Secret& password, std::string_view salt,
                       std::uint32_t iterations) {
  return Secret(pbkdf2(hash, password.reveal(), salt, iterations));
}

ScramKeys derive_scram_keys(ScramHash hash, const Secret& password, std::string_view salt,
                            std::uint32_t iterations) {
  return keys_of(hash, salted_password(hash, password, salt, iterations), salt, iterations);
}

std::array<ScramKeys, 3> derive_scram_keys(const Secret& password, std::string_view salt,
                                           std::uint32_t iterations) {
  std::array<ScramKeys, 3> keys;
  for (std::size_t i = 0; i < kScramHashes.size(); ++i) {
    keys[i] = derive_scram_keys(kScramHashes[i], password, salt, iterations);
  }
  return keys;
}

bool verify_password(const ScramKeys& keys, const Secret& password) {
  if (keys.iterations == 0 || keys.iterations > kMaxIterations) return false;
  const ScramKeys derived = derive_scram_keys(keys.hash, password, keys.salt, keys.iterations);
  return equal_constant_time(derived.stored_key, keys.stored_key);
}

ScramKeys fake_scram_keys(const Secret& server_secret, std::string_view username, ScramHash hash,
                          std::uint32_t iterations) {
  const auto pseudo_random = [&](std::string_view purpose) {
    std::string message(purpose);
    message.append(1, '\0').append(username);
    return hmac(ScramHash::sha512, server_secret.reveal(), message);
  };
  // Real accounts have one salt for all hashes, so the fake one must not depend on the hash either.
  return ScramKeys{hash, pseudo_random("salt").substr(0, kSaltSize), iterations,
                   pseudo_random("stored key").substr(0, digest_size(hash)),
                   pseudo_random("server key").substr(0, digest_size(hash))};
}

}  // namespace xmpp::sasl
