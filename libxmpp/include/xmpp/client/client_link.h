// ClientLink: the initiator's side of one connection: Stream + TLS + channel on a reactor. Reads
// once per readiness into the reactor's buffer, flushes once per turn: what was sent during a turn
// becomes one run of TLS records and one writev.
//
// Thread-safety: the reactor's thread only. Invariants: (1) the observer hears on_link_ended()
// exactly once, then nothing more. (2) It must not destroy the link from within its calls. (3) An
// idle link holds no buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "xmpp/base/bytes.h"
#include "xmpp/base/random.h"
#include "xmpp/net/poller.h"
#include "xmpp/net/reactor.h"
#include "xmpp/stream/stream.h"
#include "xmpp/transport/tls_engine.h"

namespace xmpp {

// Why a connection ended that the stream did not end itself.
struct LinkFailure {
  bool tls = false;  // the handshake or a record; else the connection
  std::string text;
};

class LinkObserver {
 public:
  LinkObserver() = default;
  LinkObserver(const LinkObserver&) = delete;
  LinkObserver& operator=(const LinkObserver&) = delete;
  // Every event but NeedBytes and StartTls.
  virtual void on_event(Event event) = 0;
  // TLS begins (text for people of what is being tried) or is up.
  virtual void on_tls(bool is_up) = 0;
  // nullopt: after Closed or StreamFailed, everything was sent.
  virtual void on_link_ended(std::optional<LinkFailure> failure) = 0;

 protected:
  ~LinkObserver() = default;
};

struct LinkTls {
  std::shared_ptr<TlsContext> context;  // null: no TLS on this link
  std::string host;                     // A-labels: SNI and the name in the certificate
  bool direct = false;                  // from the first byte, with ALPN (XEP-0368)
};

class ClientLink final : private net::Flushable {
 public:
  // `rng` must outlive the link.
  ClientLink(net::Reactor& reactor, std::unique_ptr<net::ByteChannel> channel, LinkTls tls,
             std::shared_ptr<const StreamPolicy> policy, Rng& rng, LinkObserver& observer);
  ~ClientLink();
  ClientLink(const ClientLink&) = delete;
  ClientLink& operator=(const ClientLink&) = delete;

  // Begins to talk.
  void start();
  [[nodiscard]] Stream& stream() noexcept { return stream_; }
  [[nodiscard]] const Stream& stream() const noexcept { return stream_; }
  // After anything was done to stream() from outside an event: reports and flushes at the end of
  // the turn.
  void touch() noexcept { reactor_.mark_dirty(*this); }
  // Drops the connection now, without a word and without on_link_ended().
  void drop() noexcept;
  [[nodiscard]] bool is_ended() const noexcept { return channel_ == nullptr; }
  // Bytes not yet taken by the socket.
  [[nodiscard]] std::size_t pending_output() const noexcept;
  // Null without TLS.
  [[nodiscard]] const TlsEngine* tls() const noexcept { return engine_ ? &*engine_ : nullptr; }

 private:
  static void on_ready(void* self, net::Readiness readiness);
  void read();
  void on_bytes(std::string_view bytes);
  void on_ciphertext(std::string_view bytes);
  void on_end_of_input();
  void on_handshake_done();
  void start_tls();
  void pump();
  void flush();
  bool write(OutputChain& chain);
  void end(std::optional<LinkFailure> failure);

  net::Reactor& reactor_;
  std::unique_ptr<net::ByteChannel> channel_;  // null: ended
  LinkObserver& observer_;
  net::Watch watch_;
  Stream stream_;
  std::optional<TlsEngine> engine_;
  OutputChain wire_;  // ciphertext, and what was in clear before TLS began
  std::unique_ptr<LinkTls> setup_;
  bool writable_ = true;
  bool hung_up_ = false;
  bool handshaking_ = false;
  bool pumping_ = false;
};

}  // namespace xmpp
