// TlsContext: Poco::Net::Context makes the SSL_CTX, this file sets it up.
#include <Poco/Exception.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include <algorithm>

#include "transport/tls_engine_openssl.h"
#include "xmpp/base/assert.h"

namespace xmpp {
namespace tls {
namespace {

// Forward secrecy and AEAD only. TLS 1.3's suites are OpenSSL's own choice.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:!aNULL:!PSK:!SRP";
constexpr const char* kGroups = "X25519:P-256:P-384";

std::string to_key(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  std::string key(host);
  std::ranges::transform(key, key.begin(), [](char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
  });
  return key;
}

int accept_any(int /*verified*/, X509_STORE_CTX* /*store*/) {
  return 1;
}

TlsError configuration_error(std::string text) {
  return TlsError{TlsErrorCode::configuration, std::move(text)};
}

Result<Poco::Net::Context::Ptr, TlsError> make_context(bool server, bool default_authorities,
                                                       TlsVersion version_max) {
  Poco::Net::Context::Ptr context;
  try {
    Poco::Net::Context::Params params;
    params.cipherList = kCiphers;
    params.verificationMode = Poco::Net::Context::VERIFY_NONE;  // set below, see accept_any()
    params.loadDefaultCAs = default_authorities;
    context = new Poco::Net::Context(
        server ? Poco::Net::Context::TLS_SERVER_USE : Poco::Net::Context::TLS_CLIENT_USE, params);
  } catch (const Poco::Exception& exception) {
    ERR_clear_error();
    return Err(configuration_error(exception.displayText()));
  }
  SSL_CTX* ssl = context->sslContext();
  SSL_CTX_set_default_passwd_cb(ssl, nullptr);
  SSL_CTX_set_mode(
      ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(
      ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  // An end without close_notify is reported, never taken for an orderly one.
  SSL_CTX_clear_options(ssl, SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_max_early_data(ssl, 0);
  SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);  // tickets only: no shared state
  SSL_CTX_set_num_tickets(ssl, 1);
  const int highest = version_max == TlsVersion::tls1_2 ? TLS1_2_VERSION : TLS1_3_VERSION;
  if (SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_max_proto_version(ssl, highest) != 1 ||
      SSL_CTX_set1_groups_list(ssl, kGroups) != 1) {
    return Err(configuration_error(take_openssl_error()));
  }
  return context;
}

Result<void, TlsError> trust(SSL_CTX* ssl, std::string_view ca_pem) {
  if (ca_pem.empty()) return {};
  const auto certificates = parse_certificates(ca_pem);
  if (certificates.empty()) return Err(configuration_error("no authority in PEM format"));
  X509_STORE* store = SSL_CTX_get_cert_store(ssl);
  for (const X509Ptr& certificate : certificates) X509_STORE_add_cert(store, certificate.get());
  // A pinned certificate is trusted though its issuer is unknown.
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  ERR_clear_error();
  return {};
}

Result<std::shared_ptr<const ServerCertificates>, TlsError> load(
    std::span<const TlsCertificate> certificates, const TlsServerOptions& options) {
  XMPP_ASSERT(!certificates.empty());
  auto loaded = std::make_shared<ServerCertificates>();
  loaded->all.reserve(certificates.size());  // by_host points into it
  for (const TlsCertificate& certificate : certificates) {
    if (certificate.parsed != nullptr) {
      loaded->all.push_back(share_certificate(*certificate.parsed));
    } else {
      auto parsed = parse_certificate(certificate);
      if (!parsed) {
        const std::string host = certificate.hosts.empty() ? "" : certificate.hosts.front() + ": ";
        return Err(configuration_error(host + parsed.error().text));
      }
      loaded->all.push_back(std::move(*parsed));
    }
    for (const std::string& host : certificate.hosts) {
      loaded->by_host.emplace(to_key(host), &loaded->all.back());
    }
  }
  loaded->alpn = to_wire(options.alpn);
  loaded->tickets = std::make_unique<TicketKeys>(options.clock);
  loaded->generation.resize(16);
  XMPP_ASSERT(RAND_bytes(reinterpret_cast<unsigned char*>(loaded->generation.data()),
                         static_cast<int>(loaded->generation.size())) == 1);
  return std::shared_ptr<const ServerCertificates>(std::move(loaded));
}

}  // namespace

std::string to_wire(std::span<const std::string> protocols) {
  std::string wire;
  for (const std::string& protocol : protocols) {
    XMPP_ASSERT(!protocol.empty() && protocol.size() < 256);
    wire += static_cast<char>(protocol.size());
    wire += protocol;
  }
  return wire;
}

int on_server_name(SSL* ssl, int* /*alert*/, void* /*argument*/) {
  auto* choice = static_cast<ServerChoice*>(SSL_get_app_data(ssl));
  if (const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) {
    if (const LoadedCertificate* found = choice->certificates->find(name)) choice->chosen = found;
  }
  const LoadedCertificate& chosen = *choice->chosen;
  const int ok =
      SSL_use_cert_and_key(ssl, chosen.leaf.get(), chosen.key.get(), chosen.chain.get(), 1);
  // A name that we do not serve is the stream's affair (host-unknown), not a reason for an alert.
  return ok == 1 ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

int on_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
            unsigned in_size, void* /*argument*/) {
  const auto* choice = static_cast<const ServerChoice*>(SSL_get_app_data(ssl));
  const std::string& ours = choice->certificates->alpn;
  unsigned char* selected = nullptr;
  const int result = SSL_select_next_proto(&selected, out_size,
                                           reinterpret_cast<const unsigned char*>(ours.data()),
                                           static_cast<unsigned>(ours.size()), in, in_size);
  if (result != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = selected;  // points into `in` or into our list; OpenSSL copies it at once
  return SSL_TLSEXT_ERR_OK;
}

const LoadedCertificate* ServerCertificates::find(std::string_view host) const {
  const auto found = by_host.find(to_key(host));
  return found == by_host.end() ? nullptr : found->second;
}

}  // namespace tls

TlsContext::TlsContext(std::unique_ptr<State> state) noexcept : state_(std::move(state)) {}
TlsContext::~TlsContext() = default;

Result<std::shared_ptr<TlsContext>, TlsError> TlsContext::make_server(
    std::span<const TlsCertificate> certificates, const TlsServerOptions& options) {
  auto loaded = tls::load(certificates, options);
  if (!loaded) return Err(loaded.error());
  const bool system = options.request_peer_certificate && options.peer_ca_pem.empty();
  auto context = tls::make_context(true, system, options.version_max);
  if (!context) return Err(context.error());
  SSL_CTX* ssl = (*context)->sslContext();
  const auto trusted = tls::trust(ssl, options.peer_ca_pem);
  if (!trusted) return Err(trusted.error());
  SSL_CTX_set_tlsext_servername_callback(ssl, &tls::on_server_name);
  SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, &tls::on_ticket);
  if (!options.alpn.empty()) SSL_CTX_set_alpn_select_cb(ssl, &tls::on_alpn, nullptr);
  if (options.request_peer_certificate) {
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, &tls::accept_any);
  } else {
    SSL_CTX_set_verify(ssl, SSL_VERIFY_NONE, nullptr);
  }

  auto state = std::make_unique<State>();
  state->context = *context;
  state->is_server = true;
  state->server = options;
  state->certificates = std::move(*loaded);
  return std::shared_ptr<TlsContext>(new TlsContext(std::move(state)));
}

Result<std::shared_ptr<TlsContext>, TlsError> TlsContext::make_client(
    const TlsClientOptions& options) {
  const bool system = !options.insecure && options.ca_pem.empty();
  auto context = tls::make_context(false, system, options.version_max);
  if (!context) return Err(context.error());
  SSL_CTX* ssl = (*context)->sslContext();
  const auto trusted = tls::trust(ssl, options.ca_pem);
  if (!trusted) return Err(trusted.error());
  SSL_CTX_set_verify(ssl, options.insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
                     options.insecure ? nullptr : &tls::on_server_verified);
  const std::string alpn = tls::to_wire(options.alpn);
  if (!alpn.empty()) {
    SSL_CTX_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(alpn.data()),
                            static_cast<unsigned>(alpn.size()));
  }
  if (options.certificate) {
    const auto own = tls::parse_certificate(*options.certificate);
    if (!own) return Err(own.error());
    if (SSL_CTX_use_cert_and_key(ssl, own->leaf.get(), own->key.get(), own->chain.get(), 1) != 1) {
      return Err(TlsError{TlsErrorCode::configuration, tls::take_openssl_error()});
    }
  }
  auto state = std::make_unique<State>();
  state->context = *context;
  state->verify = !options.insecure;
  return std::shared_ptr<TlsContext>(new TlsContext(std::move(state)));
}

Result<void, TlsError> TlsContext::reload(std::span<const TlsCertificate> certificates) {
  XMPP_ASSERT(state_->is_server);
  auto loaded = tls::load(certificates, state_->server);
  if (!loaded) return Err(loaded.error());
  const std::scoped_lock lock(state_->mutex);
  state_->certificates.swap(*loaded);
  return {};
}

}  // namespace xmpp
