// TLS without sockets: ciphertext in, plaintext out, and the reverse, over buffers.
//
//   TlsContext  certificates and policy; shared by many engines; a server's can be reloaded while
//   they live. TlsEngine   one connection. Driven like this:
//       engine.feed(bytes_from_socket);           // also advances the handshake
//       while (engine.read(buffer) yields > 0) ... // until 0: nothing more for now
//       engine.write(plaintext);                  // whole runs: one call per link and turn
//       engine.take_output(chain);                // after any of these: ciphertext for the socket
//
// Specs: RFC 8446, RFC 5246, RFC 7590, RFC 6120 13.7 and RFC 9525 (names), RFC 9266 and RFC 5929
// (bindings), XEP-0368 (ALPN).
// Thread-safety: TlsContext any thread; TlsEngine one thread at a time, may move between threads
// between calls (a link migrates with it). Invariants: (1) an idle open engine holds no buffers.
// (2) After a failure every call reports it again.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "xmpp/base/bytes.h"
#include "xmpp/base/result.h"
#include "xmpp/base/time.h"
#include "xmpp/sasl/channel_binding.h"

namespace xmpp {

enum class TlsErrorCode : std::uint8_t {
  configuration,  // certificate or key unusable (TlsContext only)
  handshake,      // no common version, cipher or protocol; alert from the peer; no TLS at all
  certificate,    // the peer's certificate was refused
  protocol,       // broken records after the handshake
  truncated,      // the connection ended without close_notify
  closed,         // write after close_notify
};
[[nodiscard]] std::string_view to_string(TlsErrorCode code) noexcept;

struct TlsError {
  TlsErrorCode code = TlsErrorCode::protocol;
  std::string text;
};

namespace tls {
struct LoadedCertificate;
}

// A certificate with its chain and key, as PEM text.
struct TlsCertificate {
  std::vector<std::string> hosts;  // the names (SNI, lower case A-labels) it is shown for
  std::string certificate_pem;     // the leaf first, then its chain
  std::string key_pem;
  // The texts as OpenSSL has them, if somebody parsed them: that takes about a millisecond.
  std::shared_ptr<const tls::LoadedCertificate> parsed = nullptr;
};
// Reads and parses both files. The error says which one and why. `known`: files whose text is that
// of this certificate are not parsed again.
[[nodiscard]] Result<TlsCertificate, TlsError> load_tls_certificate(
    const std::string& certificate_file, const std::string& key_file,
    std::vector<std::string> hosts, const TlsCertificate* known = nullptr);

// Nothing below TLS 1.2 is ever spoken (RFC 7590, RFC 8996).
enum class TlsVersion : std::uint8_t { tls1_2, tls1_3 };

struct TlsServerOptions {
  // Protocols that may be selected by ALPN; a client without ALPN is fine, one that offers none of
  // these is refused. Empty: ALPN is ignored.
  std::vector<std::string> alpn = {"xmpp-client"};
  // For EXTERNAL; whatever comes is let through, see PeerCertificate::verified.
  bool request_peer_certificate = false;
  std::string peer_ca_pem;  // whom verified trusts; empty: the system's
  TlsVersion version_max = TlsVersion::tls1_3;
  Clock* clock = nullptr;  // by which the keys of session tickets age; null: the system's
};

struct TlsClientOptions {
  bool insecure = false;                      // accept any certificate
  std::string ca_pem;                         // trust these; empty: the system's
  std::vector<std::string> alpn;              // for all; see TlsEngine::make_client()
  std::optional<TlsCertificate> certificate;  // to show to the server, for EXTERNAL
  TlsVersion version_max = TlsVersion::tls1_3;
};

class TlsContext {
 public:
  // The first certificate is shown to clients that name no host or an unknown one.
  // REQUIRES: certificates is not empty.
  [[nodiscard]] static Result<std::shared_ptr<TlsContext>, TlsError> make_server(
      std::span<const TlsCertificate> certificates, const TlsServerOptions& options = {});
  [[nodiscard]] static Result<std::shared_ptr<TlsContext>, TlsError> make_client(
      const TlsClientOptions& options = {});
  // Replaces all certificates of a server context at once; on an error nothing changes. Engines
  // that live keep what they have.
  [[nodiscard]] Result<void, TlsError> reload(std::span<const TlsCertificate> certificates);

  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ~TlsContext();

 private:
  friend class TlsEngine;
  struct State;
  explicit TlsContext(std::unique_ptr<State> state) noexcept;
  std::unique_ptr<State> state_;
};

// What the peer showed. On the server side nothing of it has been refused: look at verified.
struct PeerCertificate {
  bool verified = false;                    // chains to a trusted authority and is in its time
  std::string verify_error;                 // why not
  std::string fingerprint;                  // SHA-256 of the DER, lower-case hexadecimal
  std::vector<std::string> dns_names;       // subjectAltName dNSName
  std::vector<std::string> services;        // subjectAltName SRVName: "_xmpp-client.example.org"
  std::vector<std::string> xmpp_addresses;  // subjectAltName id-on-xmppAddr (RFC 6120 13.7.1.4)
};

class TlsEngine {
 public:
  enum class State : std::uint8_t {
    handshaking,
    open,
    closed_by_peer,  // close_notify came; writing is still possible
    failed,
  };

  // The server's end. `default_host` chooses the certificate if the client names no host (STARTTLS:
  // the stream's `to`).
  [[nodiscard]] static TlsEngine make_server(const TlsContext& context,
                                             std::string_view default_host = {});
  // The client's end; the first flight is ready in take_output() at once. `host` (A-labels or an IP
  // literal) is what the certificate must name and what SNI says. If it is to be verified and is no
  // name, the engine has failed from the start. `alpn`: offered instead of the context's, unless it
  // is empty.
  [[nodiscard]] static TlsEngine make_client(const TlsContext& context, std::string_view host,
                                             std::span<const std::string> alpn = {});

  TlsEngine(TlsEngine&&) noexcept;
  TlsEngine& operator=(TlsEngine&&) noexcept;
  ~TlsEngine();

  // Ciphertext from the peer (copied as far as it cannot be used at once).
  Result<void, TlsError> feed(std::string_view ciphertext);
  // Decrypts into `out`; 0: nothing more until the next feed(), or closed_by_peer.
  Result<std::size_t, TlsError> read(std::span<char> out);
  // Encrypts. REQUIRES: is_open() or closed_by_peer. Small pieces of a chain share records (16 KiB
  // each).
  Result<void, TlsError> write(std::string_view plaintext);
  Result<void, TlsError> write(OutputChain&& plaintext);
  // Moves the ciphertext that is ready to the end of `into`.
  void take_output(OutputChain& into);
  [[nodiscard]] bool has_output() const noexcept;
  // Sends close_notify (once). The peer's may still come.
  void close();
  // The socket ended: an error (truncated) unless close_notify came before.
  Result<void, TlsError> end_of_input();

  [[nodiscard]] State state() const noexcept;
  // The handshake is complete and nothing failed or closed since.
  [[nodiscard]] bool is_open() const noexcept { return state() == State::open; }

  // REQUIRES for all below: the handshake is complete.
  [[nodiscard]] sasl::ChannelBindings channel_bindings() const;
  [[nodiscard]] std::string_view protocol() const noexcept;  // "TLSv1.3"
  [[nodiscard]] std::string_view cipher() const noexcept;
  [[nodiscard]] std::string_view sni() const noexcept;   // empty: none
  [[nodiscard]] std::string_view alpn() const noexcept;  // empty: none
  [[nodiscard]] bool is_resumed() const noexcept;
  [[nodiscard]] std::optional<PeerCertificate> peer_certificate() const;

 private:
  struct Connection;
  explicit TlsEngine(std::unique_ptr<Connection> connection) noexcept;
  std::unique_ptr<Connection> connection_;
};

struct SelfSigned {
  TlsCertificate certificate;
  std::string fingerprint;  // SHA-256 of the DER, as "AB:CD:..."
};
struct SelfSignedOptions {
  std::int64_t not_before_s = -3600;  // relative to now
  std::int64_t not_after_s = 10LL * 365 * 86400;
};
// A new ECDSA P-256 key and certificate with a dNSName for each host. REQUIRES: hosts is not empty.
[[nodiscard]] Result<SelfSigned, TlsError> make_self_signed(const std::vector<std::string>& hosts,
                                                            const SelfSignedOptions& options = {});
// SHA-256 of the first certificate of a PEM text, as "AB:CD:..."; empty if there is none.
[[nodiscard]] std::string certificate_fingerprint(std::string_view certificate_pem);
[[nodiscard]] std::string certificate_fingerprint(const TlsCertificate& certificate);

}  // namespace xmpp
