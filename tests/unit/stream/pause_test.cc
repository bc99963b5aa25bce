// Pauses: what arrives while a question is open waits inside, also in a stream that moves; and what
// the driver may do between events.
#include <gtest/gtest.h>

#include "unit/stream/drivers.h"

namespace xmpp::test {
namespace {

constexpr std::string_view kPlain =
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNlAHNlY3JldA==</auth>";
constexpr std::string_view kBind =
    "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";

std::string whole_login(std::string_view behind) {
  std::string bytes = client_header();
  bytes.append(kPlain).append(client_header()).append(kBind).append(behind);
  return bytes;
}

TEST(Pause, EverythingPipelinedWaitsForTheAnswers) {
  ReceiverDriver server(make_offer());
  server.answers = false;
  server.feed(whole_login("<message id='m'/>"));
  EXPECT_EQ(server.last_log(), "header localhost");
  EXPECT_GT(server.stream.held_bytes(), 100U);
  server.feed("<message id='n'/>");  // more arrives in the pause
  server.pump();
  EXPECT_EQ(server.log.size(), 1U);

  server.stream.accept(server.offer);
  server.pump();
  EXPECT_EQ(server.last_log(), "password alice");
  server.stream.password_verified(true);
  server.pump();
  EXPECT_EQ(server.last_log(), "authenticated PLAIN");
  EXPECT_EQ(server.take_output().find("<success"), std::string::npos) << "not before the answer";
  SeededRng rng(3);
  server.stream.set_rng(rng);
  server.stream.continue_authenticated(*Jid::parse("alice@localhost"));
  server.pump();
  EXPECT_EQ(server.last_log(), "header localhost");
  server.stream.accept(server.offer);
  server.pump();
  EXPECT_EQ(server.last_log(), "bind ");
  EXPECT_FALSE(server.stream.stanzas_allowed());
  server.stream.bound(*Jid::parse("alice@localhost/x"));
  EXPECT_TRUE(server.stream.stanzas_allowed());
  server.pump();
  ASSERT_EQ(server.stanzas.size(), 2U);
  EXPECT_EQ(server.stanzas[0].stanza.id(), "m");
  EXPECT_EQ(server.stanzas[1].stanza.id(), "n");
  EXPECT_EQ(server.stream.held_bytes(), 0U);
}

TEST(Pause, TooMuchInAPauseEndsTheStream) {
  ReceiverDriver server(make_offer());
  server.answers = false;
  server.feed(client_header());
  const std::string block(100'000, ' ');
  for (int i = 0; i < 20 && !server.stream.is_closed(); ++i) server.feed(block);
  EXPECT_EQ(server.last_log(), "failed policy-violation");
}

TEST(Pause, BeforeAuthenticationTheBoundIsTwiceTheLargestElement) {
  ReceiverDriver server(make_offer());
  server.answers = false;
  server.feed(client_header());
  const auto element = xmpp::StreamPolicy().limits_unauthenticated.stanza_bytes;
  server.feed(std::string(2 * element, ' '));
  EXPECT_FALSE(server.stream.is_closed());
  server.feed(" ");
  EXPECT_EQ(server.last_log(), "failed policy-violation");
}

TEST(Pause, AfterAuthenticationMoreMayWait) {
  ReceiverDriver server(make_offer());
  server.feed(client_header());
  server.feed(kPlain);
  server.feed(client_header());
  server.answers = false;
  server.feed(kBind);
  ASSERT_EQ(server.last_log(), "bind ");
  server.feed(std::string(500'000, ' '));
  EXPECT_FALSE(server.stream.is_closed());
}

TEST(Pause, ADriverMayStopBetweenEvents) {
  ReceiverDriver server(make_offer());
  server.feed(whole_login({}));
  auto bytes = std::make_unique<std::string>("<message id='1'/><message id='2'/><mess");
  server.stream.receive(*bytes);
  EXPECT_TRUE(is<StanzaReceived>(server.stream.next()));
  server.stream.hold();
  bytes.reset();
  Stream elsewhere = std::move(server.stream);
  server.stream = std::move(elsewhere);
  EXPECT_GT(server.stream.held_bytes(), 0U);
  server.feed("age id='3'/>");
  ASSERT_EQ(server.stanzas.size(), 2U);
  EXPECT_EQ(server.stanzas[1].stanza.id(), "3");
}

TEST(Pause, ManyStanzasInOneRead) {
  ReceiverDriver server(make_offer());
  std::string many;
  for (int i = 0; i < 500; ++i) many += "<message id='" + std::to_string(i) + "'/>";
  server.feed(whole_login(many));
  ASSERT_EQ(server.stanzas.size(), 500U);
  EXPECT_EQ(server.stanzas[499].stanza.id(), "499");
}

TEST(Answers, RefuseAndTryAgain) {
  ReceiverDriver server(make_offer());
  server.feed(client_header());
  server.answers = false;
  server.feed(kPlain);
  server.stream.refuse(sasl::SaslCondition::temporary_auth_failure, "later");
  EXPECT_EQ(server.take_output(),
            "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><temporary-auth-failure/>"
            "<text xml:lang='en'>later</text></failure>");
  server.pump();
  EXPECT_EQ(server.last_log(), "auth-failed alice temporary-auth-failure");
  server.feed(kPlain);
  EXPECT_EQ(server.last_log(), "password alice");
  server.stream.password_verified(true);
  server.pump();
  server.stream.refuse(sasl::SaslCondition::account_disabled);  // also at the last moment
  EXPECT_EQ(server.take_output(), sasl_failure("account-disabled"));
  EXPECT_FALSE(server.stream.is_authenticated());
}

TEST(Answers, ARefusedBindMayBeRepeated) {
  ReceiverDriver server(make_offer());
  server.feed(client_header() + std::string(kPlain) + client_header());
  const std::string refused = server.feed(
      "<iq type='set' id='t'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
      "<resource>taken</resource></bind></iq>");
  EXPECT_NE(refused.find("<conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"),
            std::string::npos);
  EXPECT_NE(refused.find("id='t'"), std::string::npos);
  EXPECT_FALSE(server.stream.stanzas_allowed());
  server.feed(kBind);
  EXPECT_TRUE(server.stream.stanzas_allowed());
}

TEST(Answers, MalformedBindIsABadRequest) {
  ReceiverDriver server(make_offer());
  server.feed(client_header() + std::string(kPlain) + client_header());
  const std::string answer =
      server.feed("<iq type='get' id='t'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
  EXPECT_NE(answer.find("<bad-request"), std::string::npos);
  EXPECT_FALSE(server.stream.is_closed());
}

TEST(Language, OfTheStreamIsThatOfItsStanzas) {
  ReceiverDriver server(make_offer());
  const std::string header = client_header("to='localhost' version='1.0' xml:lang='de'");
  server.feed(header + std::string(kPlain) + header + std::string(kBind) +
              "<message/><message xml:lang='fr'/>");
  ASSERT_EQ(server.stanzas.size(), 2U);
  EXPECT_EQ(server.stanzas[0].stanza.envelope().lang, "de");
  EXPECT_EQ(server.stanzas[1].stanza.envelope().lang, "fr");
}

TEST(Nonzas, AreReportedIfAskedFor) {
  StreamPolicy policy;
  policy.nonzas = {ns::sm};
  ReceiverDriver server(make_offer(), policy);
  server.feed(whole_login("<enable xmlns='urn:xmpp:sm:3'/><message id='m'/>"));
  ASSERT_GE(server.log.size(), 2U);
  EXPECT_EQ(server.log[server.log.size() - 2], "nonza enable");
  EXPECT_EQ(server.last_log(), "stanza m");
}

TEST(Close, StanzasStillArriveUntilThePeerClosesToo) {
  ReceiverDriver server(make_offer());
  server.feed(whole_login({}));
  server.stream.close();
  EXPECT_EQ(server.take_output(), "</stream:stream>");
  EXPECT_EQ(server.feed("<message id='late'/>"), "");
  EXPECT_EQ(server.last_log(), "stanza late");
  server.stream.send(Stanza::presence());  // too late, dropped
  EXPECT_EQ(server.feed("</stream:stream>"), "");
  EXPECT_EQ(server.last_log(), "closed");
}

TEST(Close, FailureWithTextIsEscaped) {
  ReceiverDriver server(make_offer());
  server.feed(whole_login({}));
  server.stream.fail({StreamCondition::system_shutdown, "a < b"});
  EXPECT_EQ(server.take_output(), stream_error("system-shutdown", "a &lt; b"));
  server.pump();
  EXPECT_EQ(server.last_log(), "failed system-shutdown");
}

}  // namespace
}  // namespace xmpp::test
