// A Client on a reactor, a network in memory and a TestServer at its other end.
//
// Thread-safety: one thread.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "unit/client/test_server.h"
#include "xmpp/client/client.h"
#include "xmpp/core/namespaces.h"

namespace xmpp {

inline const SelfSigned& certificate() {
  static const SelfSigned made = *make_self_signed({"example.org"});
  return made;
}
inline std::shared_ptr<TlsContext> server_tls() {
  static const auto made = *TlsContext::make_server({&certificate().certificate, 1});
  return made;
}
inline std::shared_ptr<TlsContext> client_tls() {
  static const auto made = [] {
    TlsClientOptions options;
    options.ca_pem = certificate().certificate.certificate_pem;
    return *TlsContext::make_client(options);
  }();
  return made;
}

inline Stanza ping(Jid to = {}) {
  Stanza stanza = Stanza::iq(StanzaType::get, std::move(to));
  stanza.add(Payload(xml::Name(ns::ping, "ping"), "<ping xmlns='urn:xmpp:ping'/>"));
  return stanza;
}
inline Stanza message(std::string_view body) {
  Stanza stanza = Stanza::message(StanzaType::chat, *Jid::parse("bob@example.org"));
  stanza.add_text("body", body);
  return stanza;
}

struct ClientTest : testing::Test {
  ManualClock clock;
  net::MemoryPoller poller{clock};
  net::Reactor reactor{poller, clock};
  net::MemoryConnector connector{poller};
  SeededRng rng{7};
  TestServer::Behaviour behaviour;
  std::unique_ptr<TestServer> server;
  std::unique_ptr<Client> client;
  std::string log;
  std::vector<Stanza> stanzas;
  std::optional<ClientFailure> failure;

  ClientOptions options() {
    ClientOptions made;
    made.jid = *Jid::parse("alice@example.org/desk");
    made.password = Secret("secret");
    made.targets = {"127.0.0.1:5222"};
    made.connector = &connector;
    made.rng = &rng;
    made.tls_context = client_tls();
    return made;
  }
  ClientOptions plain_options() {
    ClientOptions made = options();
    made.tls = ClientOptions::Tls::none;
    made.plain_without_tls = true;
    return made;
  }
  void use_tls() { behaviour.tls = server_tls(); }

  void make(ClientOptions how) {
    client = std::make_unique<Client>(reactor, std::move(how));
    client->on_bound([this] { log += "bound "; });
    client->on_stanza([this](const Stanza& stanza) { stanzas.push_back(stanza); });
    client->on_closed([this](std::optional<ClientFailure> why) {
      log += "closed ";
      failure = std::move(why);
    });
  }
  void start(ClientOptions how) {
    make(std::move(how));
    client->connect();
    settle();
  }
  // Until nothing moves any more; hardly any time passes.
  void settle() {
    for (int idle = 0; idle < 3;) {
      const bool quiet = poller.is_quiet();
      reactor.turn(reactor.now() + std::chrono::milliseconds(1));
      if (!connector.accepted.empty()) {
        server = std::make_unique<TestServer>(std::move(connector.accepted.front()), behaviour, rng,
                                              clock.now());
        connector.accepted.pop_front();
      }
      if (server) server->pump();
      idle = quiet && poller.is_quiet() ? idle + 1 : 0;
    }
  }
  void pass(Duration time) {
    const Instant end = clock.now() + time;
    while (clock.now() < end) reactor.turn(end);
    settle();
  }
};

}  // namespace xmpp
