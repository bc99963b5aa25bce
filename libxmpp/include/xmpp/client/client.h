// Client: an asynchronous XMPP client on a Reactor.
//
//   net::... reactor; Client client(reactor, {.jid = *Jid::parse("bot@example.org"), .password = Secret("p")});
//   client.on_stanza([&](const Stanza& stanza) { ... });
//   client.on_bound([&] { client.send(Stanza::presence()); });
//   client.connect();
//
// Thread-safety: the reactor's thread only. A handler may send and close; it must not destroy the client.
// Invariants: (1) on_closed is called exactly once per connect(). (2) An iq() completes exactly once: with
// the answer, with an error stanza, or with nullopt when the connection ends or the timeout passes.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "xmpp/base/task.h"
#include "xmpp/net/reactor.h"
#include "xmpp/stream/stream.h"

namespace xmpp {

struct ClientOptions {
  Jid jid;          // whom to log in as; a resource is asked for if present
  Secret password;
  std::string domain;                // `to`; default: jid's domain
  std::vector<std::string> targets;  // "host:port"; empty: SRV look-up (RFC 6120 3.2, XEP-0368)
  enum class Tls : std::uint8_t { starttls, direct, none } tls = Tls::starttls;
  bool verify_certificate = true;
  std::string ca_file;               // additional trust anchors, PEM
  std::string mechanism = "auto";
  bool plain_without_tls = false;
  bool channel_binding = true;
  bool pause_before_authentication = false;  // on_ready_to_authenticate decides
  std::string local_address;         // source address of the connection
  Duration connect_timeout = std::chrono::seconds(30);
  Duration iq_timeout = std::chrono::seconds(30);
};

struct ClientFailure {
  enum class Stage : std::uint8_t { resolve, connect, tls, stream, sasl, bind, none } stage;
  std::string text;                              // for people
  std::optional<StreamError> stream_error;
  std::optional<sasl::SaslCondition> sasl;
};

class Client {
 public:
  Client(net::Reactor& reactor, ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void on_bound(std::function<void()> handler);
  void on_stanza(std::function<void(const Stanza&)> handler);  // all but answers to iq()
  void on_ready_to_authenticate(std::function<void()> handler);
  // nullopt: closed as asked, or by the peer in order.
  void on_closed(std::function<void(std::optional<ClientFailure>)> handler);

  void connect();
  void start_authentication();  // after on_ready_to_authenticate
  void send(const Stanza& stanza);
  // Sends a request with a fresh id; see invariant 2.
  void iq(Stanza request, std::function<void(std::optional<Stanza>)> answered);
  // The same for coroutines: `auto answer = co_await client.request(stanza);`
  [[nodiscard]] Completion<std::optional<Stanza>> request(Stanza request);
  // Closes in order: </stream:stream>, then the connection.
  void close();
  // Drops the connection without a word, as a network failure would.
  void abort();

  [[nodiscard]] const Jid& jid() const noexcept;  // full once bound
  [[nodiscard]] bool is_bound() const noexcept;
  [[nodiscard]] const Stream* stream() const noexcept;
  // Bytes not yet taken by the socket.
  [[nodiscard]] std::size_t pending_output() const noexcept;
  [[nodiscard]] const std::string& mechanism() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace xmpp
