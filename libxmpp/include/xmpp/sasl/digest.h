// The three hashes and their HMACs, with OpenSSL's objects fetched once per process (fetching costs
// more than hashing a short text).
//
// Thread-safety: any thread.
#pragma once

#include <string>
#include <string_view>

#include "xmpp/base/secret.h"
#include "xmpp/sasl/credentials.h"

namespace xmpp::sasl {

[[nodiscard]] std::string digest(ScramHash hash, std::string_view bytes);
[[nodiscard]] std::string hmac(ScramHash hash, std::string_view key, std::string_view message);
[[nodiscard]] std::string pbkdf2(ScramHash hash, std::string_view password, std::string_view salt,
                                 std::uint32_t iterations);
// REQUIRES: same size.
[[nodiscard]] std::string xor_bytes(std::string_view a, std::string_view b);

}  // namespace xmpp::sasl
