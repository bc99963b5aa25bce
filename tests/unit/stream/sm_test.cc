// Stream management: the counters, and the words on the wire, both roles.
#include "xmpp/stream/sm.h"

#include <gtest/gtest.h>

#include "unit/stream/drivers.h"

namespace xmpp::test {
namespace {

constexpr std::string_view kPlain =
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNlAHNlY3JldA==</auth>";
constexpr std::string_view kBind =
    "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
constexpr std::string_view kUnexpected =
    "<failed xmlns='urn:xmpp:sm:3'><unexpected-request "
    "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>";

StreamPolicy with_sm() {
  StreamPolicy policy;
  policy.sm = true;
  return policy;
}

std::string login() {
  std::string bytes = client_header();
  bytes.append(kPlain).append(client_header());
  return bytes;
}

Stanza message(std::string id) {
  Stanza stanza = Stanza::message(StanzaType::chat, {});
  stanza.envelope().id = std::move(id);
  return stanza;
}

// Queue
// ------------------------------------------------------------------------------------------------

TEST(SmQueue, KeepsWhatIsNotAcknowledged) {
  sm::Queue queue(10, 100'000);
  EXPECT_TRUE(queue.is_empty());
  for (const char* id : {"1", "2", "3", "4"}) EXPECT_TRUE(queue.push(message(id), Timestamp{}));
  EXPECT_EQ(queue.sent(), 4U);
  EXPECT_EQ(queue.acknowledge(2), sm::Queue::Outcome::ok);
  EXPECT_EQ(queue.size(), 2U);
  EXPECT_EQ(queue[0].stanza.id(), "3");
  EXPECT_EQ(queue.acknowledge(1), sm::Queue::Outcome::stale);
  EXPECT_EQ(queue.acknowledge(2), sm::Queue::Outcome::ok);
  EXPECT_EQ(queue.acknowledge(5), sm::Queue::Outcome::too_high);
  EXPECT_EQ(queue.size(), 2U);
  EXPECT_TRUE(queue.push(message("5"), Timestamp{}));
  auto rest = queue.take();
  ASSERT_EQ(rest.size(), 3U);
  EXPECT_EQ(rest[2].stanza.id(), "5");
  EXPECT_TRUE(queue.is_empty());
  EXPECT_EQ(queue.bytes(), 0U);
  EXPECT_EQ(queue.sent(), 5U);
}

TEST(SmQueue, CountersWrapAround) {
  sm::Queue queue(10, 100'000);
  queue.start_at(0xFFFFFFFEU);
  for (const char* id : {"a", "b", "c"}) (void)queue.push(message(id), Timestamp{});
  EXPECT_EQ(queue.sent(), 1U);
  EXPECT_EQ(queue.acknowledge(2), sm::Queue::Outcome::too_high);
  EXPECT_EQ(queue.acknowledge(0), sm::Queue::Outcome::ok);
  ASSERT_EQ(queue.size(), 1U);
  EXPECT_EQ(queue[0].stanza.id(), "c");
  EXPECT_EQ(queue.acknowledge(0xFFFFFFFFU), sm::Queue::Outcome::stale);
  EXPECT_EQ(queue.acknowledge(1), sm::Queue::Outcome::ok);
  EXPECT_TRUE(queue.is_empty());
}

TEST(SmQueue, SaysWhenItIsFull) {
  sm::Queue by_number(2, 100'000);
  EXPECT_TRUE(by_number.push(message("1"), Timestamp{}));
  EXPECT_TRUE(by_number.push(message("2"), Timestamp{}));
  EXPECT_FALSE(by_number.push(message("3"), Timestamp{}));
  EXPECT_EQ(by_number.size(), 3U);
  Stanza large = message("1");
  large.add_text("body", std::string(2'000, 'x'));
  sm::Queue by_size(100, 3'000);
  EXPECT_TRUE(by_size.push(large, Timestamp{}));
  EXPECT_FALSE(by_size.push(large, Timestamp{}));
}

TEST(SmWindow, CountsThePrefixThatNobodyHolds) {
  sm::Window window;
  for (int i = 0; i < 5; ++i) (void)window.receive();
  EXPECT_EQ(window.handled(), 0U);
  window.confirm(3);
  EXPECT_EQ(window.report(), 3U);
  window.confirm(2);
  EXPECT_EQ(window.handled(), 3U);
  window.hold(4);
  window.hold(4);
  window.confirm(5);
  EXPECT_EQ(window.handled(), 3U);
  window.settle(4);
  EXPECT_EQ(window.handled(), 3U);
  window.settle(4);
  EXPECT_TRUE(window.is_settled());
  EXPECT_EQ(window.report(), 5U);
  // Too late to be held: it was promised.
  window.hold(2);
  EXPECT_EQ(window.handled(), 5U);
  window.settle(2);
  window.settle(9);
  EXPECT_EQ(window.handled(), 5U);
}

TEST(SmWindow, WrapsAroundAndGivesUp) {
  sm::Window window;
  window.start_at(0xFFFFFFFFU);
  EXPECT_EQ(window.receive(), 0U);
  EXPECT_EQ(window.receive(), 1U);
  window.confirm(1);
  window.hold(0);
  EXPECT_EQ(window.handled(), 0xFFFFFFFFU);
  window.settle_all();
  EXPECT_EQ(window.report(), 1U);
}

// The wire
// ------------------------------------------------------------------------------------------------

TEST(SmStream, EveryFragmentationGivesTheSame) {
  std::string bytes = login();
  bytes.append(kBind);
  bytes +=
      "<enable xmlns='urn:xmpp:sm:3' resume='1' max='30'/><message id='1'/>"
      "<r xmlns='urn:xmpp:sm:3'/><message id='2'/><a xmlns='urn:xmpp:sm:3' h='4294967295'/>"
      "<r xmlns='urn:xmpp:sm:3'/>";
  ReceiverDriver whole(make_offer(), with_sm());
  const std::string expected = mask_ids(whole.feed(bytes));
  EXPECT_TRUE(whole.has_logged("enable resume 30"));
  EXPECT_TRUE(whole.has_logged("acked 4294967295"));
  EXPECT_NE(expected.find("<enabled xmlns='urn:xmpp:sm:3' id='i&apos;d' resume='true' max='60'/>"
                          "<a xmlns='urn:xmpp:sm:3' h='1'/><a xmlns='urn:xmpp:sm:3' h='2'/>"),
            std::string::npos)
      << expected;
  for (std::size_t chunk = 1; chunk < 80; ++chunk) {
    ReceiverDriver server(make_offer(), with_sm());
    std::string out;
    for (std::size_t at = 0; at < bytes.size(); at += chunk) {
      out += server.feed(std::string_view(bytes).substr(at, chunk));
    }
    EXPECT_EQ(mask_ids(out), expected) << chunk;
    EXPECT_EQ(server.log, whole.log) << chunk;
  }
}

TEST(SmStream, OutOfOrder) {
  ReceiverDriver server(make_offer(), with_sm());
  server.feed(client_header());
  EXPECT_EQ(server.feed("<enable xmlns='urn:xmpp:sm:3'/>"), kUnexpected);
  EXPECT_EQ(server.feed("<resume xmlns='urn:xmpp:sm:3' previd='known' h='0'/>"), kUnexpected);
  std::string rest(kPlain);
  server.feed(rest.append(client_header()));
  EXPECT_EQ(server.feed("<enable xmlns='urn:xmpp:sm:3'/>"), kUnexpected);
  EXPECT_NE(server.feed("<resume xmlns='urn:xmpp:sm:3' h='0'/>").find("<bad-request"),
            std::string::npos);
  EXPECT_NE(
      server.feed("<resume xmlns='urn:xmpp:sm:3' previd='known' h='-1'/>").find("<bad-request"),
      std::string::npos);
  server.feed(kBind);
  EXPECT_EQ(server.feed("<r xmlns='urn:xmpp:sm:3'/>"), kUnexpected);
  EXPECT_EQ(server.feed("<a xmlns='urn:xmpp:sm:3' h='0'/>"), kUnexpected);
  EXPECT_EQ(server.feed("<enable xmlns='urn:xmpp:sm:3'/>"), "<enabled xmlns='urn:xmpp:sm:3'/>");
  EXPECT_EQ(server.feed("<enable xmlns='urn:xmpp:sm:3'/>"), kUnexpected);
  EXPECT_EQ(server.feed("<a xmlns='urn:xmpp:sm:3'/>"),
            stream_error("invalid-xml", "&lt;a/&gt; needs a number as its attribute h"));
}

TEST(SmStream, ASecondBindIsLeftToTheDriverThatCounts) {
  ReceiverDriver server(make_offer(), with_sm());
  server.feed(login());
  server.feed(kBind);
  server.feed("<enable xmlns='urn:xmpp:sm:3'/>");
  EXPECT_EQ(server.feed(kBind), "");
  ASSERT_EQ(server.stanzas.size(), 1U);
  ASSERT_TRUE(server.stanzas[0].problem);
  EXPECT_EQ(server.stanzas[0].problem->condition, StanzaCondition::not_allowed);
}

TEST(SmStream, ResumesInsteadOfBinding) {
  ReceiverDriver server(make_offer(), with_sm());
  server.feed(login());
  EXPECT_FALSE(server.stream.stanzas_allowed());
  EXPECT_EQ(server.feed("<resume xmlns='urn:xmpp:sm:3' previd='lost' h='3'/>"),
            "<failed xmlns='urn:xmpp:sm:3' h='7'><item-not-found "
            "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>");
  EXPECT_EQ(server.feed("<resume xmlns='urn:xmpp:sm:3' previd='known' h='3'/><message id='m'/>"),
            "<resumed xmlns='urn:xmpp:sm:3' h='5' previd='known'/>");
  EXPECT_TRUE(server.stream.stanzas_allowed());
  EXPECT_EQ(server.stream.jid().str(), "alice@localhost/old");
  EXPECT_EQ(server.last_log(), "stanza m");
  server.stream.fail_too_high(10, 8);
  EXPECT_NE(server.take_output().find(
                "<handled-count-too-high xmlns='urn:xmpp:sm:3' h='10' send-count='8'/>"),
            std::string::npos);
}

TEST(SmStream, WhatOnlyServersSayEndsTheStream) {
  for (const std::string_view name : {"enabled", "resumed", "failed", "what"}) {
    const std::string element = "<" + std::string(name) + " xmlns='urn:xmpp:sm:3' h='1'/>";
    ReceiverDriver early(make_offer(), with_sm());
    early.feed(login());
    EXPECT_EQ(early.feed(element), stream_error("unsupported-stanza-type")) << name;
    ReceiverDriver bound(make_offer(), with_sm());
    bound.feed(login());
    bound.feed(kBind);
    EXPECT_EQ(bound.feed(element), stream_error("unsupported-stanza-type")) << name;
  }
}

TEST(SmStream, TheLastWordIsTheDrivers) {
  ReceiverDriver server(make_offer(), with_sm());
  server.feed(login());
  server.feed(kBind);
  server.feed("<enable xmlns='urn:xmpp:sm:3'/>");
  server.answers = false;
  EXPECT_EQ(server.feed("<message id='m'/></stream:stream>"), "");
  EXPECT_EQ(server.last_log(), "close?");
  server.stream.send_ack(1);
  server.stream.close();
  server.pump();
  EXPECT_EQ(server.take_output(), "<a xmlns='urn:xmpp:sm:3' h='1'/></stream:stream>");
  EXPECT_EQ(server.last_log(), "closed");
  EXPECT_TRUE(server.stream.is_closed());
}

TEST(SmStream, AStrangerToItRefusesItsElements) {
  ReceiverDriver server(make_offer());
  server.feed(login());
  EXPECT_EQ(server.feed("<resume xmlns='urn:xmpp:sm:3' previd='known' h='3'/>"),
            stream_error("unsupported-stanza-type"));
}

void run(Driver& client, Driver& server) {
  for (std::string out = client.take_output(); !out.empty();) out = client.feed(server.feed(out));
}

TEST(SmStream, AClientTakesNoBrokenAnswer) {
  for (const auto& [answer, condition] :
       {std::pair{"<resumed xmlns='urn:xmpp:sm:3' previd='known'/>", "invalid-xml"},
        std::pair{"<resumed xmlns='urn:xmpp:sm:3' previd='known' h='-1'/>", "invalid-xml"},
        std::pair{"<enabled xmlns='urn:xmpp:sm:3'/>", "unsupported-stanza-type"}}) {
    StreamPolicy policy = make_policy();
    policy.tls = StreamPolicy::Tls::none;
    policy.plain_without_tls = true;
    policy.resumption = {"known", 3, *Jid::parse("alice@localhost/old")};
    InitiatorDriver client(policy);
    client.feed(server_header() +
                "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
                "<mechanism>PLAIN</mechanism></mechanisms></stream:features>"
                "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
    client.take_output();
    EXPECT_EQ(client.feed(server_header() + "<stream:features><sm xmlns='urn:xmpp:sm:3'/>"
                                            "</stream:features>"),
              "<resume xmlns='urn:xmpp:sm:3' h='3' previd='known'/>");
    EXPECT_EQ(client.feed(answer), stream_error(condition));
    EXPECT_FALSE(client.stream.stanzas_allowed());
  }
}

TEST(SmStream, BothRolesResume) {
  for (const char* id : {"known", "lost"}) {
    StreamPolicy policy;
    policy.domain = "localhost";
    policy.jid = *Jid::parse("alice@localhost");
    policy.password = Secret("secret");
    policy.tls = StreamPolicy::Tls::none;
    policy.plain_without_tls = true;
    policy.mechanism = "PLAIN";
    policy.resumption = {id, 3, *Jid::parse("alice@localhost/old")};
    auto offer = make_offer();
    offer.after_auth_features.emplace_back("<sm xmlns='urn:xmpp:sm:3'/>");
    ReceiverDriver server(offer, with_sm());
    InitiatorDriver client(policy);
    client.pump();
    run(client, server);
    EXPECT_TRUE(client.stream.stanzas_allowed()) << id;
    const bool is_known = std::string_view(id) == "known";
    EXPECT_EQ(client.has_logged("resumed 5"), is_known);
    EXPECT_EQ(client.has_logged("not resumed 7"), !is_known);
    EXPECT_EQ(client.last_log(),
              is_known ? "bound alice@localhost/old" : "bound alice@localhost/r1");
  }
}

}  // namespace
}  // namespace xmpp::test
