#include "xmpp/transport/tls_engine.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "transport/tls_engine_openssl.h"
#include "xmpp/base/assert.h"

namespace xmpp {

namespace tls {

// What the BIO reads from and writes to. Its address must not change while the SSL lives.
struct Buffers {
  std::string input;         // ciphertext that OpenSSL has not taken yet
  std::size_t consumed = 0;  // of it
  OutputChain output;        // ciphertext for the socket
};

namespace {

int bio_read(BIO* bio, char* out, std::size_t size, std::size_t* done) {
  auto* buffers = static_cast<Buffers*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const std::size_t available = buffers->input.size() - buffers->consumed;
  const std::size_t count = std::min(size, available);
  if (count == 0) {
    BIO_set_retry_read(bio);
    return 0;
  }
  std::memcpy(out, buffers->input.data() + buffers->consumed, count);
  buffers->consumed += count;
  *done = count;
  return 1;
}

int bio_write(BIO* bio, const char* bytes, std::size_t size, std::size_t* done) {
  auto* buffers = static_cast<Buffers*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  buffers->output.append(std::string_view(bytes, size));
  *done = size;
  return 1;
}

long bio_control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// Never freed: lives as long as the process.
const BIO_METHOD* get_bio_method() {
  static const BIO_METHOD* method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "xmpp buffers");
    XMPP_ASSERT(made != nullptr);
    BIO_meth_set_read_ex(made, &bio_read);
    BIO_meth_set_write_ex(made, &bio_write);
    BIO_meth_set_ctrl(made, &bio_control);
    return made;
  }();
  return method;
}

bool is_ip_literal(const std::string& host) {
  std::array<unsigned char, 16> address;
  return inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
}

// Restricts the peer's certificate to `host`, which is not shown to it if it is an address (RFC
// 6066 3). False: `host` names nobody, or OpenSSL would take it for a pattern.
bool set_peer_name(SSL* ssl, std::string host) {
  X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl);
  // As the domainpart of an address writes it (RFC 7622 3.2).
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (is_ip_literal(host)) return X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str()) == 1;
  if (host.ends_with('.')) host.pop_back();  // RFC 6066 3: nowhere in TLS
  if (host.empty() || host.starts_with('.') || host.find('\0') != std::string::npos) return false;
  // RFC 9525 2: the common name identifies nobody.
  X509_VERIFY_PARAM_set_hostflags(
      parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  return X509_VERIFY_PARAM_set1_host(parameters, host.data(), host.size()) == 1 &&
         SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
}

std::string_view text_or_empty(const char* text) {
  return text == nullptr ? std::string_view() : std::string_view(text);
}

}  // namespace
}  // namespace tls

struct TlsEngine::Connection {
  tls::Buffers buffers;
  std::optional<TlsError> error;
  State state = State::handshaking;
  bool close_sent = false;
  bool verify = false;       // client: certificate errors are ours to explain
  tls::ServerChoice server;  // empty on the client's side
  tls::SslPtr ssl;           // dies first: it refers to the members above

  Err<TlsError> fail(TlsErrorCode code, std::string text);
  Err<TlsError> fail_by_openssl();
  Result<void, TlsError> handshake();
  Result<void, TlsError> encrypt(std::string_view plaintext);
  void trim_input();
  // Ciphertext that is not decrypted, or plaintext that is not read.
  [[nodiscard]] bool has_input() const {
    return buffers.consumed < buffers.input.size() || SSL_has_pending(ssl.get()) == 1;
  }
};

Err<TlsError> TlsEngine::Connection::fail(TlsErrorCode code, std::string text) {
  state = State::failed;
  error = TlsError{code, std::move(text)};
  buffers.input = std::string();
  buffers.consumed = 0;
  ERR_clear_error();
  return Err(*error);
}

Err<TlsError> TlsEngine::Connection::fail_by_openssl() {
  const bool shaking = state == State::handshaking;
  const long verified = SSL_get_verify_result(ssl.get());
  if (shaking && verify && verified != X509_V_OK) {
    return fail(TlsErrorCode::certificate, X509_verify_cert_error_string(verified));
  }
  return fail(shaking ? TlsErrorCode::handshake : TlsErrorCode::protocol,
              tls::take_openssl_error());
}

void TlsEngine::Connection::trim_input() {
  if (buffers.consumed < buffers.input.size()) return;
  buffers.input = std::string();  // an idle engine holds no buffer
  buffers.consumed = 0;
}

Result<void, TlsError> TlsEngine::Connection::handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl.get());
  if (result == 1) {
    state = State::open;
    trim_input();
    return {};
  }
  if (SSL_get_error(ssl.get(), result) != SSL_ERROR_WANT_READ) return fail_by_openssl();
  trim_input();
  return {};
}

Result<void, TlsError> TlsEngine::Connection::encrypt(std::string_view plaintext) {
  if (error) return Err(*error);
  XMPP_ASSERT(state != State::handshaking);
  if (close_sent) return Err(TlsError{TlsErrorCode::closed, "close_notify was sent"});
  while (!plaintext.empty()) {
    ERR_clear_error();
    std::size_t done = 0;
    if (SSL_write_ex(ssl.get(), plaintext.data(), plaintext.size(), &done) != 1) {
      return fail_by_openssl();
    }
    plaintext.remove_prefix(done);
  }
  return {};
}

TlsEngine::TlsEngine(std::unique_ptr<Connection> connection) noexcept
    : connection_(std::move(connection)) {
  Connection& c = *connection_;
  BIO* bio = BIO_new(tls::get_bio_method());
  XMPP_ASSERT(c.ssl != nullptr && bio != nullptr);
  BIO_set_data(bio, &c.buffers);
  BIO_set_init(bio, 1);
  SSL_set_bio(c.ssl.get(), bio, bio);
}
TlsEngine::TlsEngine(TlsEngine&&) noexcept = default;
TlsEngine& TlsEngine::operator=(TlsEngine&&) noexcept = default;
TlsEngine::~TlsEngine() = default;

TlsEngine TlsEngine::make_server(const TlsContext& context, std::string_view default_host) {
  XMPP_ASSERT(context.state_->is_server);
  auto connection = std::make_unique<Connection>();
  Connection& c = *connection;
  c.ssl.reset(SSL_new(context.state_->ssl_context()));
  c.server.certificates = context.state_->current();
  const tls::ServerCertificates& certificates = *c.server.certificates;
  c.server.chosen = certificates.find(default_host);
  if (c.server.chosen == nullptr) c.server.chosen = &certificates.all.front();
  SSL_set_app_data(c.ssl.get(), &c.server);
  // A resumed session must mean the certificate that its client saw, or tls-server-end-point
  // differs: sessions are bound to the generation and to the default.
  const std::string id =
      certificates.generation + std::to_string(c.server.chosen - certificates.all.data());
  SSL_set_session_id_context(c.ssl.get(), reinterpret_cast<const unsigned char*>(id.data()),
                             static_cast<unsigned>(id.size()));
  SSL_set_accept_state(c.ssl.get());
  return TlsEngine(std::move(connection));
}

TlsEngine TlsEngine::make_client(const TlsContext& context, std::string_view host,
                                 std::span<const std::string> alpn) {
  XMPP_ASSERT(!context.state_->is_server);
  auto connection = std::make_unique<Connection>();
  Connection& c = *connection;
  c.ssl.reset(SSL_new(context.state_->ssl_context()));
  c.verify = context.state_->verify;
  const bool has_name = tls::set_peer_name(c.ssl.get(), std::string(host));
  const std::string offered = tls::to_wire(alpn);
  if (!offered.empty()) {
    SSL_set_alpn_protos(c.ssl.get(), reinterpret_cast<const unsigned char*>(offered.data()),
                        static_cast<unsigned>(offered.size()));
  }
  SSL_set_connect_state(c.ssl.get());
  TlsEngine engine(std::move(connection));
  if (!has_name && c.verify) {
    // Without a name any certificate of a trusted authority would do.
    (void)c.fail(TlsErrorCode::certificate, "no name to verify the certificate against");
    return engine;
  }
  (void)engine.connection_->handshake();  // a failure is kept and reported by the next call
  return engine;
}

Result<void, TlsError> TlsEngine::feed(std::string_view ciphertext) {
  Connection& c = *connection_;
  if (c.error) return Err(*c.error);
  if (c.state == State::closed_by_peer) return {};  // RFC 8446 6.1: to be ignored
  if (c.buffers.consumed > 0) {
    c.buffers.input.erase(0, c.buffers.consumed);
    c.buffers.consumed = 0;
  }
  c.buffers.input.append(ciphertext);
  if (c.state == State::handshaking) return c.handshake();
  return {};
}

Result<std::size_t, TlsError> TlsEngine::read(std::span<char> out) {
  Connection& c = *connection_;
  if (c.error) return Err(*c.error);
  if (c.state != State::open) return std::size_t{0};
  std::size_t total = 0;
  // Asking OpenSSL in vain costs a buffer, so it is asked only while there is something to decrypt.
  while (total < out.size() && c.has_input()) {
    ERR_clear_error();
    std::size_t done = 0;
    const int result = SSL_read_ex(c.ssl.get(), out.data() + total, out.size() - total, &done);
    if (result == 1) {
      total += done;
      continue;
    }
    const int error = SSL_get_error(c.ssl.get(), result);
    if (error == SSL_ERROR_ZERO_RETURN) {
      c.state = State::closed_by_peer;
      c.buffers.consumed = c.buffers.input.size();
    } else if (error != SSL_ERROR_WANT_READ) {
      const Err<TlsError> failure = c.fail_by_openssl();
      if (total == 0) return failure;  // else: what was good first, the error next time
    }
    break;
  }
  if (!c.error) c.trim_input();
  return total;
}

Result<void, TlsError> TlsEngine::write(std::string_view plaintext) {
  return connection_->encrypt(plaintext);
}

Result<void, TlsError> TlsEngine::write(OutputChain&& plaintext) {
  // A record costs the same for 20 bytes as for 200: small pieces are gathered first.
  static thread_local std::array<char, SSL3_RT_MAX_PLAIN_LENGTH> scratch;
  while (!plaintext.empty()) {
    std::string_view run = plaintext.front();
    std::size_t size = run.size();
    if (size < scratch.size() && size < plaintext.size()) {
      size = 0;
      while (size < scratch.size() && !plaintext.empty()) {
        const std::string_view piece = plaintext.front().substr(0, scratch.size() - size);
        std::memcpy(scratch.data() + size, piece.data(), piece.size());
        size += piece.size();
        plaintext.consume(piece.size());
      }
      run = std::string_view(scratch.data(), size);
      auto written = connection_->encrypt(run);
      if (!written) return written;
      continue;
    }
    auto written = connection_->encrypt(run);
    if (!written) return written;
    plaintext.consume(size);
  }
  return {};
}

void TlsEngine::take_output(OutputChain& into) {
  if (!connection_->buffers.output.empty())
    into.append(std::exchange(connection_->buffers.output, OutputChain()));
}

bool TlsEngine::has_output() const noexcept {
  return !connection_->buffers.output.empty();
}

void TlsEngine::close() {
  Connection& c = *connection_;
  if (c.close_sent || c.state == State::handshaking || c.state == State::failed) return;
  c.close_sent = true;
  ERR_clear_error();
  (void)SSL_shutdown(c.ssl.get());
  ERR_clear_error();
}

Result<void, TlsError> TlsEngine::end_of_input() {
  Connection& c = *connection_;
  if (c.error) return Err(*c.error);
  if (c.state == State::closed_by_peer) return {};
  if (c.state == State::handshaking) {
    return c.fail(TlsErrorCode::handshake, "the connection ended during the handshake");
  }
  return c.fail(TlsErrorCode::truncated, "the connection ended without close_notify");
}

TlsEngine::State TlsEngine::state() const noexcept {
  return connection_->state;
}

sasl::ChannelBindings TlsEngine::channel_bindings() const {
  const Connection& c = *connection_;
  SSL* ssl = c.ssl.get();
  sasl::ChannelBindings bindings;
  const bool is_unique = SSL_version(ssl) >= TLS1_3_VERSION || SSL_get_extms_support(ssl) == 1;
  // RFC 7677 4: a resumed session that is not unique is bound to nothing.
  if (!is_unique && is_resumed()) return bindings;
  // RFC 9266 2: below TLS 1.3 only with extended master secret; we never renegotiate.
  if (is_unique) {
    static constexpr std::string_view label = "EXPORTER-Channel-Binding";
    bindings.tls_exporter.resize(32);
    // use_context with an empty context: in TLS 1.2 that differs from no context.
    if (SSL_export_keying_material(
            ssl, reinterpret_cast<unsigned char*>(bindings.tls_exporter.data()), 32, label.data(),
            label.size(), reinterpret_cast<const unsigned char*>(""), 0, 1) != 1) {
      bindings.tls_exporter.clear();
      ERR_clear_error();
    }
  }
  if (c.server.chosen != nullptr) {
    bindings.tls_server_end_point = c.server.chosen->end_point;
  } else if (const X509* peer = SSL_get0_peer_certificate(ssl)) {
    bindings.tls_server_end_point = tls::end_point_binding(peer);
  }
  return bindings;
}

std::string_view TlsEngine::protocol() const noexcept {
  return tls::text_or_empty(SSL_get_version(connection_->ssl.get()));
}
std::string_view TlsEngine::cipher() const noexcept {
  return tls::text_or_empty(SSL_get_cipher_name(connection_->ssl.get()));
}
std::string_view TlsEngine::sni() const noexcept {
  return tls::text_or_empty(SSL_get_servername(connection_->ssl.get(), TLSEXT_NAMETYPE_host_name));
}
std::string_view TlsEngine::alpn() const noexcept {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(connection_->ssl.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}
bool TlsEngine::is_resumed() const noexcept {
  return SSL_session_reused(connection_->ssl.get()) == 1;
}

std::optional<PeerCertificate> TlsEngine::peer_certificate() const {
  SSL* ssl = connection_->ssl.get();
  X509* peer = SSL_get0_peer_certificate(ssl);
  if (peer == nullptr) return std::nullopt;
  return tls::describe_peer(peer, SSL_get_verify_result(ssl));
}

}  // namespace xmpp
