// The other end of a Client under test: Stream(Role::receiver), TLS if wanted, on a channel in
// memory. Accounts: alice with password "secret"; everything else is a switch.
//
// Thread-safety: one thread.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "unit/net/memory_net.h"
#include "xmpp/sasl/credentials.h"
#include "xmpp/stream/stream.h"
#include "xmpp/transport/tls_engine.h"

namespace xmpp {

struct TestServer {
  struct Behaviour {
    std::shared_ptr<TlsContext> tls;  // null: none
    bool direct = false;
    bool offer_starttls = true;
    bool tls_required = true;
    std::vector<sasl::MechanismId> mechanisms = {sasl::MechanismId::scram_sha_256_plus,
                                                 sasl::MechanismId::scram_sha_256,
                                                 sasl::MechanismId::plain};
    std::optional<StreamError> refuse_header;
    std::optional<StanzaError> refuse_bind;
    bool answers_bind = true;
    std::vector<std::string_view> preauth_iq;
    bool closes_back = true;
  };

  TestServer(std::unique_ptr<net::MemoryChannel> its_channel, Behaviour how, Rng& rng, Instant now)
      : behaviour(std::move(how)),
        channel(std::move(its_channel)),
        stream(Role::receiver, std::make_shared<StreamPolicy>(), rng, now) {
    if (behaviour.direct) engine.emplace(TlsEngine::make_server(*behaviour.tls, "example.org"));
  }

  // Reads, answers, writes until nothing moves.
  void pump() {
    std::array<char, 8192> buffer;
    while (channel) {
      const net::IoResult result = channel->read(buffer);
      if (result.status == net::IoResult::Status::closed) {
        saw_end = true;
        channel.reset();
        return;
      }
      if (result.status != net::IoResult::Status::ok) break;
      on_bytes({buffer.data(), result.bytes});
      flush();
    }
    flush();
  }

  void send(const Stanza& stanza) {
    stream.send(stanza);
    flush();
  }
  void send_raw(std::string_view markup) {
    stream.output().append(markup);
    flush();
  }

  void on_bytes(std::string_view bytes) {
    if (!engine) {
      feed(bytes);
      return;
    }
    if (!engine->feed(bytes)) return;
    if (!tls_up && engine->is_open()) {
      tls_up = true;
      if (behaviour.direct) {
        stream.assume_tls(engine->channel_bindings());
      } else {
        stream.tls_started(engine->channel_bindings());
      }
    }
    std::array<char, 4096> plain;
    for (auto count = engine->read(plain); count && *count > 0; count = engine->read(plain)) {
      feed({plain.data(), *count});
    }
  }
  void feed(std::string_view bytes) {
    stream.receive(bytes);
    while (channel) {
      Event event = stream.next();
      if (is<NeedBytes>(event)) return;
      handle(event);
    }
  }

  void flush() {
    OutputChain wire;
    if (engine) {
      if (tls_up && !stream.output().empty()) (void)engine->write(std::move(stream.output()));
      engine->take_output(wire);
    } else {
      wire.append(std::move(stream.output()));
      if (begin_tls) {
        begin_tls = false;
        engine.emplace(TlsEngine::make_server(*behaviour.tls, "example.org"));
      }
    }
    if (channel && !wire.empty()) {
      const std::string text = wire.str();
      const iovec part{const_cast<char*>(text.data()), text.size()};
      (void)channel->writev({&part, 1});
    }
    if (stream.is_closed()) channel.reset();
  }

  void handle(Event& event) {
    if (auto* header = std::get_if<HeaderReceived>(&event)) {
      to = header->to;
      if (behaviour.refuse_header) {
        stream.fail(*behaviour.refuse_header);
        return;
      }
      StreamOffer offer;
      offer.domain = header->to;
      offer.tls_available = behaviour.tls && behaviour.offer_starttls && !behaviour.direct;
      offer.tls_required = offer.tls_available && behaviour.tls_required;
      offer.mechanisms = behaviour.mechanisms;
      offer.binding_types = {sasl::ChannelBindingType::tls_exporter};
      offer.scram_secret = Secret("pepper");
      offer.scram_iterations = sasl::kMinIterations;
      offer.preauth_iq = behaviour.preauth_iq;
      stream.accept(std::move(offer));
    } else if (is<StartTls>(event)) {
      begin_tls = true;
      flush();
    } else if (auto* wanted = std::get_if<CredentialsWanted>(&event)) {
      if (wanted->username == "alice") {
        stream.provide_keys(sasl::derive_scram_keys(wanted->hash, Secret("secret"),
                                                    "0123456789abcdef", sasl::kMinIterations));
      } else {
        stream.provide_keys(sasl::Lookup::unknown);
      }
    } else if (auto* offered = std::get_if<PasswordOffered>(&event)) {
      stream.password_verified(offered->username == "alice" &&
                               offered->password.reveal() == "secret");
    } else if (auto* identity = std::get_if<Authenticated>(&event)) {
      account = identity->jid;
      stream.continue_authenticated(identity->jid);
    } else if (auto* bind = std::get_if<BindRequested>(&event)) {
      if (!behaviour.answers_bind) return;
      if (behaviour.refuse_bind) {
        stream.refuse_bind(*behaviour.refuse_bind);
      } else {
        stream.bound(*account.with_resource(bind->resource.empty() ? "chosen" : bind->resource));
      }
    } else if (auto* stanza = std::get_if<StanzaReceived>(&event)) {
      received.push_back(stanza->parsed.stanza);
      if (on_stanza) on_stanza(received.back());
    } else if (is<Closed>(event)) {
      saw_close = true;
    }
  }

  Behaviour behaviour;
  std::unique_ptr<net::MemoryChannel> channel;
  Stream stream;
  std::optional<TlsEngine> engine;
  bool tls_up = false;
  bool begin_tls = false;
  bool saw_end = false;    // end of input
  bool saw_close = false;  // streams were closed in order
  std::string to;
  Jid account;
  std::vector<Stanza> received;
  std::function<void(const Stanza&)> on_stanza;
};

}  // namespace xmpp
