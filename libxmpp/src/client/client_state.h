// Client::State: what is behind Client. Everything that ends something (connection, iqs, resolving)
// is done from the timer, so that no handler is called from inside a call of the user and nothing
// dies while it is on the stack.
//
// Thread-safety: the reactor's thread only.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "xmpp/base/timer_wheel.h"
#include "xmpp/client/client.h"
#include "xmpp/client/client_link.h"
#include "xmpp/net/dialer.h"

namespace xmpp {

struct Client::State final : LinkObserver {
  using Stage = ClientFailure::Stage;

  State(net::Reactor& its_reactor, ClientOptions its_options);
  ~State() = default;

  // ---- connecting (connecting.cc)
  void connect();
  void resolve();
  void on_targets_resolved();
  void dial(std::vector<net::Endpoint> endpoints);
  void on_dialed(Result<net::Dialer::Connected, net::SocketError> result);
  [[nodiscard]] std::optional<LinkTls> make_tls(bool direct);
  [[nodiscard]] std::shared_ptr<const StreamPolicy> make_policy() const;

  // ---- the link's observer
  void on_event(Event event) override;
  void on_tls(bool is_up) override;
  void on_link_ended(std::optional<LinkFailure> link_failure) override;
  void on_stanza_received(const ParsedStanza& parsed);
  void on_stream_failed(const StreamFailed& report);
  void end_soon();

  // ---- iqs
  [[nodiscard]] bool can_send(const Stanza& stanza) const noexcept;
  void send(const Stanza& stanza);
  void iq(Stanza request, std::function<void(std::optional<Stanza>)> answered);
  // Does the stanza answer one of ours? Then completes it.
  bool take_answer(const Stanza& stanza);
  [[nodiscard]] bool is_from(const Stanza& answer, const Jid& asked) const noexcept;
  void expire_iqs(Instant now);

  // ---- time and the end
  void on_timer();
  // Sets the timer to the next deadline.
  void arm();
  void fail(Stage where, std::string text);
  // Ends this connection; on_closed follows from the timer.
  void end();
  void finish();

  struct PendingIq {
    Jid to;
    Instant deadline;
    std::function<void(std::optional<Stanza>)> answered;
  };
  // Only while targets are resolved.
  struct Resolving {
    std::unique_ptr<net::Offload> offload;  // if nobody lends a resolver
    std::unique_ptr<net::Resolver> resolver;
    std::vector<std::vector<net::Endpoint>> found;  // per target
    std::size_t left = 0;
    std::string error;
    std::list<net::Resolver::Request> requests;
  };

  net::Reactor& reactor;
  ClientOptions options;
  // Each is held while it runs: it may put another in its place.
  std::function<void()> bound_handler;
  std::shared_ptr<const std::function<void(const Stanza&)>> stanza_handler;
  std::function<void()> ready_handler;
  std::function<void(std::optional<ClientFailure>)> closed_handler;

  bool active = false;  // between connect() and on_closed
  bool ended = false;   // on_closed is due
  bool bound = false;
  bool paused = false;   // ReadyToAuthenticate
  bool closing = false;  // close() was called
  Stage stage = Stage::none;
  Jid jid;
  std::string mechanism;
  std::unique_ptr<ClientFailure> failure;
  std::unique_ptr<Resolving> resolving;
  std::unique_ptr<net::Dialer> dialer;
  std::unique_ptr<ClientLink> link;
  // Behind the endpoint that `link` goes to: dialled when its TLS handshake fails (XEP-0368 3).
  std::vector<net::Endpoint> untried;
  bool redial = false;  // the timer does so
  std::shared_ptr<TlsContext> own_tls;

  std::string iq_tag;  // random, so that ids cannot be guessed
  std::uint64_t last_iq = 0;
  std::map<std::uint64_t, PendingIq> iqs;  // by number, which is the order of their deadlines
  bool iqs_refused = false;                // some never left: they expire at once
  Instant deadline = kNever;               // of connecting, then of closing
  Timer timer;
};

}  // namespace xmpp
