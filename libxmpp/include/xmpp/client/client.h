// Client: an asynchronous XMPP client on a Reactor.
//
//   net::... reactor; Client client(reactor, {.jid = *Jid::parse("bot@example.org"), .password =
//   Secret("p")}); client.on_stanza([&](const Stanza& stanza) { ... }); client.on_bound([&] {
//   client.send(Stanza::presence()); }); client.connect();
//
// Thread-safety: the reactor's thread only. Handlers run in the reactor's turns, never inside the
// calls below; a handler may call any of them. Only on_closed may destroy the client. Invariants:
// (1) on_closed is called exactly once per connect(). (2) An iq() completes exactly once: with the
// answer, with an error stanza, or with nullopt when the connection ends or the timeout passes
// (never, if the client is destroyed before).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "xmpp/base/task.h"
#include "xmpp/net/reactor.h"
#include "xmpp/net/resolver.h"
#include "xmpp/net/socket.h"
#include "xmpp/stream/stream.h"
#include "xmpp/transport/tls_engine.h"

namespace xmpp {

struct ClientOptions {
  Jid jid;  // whom to log in as; a resource is asked for if present; without localpart: ANONYMOUS
  Secret password;
  std::string domain;                // `to`; default: jid's domain
  std::vector<std::string> targets;  // "host:port"; empty: SRV look-up (RFC 6120 3.2, XEP-0368)
  // starttls: TLS is required; by SRV it may be direct TLS as well. none: never.
  enum class Tls : std::uint8_t { starttls, direct, none } tls = Tls::starttls;
  bool verify_certificate = true;
  std::string ca_file;  // trust these (PEM) instead of the system's
  std::string mechanism = "auto";
  bool plain_without_tls = false;
  bool channel_binding = true;
  bool pause_before_authentication = false;             // on_ready_to_authenticate decides
  std::string local_address;                            // source address of the connection
  Duration connect_timeout = std::chrono::seconds(30);  // from connect() until bound
  Duration iq_timeout = std::chrono::seconds(30);
  Duration close_timeout = std::chrono::seconds(5);  // for the peer's </stream:stream>

  // Shared between many clients, which then are cheap. Null: each client makes its own.
  std::shared_ptr<TlsContext>
      tls_context;  // make_client_tls(); replaces verify_certificate, ca_file
  std::shared_ptr<sasl::SaltedPasswordCache> password_cache;
  // These must outlive the client. Null: its own Offload and Resolver while it resolves (destroying
  // it then waits for DNS), the operating system's sockets, OsRng.
  net::Resolver* resolver = nullptr;
  net::Connector* connector = nullptr;
  Rng* rng = nullptr;
};

// The TLS context that a client with these options uses; share it through
// ClientOptions::tls_context.
[[nodiscard]] Result<std::shared_ptr<TlsContext>, TlsError> make_client_tls(
    const ClientOptions& options);

struct ClientFailure {
  // How far it had come; stream also covers everything after bind.
  enum class Stage : std::uint8_t {
    resolve,
    connect,
    tls,
    stream,
    sasl,
    bind,
    none
  } stage = Stage::none;
  std::string text;  // for people
  std::optional<StreamError> stream_error;
  std::optional<sasl::SaslCondition> sasl;
};
[[nodiscard]] std::string_view to_string(ClientFailure::Stage stage) noexcept;

class Client {
 public:
  Client(net::Reactor& reactor, ClientOptions options);
  // Drops the connection; no handler is called any more.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void on_bound(std::function<void()> handler);
  void on_stanza(std::function<void(const Stanza&)> handler);  // all but answers to iq()
  void on_ready_to_authenticate(std::function<void()> handler);
  // nullopt: closed as asked, or by the peer in order. May connect() again or destroy the client.
  void on_closed(std::function<void(std::optional<ClientFailure>)> handler);

  // REQUIRES: not connected (before the first connect(), or after on_closed began).
  void connect();
  void start_authentication();  // after on_ready_to_authenticate
  // Nothing happens if the client is not bound (and the stanza is no iq after
  // on_ready_to_authenticate).
  void send(const Stanza& stanza);
  // Sends a request with a fresh id; see invariant 2.
  void iq(Stanza request, std::function<void(std::optional<Stanza>)> answered);
  // The same for coroutines: `auto asked = client.request(stanza); auto answer = co_await asked;`
  [[nodiscard]] Completion<std::optional<Stanza>> request(Stanza request);
  // Closes in order: </stream:stream>, then the connection.
  void close();
  // Drops the connection without a word, as a network failure would; on_closed(nullopt) follows.
  void abort();

  [[nodiscard]] const Jid& jid() const noexcept;  // full once bound
  [[nodiscard]] bool is_bound() const noexcept;
  // From connect() until on_closed.
  [[nodiscard]] bool is_active() const noexcept;
  [[nodiscard]] const Stream* stream() const noexcept;  // null while there is none
  // Bytes not yet taken by the socket.
  [[nodiscard]] std::size_t pending_output() const noexcept;
  [[nodiscard]] const std::string& mechanism() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace xmpp
