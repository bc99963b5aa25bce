// What a server must look up for a mechanism, and SCRAM's keys: all that is stored of a password.
//
// Specs: RFC 5802 3 (SaltedPassword, StoredKey, ServerKey), RFC 7677, RFC 8265 (preparation).
// Thread-safety: any thread. derive_scram_keys(), salted_password() and verify_password() run
// PBKDF2 (about 1 ms per 4,096 rounds): never on a worker.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "xmpp/base/secret.h"

namespace xmpp::sasl {

enum class ScramHash : std::uint8_t { sha1, sha256, sha512 };
inline constexpr std::array kScramHashes = {ScramHash::sha1, ScramHash::sha256, ScramHash::sha512};
[[nodiscard]] std::string_view to_string(ScramHash hash) noexcept;  // "SHA-1", "SHA-256", "SHA-512"
[[nodiscard]] std::size_t digest_size(ScramHash hash) noexcept;     // 20, 32, 64

// A set of hashes, e.g. those that every account of a host has keys for.
class ScramHashSet {
 public:
  constexpr ScramHashSet() = default;
  [[nodiscard]] static constexpr ScramHashSet all() noexcept { return ScramHashSet(7); }
  constexpr void add(ScramHash hash) noexcept {
    bits_ = static_cast<std::uint8_t>(bits_ | (1U << static_cast<unsigned>(hash)));
  }
  [[nodiscard]] constexpr bool has(ScramHash hash) const noexcept {
    return (bits_ >> static_cast<unsigned>(hash) & 1U) != 0;
  }
  [[nodiscard]] constexpr bool is_empty() const noexcept { return bits_ == 0; }
  friend constexpr bool operator==(ScramHashSet, ScramHashSet) = default;

 private:
  constexpr explicit ScramHashSet(std::uint8_t bits) noexcept : bits_(bits) {}
  std::uint8_t bits_ = 0;
};

// What a server stores per account and hash. Raw bytes, not base64.
struct ScramKeys {
  ScramHash hash = ScramHash::sha256;
  std::string salt;
  std::uint32_t iterations = 0;
  std::string stored_key;
  std::string server_key;
  friend bool operator==(const ScramKeys&, const ScramKeys&) = default;
};

inline constexpr std::uint32_t kMinIterations = 4096;
inline constexpr std::uint32_t kMaxIterations = 10'000'000;
inline constexpr std::size_t kSaltSize = 16;

// A password by RFC 8265's OpaqueString; nullopt if it is empty or has forbidden code points.
[[nodiscard]] std::optional<Secret> prepare_password(std::string_view password);
// A user name (localpart) by UsernameCaseMapped; nullopt if it is empty or has forbidden code
// points.
[[nodiscard]] std::optional<std::string> prepare_username(std::string_view username);

// SaltedPassword := Hi(password, salt, iterations). REQUIRES: `password` is prepared, iterations >
// 0.
[[nodiscard]] Secret salted_password(ScramHash hash, const Secret& password, std::string_view salt,
                                     std::uint32_t iterations);
// The keys of one hash. REQUIRES: as salted_password().
[[nodiscard]] ScramKeys derive_scram_keys(ScramHash hash, const Secret& password,
                                          std::string_view salt, std::uint32_t iterations);
// The keys of every hash, in the order of kScramHashes: store all of them whenever a password is
// seen.
[[nodiscard]] std::array<ScramKeys, 3> derive_scram_keys(const Secret& password,
                                                         std::string_view salt,
                                                         std::uint32_t iterations);
// Does the (prepared) password belong to `keys`? For PLAIN; call it with fake_scram_keys() for an
// unknown user, so that both take the same time.
[[nodiscard]] bool verify_password(const ScramKeys& keys, const Secret& password);
// Keys that no password fits; the same for the same user until `server_secret` changes, so that
// unknown users cannot be told from known ones.
[[nodiscard]] ScramKeys fake_scram_keys(const Secret& server_secret, std::string_view username,
                                        ScramHash hash, std::uint32_t iterations);

}  // namespace xmpp::sasl
