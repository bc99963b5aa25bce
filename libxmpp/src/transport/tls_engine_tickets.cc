// Session tickets: who holds their key reads the connections that they resume, under TLS 1.2 also
// the one that they came from. OpenSSL would keep one key as long as the context lives.
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>
#include <chrono>

#include "transport/tls_engine_openssl.h"
#include "xmpp/base/assert.h"

namespace xmpp::tls {
namespace {

// Sessions live for two hours (OpenSSL's default), less than half of a key's life.
constexpr Duration kKeyLifetime = std::chrono::hours(24);
constexpr int kIvBytes = 16;

Clock& system_clock() {
  static SystemClock clock;
  return clock;
}

}  // namespace

TicketKeys::TicketKeys(Clock* clock) : clock_(clock != nullptr ? *clock : system_clock()) {
  renew();
  renew();  // the one before is nobody's
}

TicketKeys::~TicketKeys() {
  OPENSSL_cleanse(keys_.data(), sizeof keys_);
}

void TicketKeys::renew() {
  keys_[1] = keys_[0];
  XMPP_ASSERT(RAND_priv_bytes(reinterpret_cast<unsigned char*>(&keys_[0]), sizeof(Key)) == 1);
  until_ = clock_.now() + kKeyLifetime;
}

int TicketKeys::use(unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                    EVP_MAC_CTX* mac, bool encrypts) {
  const std::scoped_lock lock(mutex_);
  const Instant now = clock_.now();
  if (now >= until_) {
    if (now - until_ >= kKeyLifetime) renew();  // so long that not even the newest may decrypt
    renew();
  }
  Key* key = keys_.data();
  if (encrypts) {
    std::ranges::copy(key->name, name);
    if (RAND_bytes(iv, kIvBytes) != 1) return -1;
  } else {
    key = std::ranges::find_if(keys_, [&](const Key& known) {
      return std::ranges::equal(known.name, std::span(name, 16));
    });
    if (key == keys_.end()) return 0;
  }
  char digest[] = "SHA256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac.data(), key->mac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end()};
  if (EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key->cipher.data(), iv,
                        encrypts ? 1 : 0) != 1 ||
      EVP_MAC_CTX_set_params(mac, parameters) != 1) {
    return -1;
  }
  return key == keys_.data() ? 1 : 2;
}

int on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
              EVP_MAC_CTX* mac, int encrypts) {
  const auto* choice = static_cast<const ServerChoice*>(SSL_get_app_data(ssl));
  return choice->certificates->tickets->use(name, iv, cipher, mac, encrypts == 1);
}

}  // namespace xmpp::tls
