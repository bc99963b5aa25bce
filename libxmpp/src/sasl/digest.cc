#include "xmpp/sasl/digest.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <array>

#include "xmpp/base/assert.h"

namespace xmpp::sasl {
namespace {

struct Algorithm {
  EVP_MD* md = nullptr;
  EVP_MAC_CTX* hmac = nullptr;  // a template with the digest set; duplicated per use
};

// Never freed: they live as long as the process, and OpenSSL may be torn down before statics are.
const Algorithm& get_algorithm(ScramHash hash) {
  static const std::array<Algorithm, 3> algorithms = [] {
    constexpr std::array names = {"SHA1", "SHA256", "SHA512"};
    std::array<Algorithm, 3> made;
    EVP_MAC* mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
    XMPP_ASSERT(mac != nullptr);
    for (std::size_t i = 0; i < made.size(); ++i) {
      made[i].md = EVP_MD_fetch(nullptr, names[i], nullptr);
      made[i].hmac = EVP_MAC_CTX_new(mac);
      XMPP_ASSERT(made[i].md != nullptr && made[i].hmac != nullptr);
      std::string name = names[i];
      const OSSL_PARAM parameters[] = {
          OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name.data(), name.size()),
          OSSL_PARAM_construct_end()};
      XMPP_ASSERT(EVP_MAC_CTX_set_params(made[i].hmac, parameters) == 1);
    }
    EVP_MAC_free(mac);
    return made;
  }();
  return algorithms[static_cast<std::size_t>(hash)];
}

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

std::string digest(ScramHash hash, std::string_view bytes) {
  std::string out(digest_size(hash), '\0');
  XMPP_ASSERT(EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(out.data()),
                         nullptr, get_algorithm(hash).md, nullptr) == 1);
  return out;
}

std::string hmac(ScramHash hash, std::string_view key, std::string_view message) {
  std::string out(digest_size(hash), '\0');
  EVP_MAC_CTX* context = EVP_MAC_CTX_dup(get_algorithm(hash).hmac);
  XMPP_ASSERT(context != nullptr);
  std::size_t size = 0;
  // A null key would mean "keep the key"; an empty one is legal.
  const unsigned char* key_bytes = key.empty() ? bytes_of("") : bytes_of(key);
  const bool ok =
      EVP_MAC_init(context, key_bytes, key.size(), nullptr) == 1 &&
      EVP_MAC_update(context, bytes_of(message), message.size()) == 1 &&
      EVP_MAC_final(context, reinterpret_cast<unsigned char*>(out.data()), &size, out.size()) == 1;
  EVP_MAC_CTX_free(context);
  XMPP_ASSERT(ok && size == out.size());
  return out;
}

std::string pbkdf2(ScramHash hash, std::string_view password, std::string_view salt,
                   std::uint32_t iterations) {
  std::string out(digest_size(hash), '\0');
  XMPP_ASSERT(iterations > 0 && iterations <= kMaxIterations);
  XMPP_ASSERT(PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), bytes_of(salt),
                                static_cast<int>(salt.size()), static_cast<int>(iterations),
                                get_algorithm(hash).md, static_cast<int>(out.size()),
                                reinterpret_cast<unsigned char*>(out.data())) == 1);
  return out;
}

std::string xor_bytes(std::string_view a, std::string_view b) {
  XMPP_ASSERT(a.size() == b.size());
  std::string out(a);
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] =
        static_cast<char>(static_cast<unsigned char>(out[i]) ^ static_cast<unsigned char>(b[i]));
  }
  return out;
}

}  // namespace xmpp::sasl
