// What the tls_engine*.cc files share: owners of OpenSSL objects, the parsed certificates of a
// server, the keys of its session tickets.
//
// Thread-safety: ServerCertificates never change once made, but for their TicketKeys, which any
// thread may use; shared between engines of all threads.
#pragma once

#include <Poco/Net/Context.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "xmpp/base/time.h"
#include "xmpp/transport/tls_engine.h"

namespace xmpp::tls {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};
using SslPtr = std::unique_ptr<SSL, Deleter<SSL_free>>;
using X509Ptr = std::unique_ptr<X509, Deleter<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
inline void free_chain(STACK_OF(X509) * chain) noexcept {
  sk_X509_pop_free(chain, X509_free);
}
using ChainPtr = std::unique_ptr<STACK_OF(X509), Deleter<free_chain>>;

struct LoadedCertificate {
  X509Ptr leaf;
  ChainPtr chain;
  KeyPtr key;
  std::string end_point;  // tls-server-end-point, computed once
};

// The keys of session tickets. RFC 7525 3.4, as RFC 7590 3.3 demands: who steals one opens little
// of what was said before, so each encrypts for a day and decrypts for one more at most.
class TicketKeys {
 public:
  explicit TicketKeys(Clock* clock);  // null: the system's
  TicketKeys(const TicketKeys&) = delete;
  TicketKeys& operator=(const TicketKeys&) = delete;
  ~TicketKeys();
  // What SSL_CTX_set_tlsext_ticket_key_evp_cb wants: 1, 2 (an old key), 0 (an unknown one), -1.
  int use(unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
          bool encrypts);

 private:
  struct Key {
    std::array<unsigned char, 16> name;
    std::array<unsigned char, 32> cipher;
    std::array<unsigned char, 32> mac;
  };
  void renew();

  Clock& clock_;
  std::mutex mutex_;           // guards all below
  Instant until_;              // of the newest
  std::array<Key, 2> keys_{};  // the newest first
};
int on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
              EVP_MAC_CTX* mac, int encrypts);

// One generation of a server's certificates.
struct ServerCertificates {
  std::vector<LoadedCertificate> all;  // the first is the default
  std::map<std::string, const LoadedCertificate*, std::less<>> by_host;
  std::string alpn;        // wire format: length-prefixed names
  std::string generation;  // random; sessions of another generation are not resumed
  std::unique_ptr<TicketKeys> tickets;
  // By name, ignoring case and a trailing dot; nullptr if there is none.
  [[nodiscard]] const LoadedCertificate* find(std::string_view host) const;
};

// Protocols for ALPN as they are sent: each behind its length.
[[nodiscard]] std::string to_wire(std::span<const std::string> protocols);
// Takes the oldest error of this thread's OpenSSL queue as text and empties the queue.
[[nodiscard]] std::string take_openssl_error();
[[nodiscard]] Result<LoadedCertificate, TlsError> parse_certificate(const TlsCertificate& pem);
// The same objects of OpenSSL once more, which count their references.
[[nodiscard]] LoadedCertificate share_certificate(const LoadedCertificate& from);
// All certificates of a PEM text; empty on an error or if there is none.
[[nodiscard]] std::vector<X509Ptr> parse_certificates(std::string_view pem);
// RFC 5929 4.1: the certificate's hash by the hash of its signature; empty if that has none.
[[nodiscard]] std::string end_point_binding(const X509* certificate);
[[nodiscard]] PeerCertificate describe_peer(X509* certificate, long verify_result);
// Callback of client contexts: lets a server pass whose certificate names it as an XMPP service
// only, by SRVName or XmppAddr (RFC 6120 13.7.1.2.1).
int on_server_verified(int is_good, X509_STORE_CTX* store);

// The app data of a server's SSL: the generation that it began with, and what was chosen of it.
struct ServerChoice {
  std::shared_ptr<const ServerCertificates> certificates;
  const LoadedCertificate* chosen = nullptr;
};
// Callbacks of server contexts: install the certificate that fits SNI; select the protocol.
int on_server_name(SSL* ssl, int* alert, void* argument);
int on_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
            unsigned in_size, void* argument);

}  // namespace xmpp::tls

namespace xmpp {

struct TlsContext::State {
  Poco::Net::Context::Ptr context;  // owns the SSL_CTX
  bool is_server = false;
  bool verify = true;        // client: check the peer's certificate and its name
  TlsServerOptions server;   // server only
  mutable std::mutex mutex;  // guards certificates
  std::shared_ptr<const tls::ServerCertificates> certificates;

  [[nodiscard]] SSL_CTX* ssl_context() const { return context->sslContext(); }
  [[nodiscard]] std::shared_ptr<const tls::ServerCertificates> current() const {
    const std::scoped_lock lock(mutex);
    return certificates;
  }
};

}  // namespace xmpp
