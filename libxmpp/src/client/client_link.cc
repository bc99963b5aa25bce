#include "xmpp/client/client_link.h"

#include <array>
#include <span>
#include <system_error>
#include <utility>
#include <variant>

#include "xmpp/base/assert.h"

namespace xmpp {
namespace {

using net::IoResult;

constexpr std::size_t kSegmentsPerWrite = 64;

std::string error_text(std::string_view action, int code) {
  return std::string(action) + ": " + std::generic_category().message(code);
}

}  // namespace

ClientLink::ClientLink(net::Reactor& reactor, std::unique_ptr<net::ByteChannel> channel,
                       LinkTls tls, std::shared_ptr<const StreamPolicy> policy, Rng& rng,
                       LinkObserver& observer)
    : Flushable([](Flushable* self) { static_cast<ClientLink*>(self)->flush(); }),
      reactor_(reactor),
      channel_(std::move(channel)),
      observer_(observer),
      watch_{&ClientLink::on_ready, this},
      stream_(Role::initiator, std::move(policy), rng, reactor.now()),
      setup_(tls.context ? std::make_unique<LinkTls>(std::move(tls)) : nullptr) {}

ClientLink::~ClientLink() {
  drop();
}

void ClientLink::start() {
  reactor_.watch(*channel_, watch_);
  if (setup_ && setup_->direct) {
    start_tls();
  } else {
    stream_.open();
  }
  touch();
}

void ClientLink::drop() noexcept {
  if (!channel_) return;
  reactor_.unwatch(*channel_, watch_);
  channel_.reset();
}

std::size_t ClientLink::pending_output() const noexcept {
  // output() has no const overload; its size changes nothing.
  return wire_.size() + const_cast<Stream&>(stream_).output().size();
}

void ClientLink::on_ready(void* self, net::Readiness readiness) {
  auto& link = *static_cast<ClientLink*>(self);
  if (net::has(readiness, net::Readiness::writable)) {
    link.writable_ = true;
    if (link.pending_output() > 0) link.touch();
  }
  if (net::has(readiness, net::Readiness::hangup)) link.hung_up_ = true;
  if (net::has(readiness, net::Readiness::readable) || link.hung_up_) link.read();
}

void ClientLink::read() {
  const std::span<char> buffer = reactor_.read_buffer();
  while (channel_) {
    const IoResult result = channel_->read(buffer);
    switch (result.status) {
      case IoResult::Status::ok:
        on_bytes({buffer.data(), result.bytes});
        if (!channel_) return;
        if (result.bytes == buffer.size()) {
          // The budget of a turn: others come first.
          reactor_.read_again(watch_);
          return;
        }
        // A short read means drained, unless the end of input was announced together with these
        // bytes.
        if (!hung_up_) return;
        break;
      case IoResult::Status::would_block:
        return;
      case IoResult::Status::closed:
        on_end_of_input();
        return;
      case IoResult::Status::failed:
        end(stream_.is_closed()
                ? std::nullopt
                : std::optional(LinkFailure{false, error_text("read", result.error)}));
        return;
    }
  }
}

void ClientLink::on_bytes(std::string_view bytes) {
  if (stream_.is_closed()) return;  // only the flush is awaited
  if (engine_) {
    on_ciphertext(bytes);
    return;
  }
  stream_.receive(bytes);
  pump();
  // Not in pump(): flush() calls it too, and would have itself called again for as long as the
  // socket is full.
  if (channel_ && (!stream_.output().empty() || stream_.is_closed())) touch();
}

void ClientLink::on_ciphertext(std::string_view bytes) {
  touch();  // handshake messages, alerts
  // The engine has copied what it cannot use at once: the buffer is free for the plaintext.
  const auto fed = engine_->feed(bytes);
  if (handshaking_ && engine_->state() != TlsEngine::State::handshaking && fed) on_handshake_done();
  const std::span<char> buffer = reactor_.read_buffer();
  while (channel_ && fed && !stream_.is_closed()) {
    const auto count = engine_->read(buffer);
    if (!count) {
      end(LinkFailure{true, count.error().text});
      return;
    }
    if (*count == 0) break;
    stream_.receive({buffer.data(), *count});
    pump();
  }
  if (!channel_ || stream_.is_closed()) return;
  if (!fed) {
    // Last words: the alert that says why.
    engine_->take_output(wire_);
    write(wire_);
    if (channel_) end(LinkFailure{true, fed.error().text});
  } else if (engine_->state() == TlsEngine::State::closed_by_peer) {
    end(LinkFailure{false, "the peer closed TLS without closing the stream"});
  }
}

void ClientLink::on_end_of_input() {
  if (stream_.is_closed()) {
    end(std::nullopt);
    return;
  }
  if (handshaking_) {
    end(LinkFailure{true, "the peer closed the connection during the TLS handshake"});
  } else {
    end(LinkFailure{false, "the peer closed the connection without closing the stream"});
  }
}

void ClientLink::start_tls() {
  XMPP_ASSERT(setup_ && !engine_);
  wire_.append(std::move(stream_.output()));
  // XEP-0368 3: only where other protocols may be spoken on the same port.
  static const std::string kProtocol = "xmpp-client";
  engine_.emplace(TlsEngine::make_client(*setup_->context, setup_->host,
                                         std::span(&kProtocol, setup_->direct ? 1 : 0)));
  handshaking_ = true;
  observer_.on_tls(false);
  touch();
  // Nothing to begin with, so nothing to wait for.
  if (const auto begun = engine_->feed({}); !begun) end(LinkFailure{true, begun.error().text});
}

void ClientLink::on_handshake_done() {
  handshaking_ = false;
  observer_.on_tls(true);
  auto facts = engine_->channel_bindings();
  if (setup_->direct) {
    stream_.open(std::move(facts));
  } else {
    stream_.tls_started(std::move(facts));
  }
  setup_.reset();
  pump();
}

void ClientLink::pump() {
  if (pumping_) return;
  pumping_ = true;
  while (channel_) {
    Event event = stream_.next();
    if (is<NeedBytes>(event)) break;
    if (is<StartTls>(event)) {
      if (!setup_) {
        end(LinkFailure{true, "the stream wants TLS, which was not configured"});
        break;
      }
      start_tls();
      continue;
    }
    observer_.on_event(std::move(event));
  }
  pumping_ = false;
}

void ClientLink::flush() {
  if (!channel_) return;
  pump();
  if (!channel_ || (!writable_ && !hung_up_)) return;
  if (engine_) {
    if (!handshaking_ && !stream_.output().empty()) {
      const auto written = engine_->write(std::move(stream_.output()));
      if (!written) {
        end(LinkFailure{true, written.error().text});
        return;
      }
    }
    if (stream_.is_closed() && !handshaking_) engine_->close();
    engine_->take_output(wire_);
  }
  if (!write(wire_)) return;
  if (!engine_ && !write(stream_.output())) return;
  if (channel_ && stream_.is_closed()) {
    channel_->shutdown_write();
    end(std::nullopt);
  }
}

// Writes all of `chain`; false: not now, or the link has ended.
bool ClientLink::write(OutputChain& chain) {
  std::array<iovec, kSegmentsPerWrite> parts;
  while (!chain.empty()) {
    const std::size_t count = chain.gather(parts);
    std::size_t offered = 0;
    for (std::size_t i = 0; i < count; ++i) offered += parts[i].iov_len;
    const IoResult result = channel_->writev(std::span(parts).first(count));
    switch (result.status) {
      case IoResult::Status::ok:
        chain.consume(result.bytes);
        if (result.bytes == offered) break;
        writable_ = false;  // the socket is full; an edge follows
        return false;
      case IoResult::Status::would_block:
        writable_ = false;
        return false;
      case IoResult::Status::closed:
        // The peer may have said why before it went: what it sent is read first.
        chain.clear();
        if (!stream_.is_closed()) {
          hung_up_ = true;
          reactor_.read_again(watch_);
          return false;
        }
        return true;
      case IoResult::Status::failed:
        end(stream_.is_closed()
                ? std::nullopt
                : std::optional(LinkFailure{false, error_text("write", result.error)}));
        return false;
    }
  }
  return true;
}

void ClientLink::end(std::optional<LinkFailure> failure) {
  if (!channel_) return;
  drop();
  observer_.on_link_ended(std::move(failure));
}

}  // namespace xmpp
