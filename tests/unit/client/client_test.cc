#include "xmpp/client/client.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "unit/client/client_fixture.h"
#include "xmpp/core/namespaces.h"

namespace xmpp {
namespace {

using namespace std::chrono_literals;
using Stage = ClientFailure::Stage;

TEST_F(ClientTest, LogsInWithStartTlsAndScramPlus) {
  use_tls();
  start(options());
  EXPECT_EQ(log, "bound ") << (failure ? failure->text : "");
  EXPECT_TRUE(client->is_bound());
  EXPECT_EQ(client->jid().str(), "alice@example.org/desk");
  EXPECT_EQ(client->mechanism(), "SCRAM-SHA-256-PLUS");
  EXPECT_TRUE(client->stream()->is_secure());
  EXPECT_EQ(server->to, "example.org");
  EXPECT_EQ(server->engine->alpn(), "");
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
  // XEP-0368 3, whoever made the context, and in case it serves STARTTLS as well.
  EXPECT_EQ(server->engine->alpn(), "xmpp-client");
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

TEST_F(ClientTest, AMalformedSenderAnswersNothing) {
  start(plain_options());
  std::size_t answers = 0;
  client->iq(ping(), [&](const std::optional<Stanza>& /*answer*/) { ++answers; });
  settle();
  // Servers prepare addresses differently: one that we cannot read is not the own account's.
  server->send_raw("<iq type='result' from='a b@evil.example' id='" + server->received.back().id() +
                   "'/>");
  settle();
  EXPECT_EQ(answers, 0u);
  EXPECT_TRUE(stanzas.empty());
  EXPECT_TRUE(client->is_bound());
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

TEST_F(ClientTest, AnIqAskedAnewByItsHandlerWaitsForAnotherTurn) {
  start(plain_options());
  client->close();  // nothing leaves any more
  int asked = 0;
  std::function<void(std::optional<Stanza>)> again = [&](const std::optional<Stanza>& /*answer*/) {
    if (++asked < 1000) client->iq(ping(), again);
  };
  client->iq(ping(), again);
  reactor.turn(reactor.now() + 1ms);
  reactor.turn(reactor.now() + 1ms);
  EXPECT_GE(asked, 1);
  EXPECT_LE(asked, 2);
  client.reset();
}

TEST_F(ClientTest, AHandlerMayReplaceItself) {
  start(plain_options());
  auto owned = std::make_shared<int>(0);
  const std::weak_ptr<int> weak = owned;
  client->on_stanza([this, owned = std::move(owned), &weak](const Stanza& /*stanza*/) {
    const std::weak_ptr<int>& alive = weak;
    std::string& out = log;
    client->on_stanza([this](const Stanza& stanza) { stanzas.push_back(stanza); });
    out += alive.expired() ? "gone " : "alive ";
  });
  server->stream.send(message("one"));
  server->stream.send(message("two"));
  server->flush();
  settle();
  EXPECT_EQ(log, "bound alive ");
  EXPECT_TRUE(weak.expired());
  EXPECT_EQ(stanzas.size(), 1u);
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

TEST_F(ClientTest, EndsThoughThePeerNeitherReadsNorClosesAfterItsError) {
  start(plain_options());
  server->channel->capacity = 1000;
  client->send(message(std::string(3000, 'x')));
  settle();
  EXPECT_GT(client->pending_output(), 0u);
  ASSERT_GT(reactor.next_turn(), reactor.now());  // it waits for the socket
  server->send_raw(
      "<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
      "</stream:error></stream:stream>");
  settle();
  EXPECT_EQ(log, "bound ");
  pass(6s);
  EXPECT_EQ(log, "bound closed ");
  ASSERT_TRUE(failure && failure->stream_error);
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

TEST_F(ClientTest, ConnectsToADomainThatIsAnAddress) {
  const std::pair<std::string, std::string> cases[] = {{"192.0.2.7", "192.0.2.7:5222"},
                                                       {"[2001:db8::7]", "[2001:db8::7]:5222"}};
  for (const auto& [domain, target] : cases) {
    ClientOptions how = plain_options();
    how.jid = *Jid::parse("alice@" + domain);
    how.targets.clear();  // and no resolver: nothing is asked
    start(std::move(how));
    EXPECT_EQ(log, "bound ");
    EXPECT_EQ(connector.started, std::vector<std::string>{target});
    EXPECT_EQ(server->to, domain);
    client.reset();
    server.reset();
    connector.started.clear();
    log.clear();
  }
}

TEST_F(ClientTest, GoesOnToTheNextTargetWhenTlsFails) {
  use_tls();
  behaviour.direct = true;
  ClientOptions how = options();
  how.tls = ClientOptions::Tls::direct;
  how.targets = {"127.0.0.1:1", "127.0.0.1:2"};
  make(std::move(how));
  client->connect();
  for (int i = 0; i < 5; ++i) reactor.turn(reactor.now() + 1ms);
  ASSERT_EQ(connector.accepted.size(), 1u);
  const std::string text = "<stream:error>this is no TLS</stream:error>";
  const iovec part{const_cast<char*>(text.data()), text.size()};
  const auto first = std::move(connector.accepted.front());
  connector.accepted.pop_front();
  (void)first->writev({&part, 1});
  settle();
  EXPECT_EQ(connector.started, (std::vector<std::string>{"127.0.0.1:1", "127.0.0.1:2"}));
  EXPECT_EQ(log, "bound ") << (failure ? failure->text : "");
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
