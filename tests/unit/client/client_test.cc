#include "xmpp/client/client.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "unit/client/test_server.h"
#include "xmpp/core/namespaces.h"

namespace xmpp {
namespace {

using namespace std::chrono_literals;
using Stage = ClientFailure::Stage;
using Connecting = net::MemoryConnector::Behaviour;

const SelfSigned& certificate() {
  static const SelfSigned made = *make_self_signed({"example.org"});
  return made;
}
std::shared_ptr<TlsContext> server_tls() {
  static const auto made = *TlsContext::make_server({&certificate().certificate, 1});
  return made;
}
std::shared_ptr<TlsContext> client_tls() {
  static const auto made = [] {
    TlsClientOptions options;
    options.ca_pem = certificate().certificate.certificate_pem;
    return *TlsContext::make_client(options);
  }();
  return made;
}

Stanza ping(Jid to = {}) {
  Stanza stanza = Stanza::iq(StanzaType::get, std::move(to));
  stanza.add(Payload(xml::Name(ns::ping, "ping"), "<ping xmlns='urn:xmpp:ping'/>"));
  return stanza;
}
Stanza message(std::string_view body) {
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
      reactor.turn(reactor.now() + 1ms);
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

TEST_F(ClientTest, LogsInWithStartTlsAndScramPlus) {
  use_tls();
  start(options());
  EXPECT_EQ(log, "bound ") << (failure ? failure->text : "");
  EXPECT_TRUE(client->is_bound());
  EXPECT_EQ(client->jid().str(), "alice@example.org/desk");
  EXPECT_EQ(client->mechanism(), "SCRAM-SHA-256-PLUS");
  EXPECT_TRUE(client->stream()->is_secure());
  EXPECT_EQ(server->to, "example.org");
  EXPECT_EQ(client->pending_output(), 0u);
}

TEST_F(ClientTest, LogsInWithDirectTls) {
  use_tls();
  behaviour.direct = true;
  ClientOptions how = options();
  how.tls = ClientOptions::Tls::direct;
  how.jid = *Jid::parse("alice@example.org");
  start(std::move(how));
  EXPECT_EQ(log, "bound ") << (failure ? failure->text : "");
  EXPECT_EQ(client->jid().str(), "alice@example.org/chosen");
  server->send(message("hi"));
  settle();
  ASSERT_EQ(stanzas.size(), 1u);
  EXPECT_EQ(stanzas[0].child_text("body"), "hi");
}

TEST_F(ClientTest, LogsInWithoutTlsIfAllowed) {
  behaviour.mechanisms = {sasl::MechanismId::plain};
  start(plain_options());
  EXPECT_EQ(log, "bound ") << (failure ? failure->text : "");
  EXPECT_EQ(client->mechanism(), "PLAIN");
}

TEST_F(ClientTest, SendsOnceATurnAndReceives) {
  start(plain_options());
  ASSERT_TRUE(client->is_bound());
  ASSERT_TRUE(server->channel);
  server->received.clear();
  for (int i = 0; i < 10; ++i) client->send(message(std::to_string(i)));
  EXPECT_GT(client->pending_output(), 0u);
  reactor.turn(reactor.now());
  EXPECT_EQ(client->pending_output(), 0u);
  server->pump();
  ASSERT_EQ(server->received.size(), 10u);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(server->received[static_cast<std::size_t>(i)].child_text("body"), std::to_string(i));
  }
  server->send(message("one"));
  server->send(message("two"));
  settle();
  ASSERT_EQ(stanzas.size(), 2u);
}

TEST_F(ClientTest, GoesOnWhenAFullSocketDrains) {
  for (const bool tls : {false, true}) {
    if (tls) use_tls();
    start(tls ? options() : plain_options());
    ASSERT_TRUE(client->is_bound());
    server->received.clear();
    server->channel->capacity = 1000;
    const std::string body(3000, 'x');
    for (int i = 0; i < 5; ++i) client->send(message(body));
    settle();
    for (int i = 0; i < 100 && client->pending_output() > 0; ++i) {
      server->channel->drained();
      settle();
    }
    EXPECT_EQ(client->pending_output(), 0u);
    ASSERT_EQ(server->received.size(), 5u) << tls;
    EXPECT_EQ(server->received[4].child_text("body"), body);
    client.reset();
  }
}

TEST_F(ClientTest, ReadsLongInputOverSeveralTurns) {
  use_tls();
  start(options());
  ASSERT_TRUE(client->is_bound());
  for (int i = 0; i < 100; ++i) server->stream.send(message(std::string(4000, 'y')));
  server->flush();
  const auto turns = reactor.turns();
  for (int i = 0; i < 20 && stanzas.size() < 100; ++i) reactor.turn(reactor.now());
  EXPECT_EQ(stanzas.size(), 100u);
  EXPECT_GT(reactor.turns() - turns, 5u);  // 64 KiB a turn
}

TEST_F(ClientTest, CompletesIqsWithTheAnswerOfWhomItAsked) {
  start(plain_options());
  ASSERT_TRUE(client->is_bound());
  std::string answers;
  const auto note = [&](std::optional<Stanza> answer) {
    answers += !answer ? "none " : answer->is_error() ? "error " : "result ";
  };
  server->on_stanza = [&](const Stanza& stanza) {
    if (stanza.to().local() == "mallory") return;
    if (stanza.to().local() == "bob") {
      server->stream.send(make_error(stanza, StanzaCondition::service_unavailable));
    } else {
      server->stream.send(make_result(stanza));
    }
  };
  client->iq(ping(), note);
  client->iq(ping(*Jid::parse("bob@example.org/x")), note);
  client->iq(ping(*Jid::parse("example.org")), note);
  settle();
  EXPECT_EQ(answers, "result error result ");
  EXPECT_TRUE(stanzas.empty());

  // Somebody else's answer is none.
  client->iq(ping(*Jid::parse("mallory@example.org/x")), note);
  settle();
  Stanza forged = Stanza::iq(StanzaType::result, {}, server->received.back().id());
  forged.envelope().from = *Jid::parse("eve@example.org/x");
  server->send(forged);
  settle();
  EXPECT_EQ(answers, "result error result ");
  EXPECT_EQ(stanzas.size(), 1u);
  pass(31s);
  EXPECT_EQ(answers, "result error result none ");
  // Too late, or made up.
  forged.envelope().from = *Jid::parse("mallory@example.org/x");
  server->send(forged);
  settle();
  EXPECT_EQ(stanzas.size(), 2u);
}

Task<void> ask_twice(Client& client, std::string& out) {
  auto first = client.request(ping());
  auto answer = co_await first;
  out += answer ? "one " : "none ";
  auto second = client.request(ping());
  auto other = co_await second;
  out += other ? "two " : "none ";
}

TEST_F(ClientTest, ServesCoroutines) {
  start(plain_options());
  int requests = 0;
  server->on_stanza = [&](const Stanza& stanza) {
    if (++requests == 1) server->stream.send(make_result(stanza));
  };
  TaskOwner owner;
  std::string out;
  owner.spawn(ask_twice(*client, out));
  settle();
  EXPECT_EQ(out, "one ");
  client->abort();
  settle();
  EXPECT_EQ(out, "one none ");
  EXPECT_EQ(log, "bound closed ");
}

TEST_F(ClientTest, IqsThatCannotLeaveCompleteWithNothing) {
  make(plain_options());
  std::string out;
  client->iq(ping(), [&](std::optional<Stanza> answer) {
    out += answer ? "answer " : "none ";
    if (out.size() < 10) client->iq(ping(), [&](std::optional<Stanza>) { out += "again "; });
  });
  EXPECT_EQ(out, "");
  settle();
  EXPECT_EQ(out, "none again ");
  client->send(message("nobody hears this"));
  EXPECT_FALSE(client->is_active());
}

TEST_F(ClientTest, ClosesInOrder) {
  use_tls();
  start(options());
  bool iq_done = false;
  client->iq(ping(), [&](std::optional<Stanza> answer) { iq_done = !answer; });
  settle();
  client->close();
  client->close();
  EXPECT_EQ(log, "bound ");
  settle();
  EXPECT_EQ(log, "bound closed ");
  EXPECT_FALSE(failure);
  EXPECT_TRUE(iq_done);
  EXPECT_FALSE(client->is_bound());
  EXPECT_FALSE(client->is_active());
  EXPECT_EQ(client->stream(), nullptr);
  EXPECT_EQ(poller.watched(), 0u);
}

TEST_F(ClientTest, DoesNotWaitForeverForThePeersClose) {
  start(plain_options());
  auto keep = std::move(server);  // deaf from now on
  client->close();
  settle();
  EXPECT_EQ(log, "bound ");
  pass(6s);
  EXPECT_EQ(log, "bound closed ");
  EXPECT_FALSE(failure);
}

TEST_F(ClientTest, AbortDropsTheConnection) {
  start(plain_options());
  client->abort();
  EXPECT_EQ(log, "bound ");  // never from inside the call
  EXPECT_EQ(client->stream(), nullptr);
  settle();
  EXPECT_EQ(log, "bound closed ");
  EXPECT_FALSE(failure);
  EXPECT_TRUE(server->saw_end);
  EXPECT_FALSE(server->saw_close);
}

TEST_F(ClientTest, AbortFromInsideAHandler) {
  start(plain_options());
  client->on_stanza([this](const Stanza& stanza) {
    stanzas.push_back(stanza);
    client->abort();
  });
  server->stream.send(message("one"));
  server->stream.send(message("two"));
  server->flush();
  settle();
  EXPECT_EQ(stanzas.size(), 1u);
  EXPECT_EQ(log, "bound closed ");
}

TEST_F(ClientTest, MayConnectAgainOrDieInOnClosed) {
  start(plain_options());
  client->on_closed([this](std::optional<ClientFailure>) {
    log += "again ";
    client->connect();
  });
  client->abort();
  settle();
  EXPECT_EQ(log, "bound again bound ");
  EXPECT_TRUE(client->is_bound());
  client->on_closed([this](std::optional<ClientFailure>) { client.reset(); });
  client->close();
  settle();
  EXPECT_EQ(client, nullptr);
  EXPECT_EQ(poller.watched(), 0u);
}

TEST_F(ClientTest, DiesQuietlyAtAnyTime) {
  use_tls();
  for (int turns = 0; turns < 20; ++turns) {
    make(options());
    client->connect();
    client->iq(ping(), [](std::optional<Stanza>) {});
    for (int i = 0; i < turns; ++i) {
      reactor.turn(reactor.now() + 1ms);
      if (!connector.accepted.empty()) {
        server = std::make_unique<TestServer>(std::move(connector.accepted.front()), behaviour, rng,
                                              clock.now());
        connector.accepted.pop_front();
      }
      if (server) server->pump();
    }
    client.reset();
    server.reset();
    connector.accepted.clear();
    reactor.turn(reactor.now());
    EXPECT_EQ(poller.watched(), 0u);
  }
  EXPECT_EQ(log.find("closed"), std::string::npos);
}

TEST_F(ClientTest, ClosesWhereverItStands) {
  use_tls();
  for (int turns = 0; turns < 20; ++turns) {
    log.clear();
    make(options());
    client->connect();
    for (int i = 0; i < turns; ++i) {
      reactor.turn(reactor.now() + 1ms);
      if (!connector.accepted.empty()) {
        server = std::make_unique<TestServer>(std::move(connector.accepted.front()), behaviour, rng,
                                              clock.now());
        connector.accepted.pop_front();
      }
      if (server) server->pump();
    }
    client->close();
    pass(6s);
    EXPECT_TRUE(log.ends_with("closed ")) << turns << ": " << log;
    EXPECT_FALSE(failure) << turns << ": " << failure->text;
    server.reset();
    connector.accepted.clear();
  }
}

TEST_F(ClientTest, PausesBeforeAuthenticationForRegistration) {
  behaviour.preauth_iq = {ns::register_};
  ClientOptions how = plain_options();
  how.pause_before_authentication = true;
  make(std::move(how));
  client->on_ready_to_authenticate([this] {
    log += "ready ";
    client->send(message("not yet"));
    Stanza request = Stanza::iq(StanzaType::set, {});
    request.add(Payload(xml::Name(ns::register_, "query"), "<query xmlns='jabber:iq:register'/>"));
    client->iq(std::move(request), [this](std::optional<Stanza> answer) {
      log += answer && !answer->is_error() ? "registered " : "refused ";
      client->start_authentication();
    });
  });
  client->connect();
  settle();
  ASSERT_TRUE(server);
  ASSERT_EQ(server->received.size(), 1u);
  EXPECT_EQ(log, "ready ");
  server->send(make_result(server->received[0]));
  settle();
  EXPECT_EQ(log, "ready registered bound ");
}

struct FailureTest : ClientTest {
  void expect(Stage stage, std::string_view text) {
    EXPECT_EQ(log.find("bound"), std::string::npos);
    EXPECT_EQ(log, "closed ");
    ASSERT_TRUE(failure) << "no failure";
    EXPECT_EQ(to_string(failure->stage), to_string(stage)) << failure->text;
    EXPECT_NE(failure->text.find(text), std::string::npos) << failure->text;
    EXPECT_EQ(poller.watched(), 0u);
  }
};

TEST_F(FailureTest, Resolve) {
  ClientOptions how = options();
  how.targets = {"nonsense"};
  start(std::move(how));
  expect(Stage::resolve, "not a target: nonsense");
}

TEST_F(FailureTest, Connect) {
  connector.behaviour["127.0.0.1:5222"] = Connecting::refuse;
  start(options());
  expect(Stage::connect, "Connection refused");
}

TEST_F(FailureTest, ConnectTimeout) {
  connector.behaviour["127.0.0.1:5222"] = Connecting::hang;
  start(options());
  EXPECT_EQ(log, "");
  pass(31s);
  expect(Stage::connect, "timed out");
}

TEST_F(FailureTest, NoTlsOffered) {
  start(options());
  expect(Stage::stream, "");
}

TEST_F(FailureTest, UntrustedCertificate) {
  use_tls();
  ClientOptions how = options();
  static const SelfSigned other = *make_self_signed({"example.org"});
  TlsClientOptions trust;
  trust.ca_pem = other.certificate.certificate_pem;
  how.tls_context = *TlsContext::make_client(trust);
  start(std::move(how));
  expect(Stage::tls, "");
}

TEST_F(FailureTest, UnreadableTrustAnchors) {
  use_tls();
  ClientOptions how = options();
  how.tls_context.reset();
  how.ca_file = "/nonexistent.pem";
  start(std::move(how));
  expect(Stage::tls, "cannot read /nonexistent.pem");
}

TEST_F(FailureTest, DirectTlsToAPlainServer) {
  ClientOptions how = options();
  how.tls = ClientOptions::Tls::direct;
  make(std::move(how));
  client->connect();
  for (int i = 0; i < 5; ++i) reactor.turn(reactor.now() + 1ms);
  ASSERT_FALSE(connector.accepted.empty());
  const std::string text = "<stream:error>this is no TLS</stream:error>";
  const iovec part{const_cast<char*>(text.data()), text.size()};
  (void)connector.accepted.front()->writev({&part, 1});
  for (int i = 0; i < 5; ++i) reactor.turn(reactor.now() + 1ms);
  expect(Stage::tls, "");
}

TEST_F(FailureTest, HostUnknown) {
  behaviour.refuse_header = StreamError{StreamCondition::host_unknown, "never heard of it"};
  start(plain_options());
  expect(Stage::stream, "host-unknown");
  ASSERT_TRUE(failure->stream_error);
  EXPECT_EQ(failure->stream_error->condition, StreamCondition::host_unknown);
}

TEST_F(FailureTest, WrongPassword) {
  use_tls();
  ClientOptions how = options();
  how.password = Secret("wrong");
  start(std::move(how));
  expect(Stage::sasl, "not-authorized");
  EXPECT_EQ(failure->sasl, sasl::SaslCondition::not_authorized);
}

TEST_F(FailureTest, NoMechanismInCommon) {
  use_tls();
  ClientOptions how = options();
  how.mechanism = "SCRAM-SHA-1";
  start(std::move(how));
  expect(Stage::sasl, "");
}

TEST_F(FailureTest, BindRefused) {
  behaviour.refuse_bind = StanzaError(StanzaCondition::resource_constraint, "too many");
  start(plain_options());
  expect(Stage::bind, "resource-constraint");
}

TEST_F(FailureTest, BindTimeout) {
  behaviour.answers_bind = false;
  start(plain_options());
  pass(31s);
  expect(Stage::bind, "timed out");
}

TEST_F(FailureTest, ConnectionLostDuringLogin) {
  behaviour.answers_bind = false;
  start(plain_options());
  server.reset();
  settle();
  expect(Stage::bind, "closed the connection");
}

TEST_F(ClientTest, ReportsAStreamErrorAfterBind) {
  start(plain_options());
  server->stream.fail({StreamCondition::system_shutdown, "bye"});
  (void)server->stream.next();
  server->flush();
  settle();
  EXPECT_EQ(log, "bound closed ");
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->stage, Stage::stream);
  ASSERT_TRUE(failure->stream_error);
  EXPECT_EQ(failure->stream_error->condition, StreamCondition::system_shutdown);
}

TEST_F(ClientTest, ReportsALostConnection) {
  use_tls();
  start(options());
  server.reset();
  settle();
  EXPECT_EQ(log, "bound closed ");
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->stage, Stage::stream);
}

TEST_F(ClientTest, ReadsLastWordsWhenItsWriteFails) {
  start(plain_options());
  server->stream.fail({StreamCondition::conflict, "replaced"});
  (void)server->stream.next();
  server->flush();  // closes: our write fails before we have read
  client->send(message("late"));
  settle();
  ASSERT_TRUE(failure);
  ASSERT_TRUE(failure->stream_error) << failure->text;
  EXPECT_EQ(failure->stream_error->condition, StreamCondition::conflict);
}

TEST_F(ClientTest, AnEndThatThePeerAskedForIsNoFailure) {
  start(plain_options());
  server->stream.close();
  server->flush();
  settle();
  EXPECT_EQ(log, "bound closed ");
  EXPECT_FALSE(failure) << failure->text;
}

TEST_F(ClientTest, ResolvesNamesWithALentResolver) {
  struct OneHost final : net::Dns {
    net::SrvAnswer find_srv(const std::string&) override { return {}; }
    std::vector<std::string> find_addresses(const std::string& host) override {
      if (host != "example.org") return {};
      return {"192.0.2.7"};
    }
  } dns;
  net::Offload offload(0);
  net::Resolver resolver(reactor, offload, rng, dns);
  ClientOptions how = plain_options();
  how.resolver = &resolver;
  how.targets.clear();
  make(how);
  client->connect();
  EXPECT_TRUE(offload.run_one());
  settle();
  EXPECT_EQ(log, "bound ");
  EXPECT_EQ(connector.started, std::vector<std::string>{"192.0.2.7:5222"});
  client.reset();
  log.clear();
  how.domain = "nowhere.example";
  how.targets.clear();
  make(how);
  client->connect();
  EXPECT_TRUE(offload.run_one());
  settle();
  EXPECT_EQ(log, "closed ");
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->stage, Stage::resolve);
  client.reset();
}

}  // namespace
}  // namespace xmpp
