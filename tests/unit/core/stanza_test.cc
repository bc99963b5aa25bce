// Stanzas: envelopes and their faults, dialects, editing, answers.
#include "xmpp/core/stanza.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "xmpp/core/namespaces.h"

namespace xmpp {
namespace {

constexpr std::string_view kDialects[] = {ns::client, ns::server, ns::component};

std::optional<ParsedStanza> parse(std::string_view markup,
                                  std::string_view content_ns = ns::client) {
  auto document = xml::Document::parse(markup, content_ns);
  EXPECT_TRUE(document) << markup;
  if (!document) return std::nullopt;
  return parse_stanza(*document, content_ns);
}

Stanza get(std::string_view markup, std::string_view content_ns = ns::client) {
  auto parsed = parse(markup, content_ns);
  EXPECT_TRUE(parsed && !parsed->problem) << markup;
  return parsed ? std::move(parsed->stanza) : Stanza();
}

std::string written(const Stanza& stanza, std::string_view content_ns = ns::client) {
  std::string out;
  write_stanza(out, stanza, content_ns);
  return out;
}

// What a stanza means: envelope and, per payload, its canonical markup.
std::string meaning(const Stanza& stanza) {
  std::string out = to_xml(stanza, ns::client);
  out = std::string(to_string(stanza.kind())) + "|" + std::string(to_string(stanza.type())) + "|" +
        stanza.id() + "|" + std::string(stanza.from().str()) + "|" +
        std::string(stanza.to().str()) + "|" + stanza.envelope().lang;
  for (const Payload& payload : stanza.payloads()) {
    out += "|{" + std::string(payload.ns()) + "}" + std::string(payload.name()) + "=" +
           payload.element().text();
    for (xml::Element child : payload.element().children()) {
      out += "/" + std::string(child.name()) + "{" + std::string(child.ns()) + "}" + child.text();
    }
  }
  return out;
}

TEST(StanzaTest, ReadsTheEnvelope) {
  const Stanza stanza = get(
      "<message type='chat' id='a&amp;b' from='A@example.org/x' to='b@example.org' xml:lang='de'>"
      "<body>hi</body><thread>t</thread></message>");
  EXPECT_TRUE(stanza.is_message());
  EXPECT_EQ(stanza.type(), StanzaType::chat);
  EXPECT_EQ(stanza.id(), "a&b");
  EXPECT_EQ(stanza.from().str(), "a@example.org/x");
  EXPECT_EQ(stanza.to().str(), "b@example.org");
  EXPECT_EQ(stanza.envelope().lang, "de");
  EXPECT_EQ(stanza.payloads().size(), 2U);
  EXPECT_EQ(stanza.child_text("body"), "hi");
  EXPECT_EQ(stanza.child_text("subject"), std::nullopt);
}

TEST(StanzaTest, WritesToFirstAndKeepsTheRest) {
  const Stanza stanza = get(
      "<message type='chat' from='a@b/&apos;&lt;&amp;' id='&quot;' xml:lang='de' to='b@c/&amp;'>"
      "<body>a &amp; b</body></message>");
  EXPECT_TRUE(written(stanza).starts_with("<message to='b@c/&amp;' from='a@b/"));
  EXPECT_EQ(meaning(get(written(stanza))), meaning(stanza));
  EXPECT_EQ(written(get("<presence/>")), "<presence/>");
  EXPECT_EQ(written(get("<message type='normal' to='a'> <body/> </message>")),
            "<message to='a' type='normal'><body/></message>");
  EXPECT_EQ(written(get("<message type='odd' to='a'/>")), "<message to='a'/>");
  EXPECT_EQ(to_xml(get("<presence to='a'/>"), ns::server),
            "<presence to='a' xmlns='jabber:server'/>");
}

// Attributes and payloads of sizes around those of the buffers and blocks that writing uses, with
// something to escape at any place.
TEST(StanzaTest, WritesValuesOfAnySize) {
  for (std::size_t size : {0U, 1U, 15U, 16U, 17U, 33U, 900U, 1023U, 1024U, 1025U, 3000U}) {
    for (const std::string_view special : {"", "<", ">", "&", "'", "\"", "\n", "\u00e4"}) {
      for (const std::size_t place : {std::size_t{0}, size / 2, size}) {
        std::string id(size, 'a');
        id.insert(place, special);
        Stanza stanza = Stanza::message(StanzaType::chat, *Jid::parse("b@example.org/it's <&> me"));
        stanza.envelope().from = *Jid::parse("a@example.org/" + std::string(size % 1000 + 1, 'r'));
        stanza.envelope().id = id;
        stanza.add_text("body", id);
        const Stanza again = get(written(stanza));
        ASSERT_EQ(again.id(), id);
        ASSERT_EQ(again.to(), stanza.to());
        ASSERT_EQ(again.from(), stanza.from());
        ASSERT_EQ(again.child_text("body"), id);
      }
    }
  }
}

TEST(StanzaTest, AGuessOfTheAddressChangesNothing) {
  const Jid guess = *Jid::parse("b@example.org/x");
  for (const std::string_view to :
       {"", " to=''", " to='b@example.org/x'", " to='B@EXAMPLE.org/x'", " to='b@example.org/y'",
        " to='b@example.org'", " to='b&#64;example.org/x'", " to='@'"}) {
    const std::string markup = "<message" + std::string(to) + " from='a@example.org/z'/>";
    const auto plain = parse(markup);
    auto document = xml::Document::parse(markup, ns::client);
    ParsedStanza guessed;
    guessed.stanza.envelope().to = guess;
    ASSERT_TRUE(parse_stanza(*document, ns::client, guessed));
    EXPECT_EQ(guessed.stanza.to(), plain->stanza.to()) << to;
    EXPECT_EQ(guessed.stanza.from(), plain->stanza.from()) << to;
    EXPECT_EQ(guessed.problem.has_value(), plain->problem.has_value()) << to;
  }
}

TEST(StanzaTest, KnowsTheTypesOfEachKind) {
  struct Case {
    const char* start;
    StanzaType type;
  };
  const Case cases[] = {
      {"<message", StanzaType::normal},
      {"<message type='normal'", StanzaType::normal},
      {"<message type='chat'", StanzaType::chat},
      {"<message type='groupchat'", StanzaType::groupchat},
      {"<message type='headline'", StanzaType::headline},
      {"<message type='error'", StanzaType::error},
      {"<message type='unheard-of'", StanzaType::normal},
      {"<message type='subscribe'", StanzaType::normal},
      {"<message type=''", StanzaType::normal},
      {"<presence", StanzaType::available},
      {"<presence type='unavailable'", StanzaType::unavailable},
      {"<presence type='subscribe'", StanzaType::subscribe},
      {"<presence type='subscribed'", StanzaType::subscribed},
      {"<presence type='unsubscribe'", StanzaType::unsubscribe},
      {"<presence type='unsubscribed'", StanzaType::unsubscribed},
      {"<presence type='probe'", StanzaType::probe},
      {"<presence type='error'", StanzaType::error},
      {"<iq id='1' type='get'", StanzaType::get},
      {"<iq id='1' type='set'", StanzaType::set},
      {"<iq id='1' type='result'", StanzaType::result},
      {"<iq id='1' type='error'", StanzaType::error},
  };
  for (const Case& c : cases) {
    const Stanza stanza =
        get(std::string(c.start) + "><x xmlns='urn:x'/></" +
            std::string(c.start).substr(1, std::string(c.start).find(' ') - 1) + ">");
    EXPECT_EQ(stanza.type(), c.type) << c.start;
    EXPECT_TRUE(is_type_of(stanza.kind(), stanza.type())) << c.start;
    EXPECT_EQ(get(written(stanza)).type(), c.type) << c.start;
  }
}

TEST(StanzaTest, TellsWhatIsWrong) {
  struct Case {
    const char* markup;
    StanzaCondition condition;
  };
  const Case cases[] = {
      {"<message to=''/>", StanzaCondition::jid_malformed},
      {"<message to='a b@c'/>", StanzaCondition::jid_malformed},
      {"<message to='@c'/>", StanzaCondition::jid_malformed},
      {"<message to='a' from='b@'/>", StanzaCondition::jid_malformed},
      {"<presence to='a@b/'/>", StanzaCondition::jid_malformed},
      {"<iq to='' type='get' id='1'><x xmlns='urn:x'/></iq>", StanzaCondition::jid_malformed},
      {"<iq type='get'><x xmlns='urn:x'/></iq>", StanzaCondition::bad_request},
      {"<iq type='get' id=''><x xmlns='urn:x'/></iq>", StanzaCondition::bad_request},
      {"<iq type='result'/>", StanzaCondition::bad_request},
      {"<iq id='1'><x xmlns='urn:x'/></iq>", StanzaCondition::bad_request},
      {"<iq id='1' type=''><x xmlns='urn:x'/></iq>", StanzaCondition::bad_request},
      {"<iq id='1' type='chat'><x xmlns='urn:x'/></iq>", StanzaCondition::bad_request},
      {"<iq id='1' type='get'/>", StanzaCondition::bad_request},
      {"<iq id='1' type='set'>text</iq>", StanzaCondition::bad_request},
      {"<iq id='1' type='set'><x xmlns='urn:x'/><y xmlns='urn:y'/></iq>",
       StanzaCondition::bad_request},
      {"<presence type='available'/>", StanzaCondition::bad_request},
      {"<presence type=''/>", StanzaCondition::bad_request},
      {"<presence type='chat'/>", StanzaCondition::bad_request},
  };
  for (const Case& c : cases) {
    auto parsed = parse(c.markup);
    ASSERT_TRUE(parsed && parsed->problem) << c.markup;
    EXPECT_EQ(to_string(parsed->problem->condition), to_string(c.condition)) << c.markup;
    EXPECT_EQ(parsed->problem->type, StanzaErrorType::modify);
  }
  for (const char* fine :
       {"<iq type='result' id='1'/>", "<iq type='error' id='1'/>", "<message/>"}) {
    EXPECT_FALSE(parse(fine)->problem) << fine;
  }
}

TEST(StanzaTest, KeepsTheUsableRestOfABrokenEnvelope) {
  auto parsed = parse("<iq to='b@@c' from='a@b/r' id='7' type='set'><x xmlns='urn:x'/></iq>");
  ASSERT_TRUE(parsed && parsed->problem);
  const Stanza answer = make_error(parsed->stanza, *parsed->problem);
  EXPECT_EQ(written(answer),
            "<iq to='a@b/r' id='7' type='error'><error type='modify'>"
            "<jid-malformed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>");
}

TEST(StanzaTest, RefusesWhatIsNoStanza) {
  EXPECT_FALSE(parse("<stanza/>"));
  EXPECT_FALSE(parse("<message xmlns='urn:x'/>"));
  EXPECT_FALSE(parse("<message xmlns='jabber:server'/>", ns::client));
  EXPECT_FALSE(parse("<enable xmlns='urn:xmpp:sm:3'/>"));
  EXPECT_TRUE(parse("<c:message xmlns='urn:x' xmlns:c='jabber:client'/>"));
}

TEST(StanzaTest, MeansTheSameInEveryDialect) {
  const char* const cases[] = {
      "<message to='a@b' type='chat' id='1'><body>x &lt; y</body></message>",
      "<message to='a@b'><body>a</body>\n<x xmlns='urn:x'><y/></x><active "
      "xmlns='urn:y'/></message>",
      "<message to='a@b'><body xmlns='%'>explicit</body></message>",
      "<message to='a@b'><x:x xmlns:x='urn:x' a='&apos;'><x:y/></x:x></message>",
      "<message to='a@b' xmlns:o='urn:o'><o:x><o:y>t</o:y></o:x><body>b</body></message>",
      "<c:message xmlns='urn:x' xmlns:c='%' to='a@b'><item/><c:body>b</c:body></c:message>",
      "<message to='a@b'><x xmlns=''><y/></x></message>",
      "<message to='a@b'><x xmlns='urn:x'><body xmlns='jabber:client'>inner</body></x></message>",
      "<message to='a@b'><x xmlns='urn:x'><body xmlns='jabber:server'>inner</body></x></message>",
      "<message to='a@b'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' "
      "to='x@y'><body>f</body></message></forwarded></message>",
      "<iq to='a@b' type='get' id='q'><query xmlns='urn:q'><item a='1'/></query></iq>",
      "<presence to='a@b' xml:lang='fr'><show>away</show><status>&#xe9;</status></presence>",
      "<message to='a@b' type='error'><body>b</body><error type='cancel'><gone "
      "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
  };
  for (std::string markup : cases) {
    for (const std::string_view from : kDialects) {
      std::string source = markup;
      if (const auto at = source.find('%'); at != std::string::npos) source.replace(at, 1, from);
      const Stanza stanza = get(source, from);
      const std::string expected = meaning(stanza);
      for (const std::string_view to : kDialects) {
        const std::string out = written(stanza, to);
        // Nested content elements keep an explicit namespace; only names of direct children
        // translate.
        const Stanza again = get(out, to);
        EXPECT_EQ(again.payloads().size(), stanza.payloads().size()) << out;
        EXPECT_EQ(meaning(again), expected) << from << " -> " << to << ": " << out;
        EXPECT_EQ(meaning(get(to_xml(stanza, to), to)), expected);
      }
    }
  }
}

TEST(StanzaTest, NothingIsSmuggledBetweenDialects) {
  // An element that is no content here must not become content there.
  const Stanza smuggler =
      get("<message to='a@b' xmlns='jabber:server'><body xmlns='jabber:client'>evil</body>"
          "<body>good</body></message>",
          ns::server);
  EXPECT_EQ(written(smuggler, ns::client), "<message to='a@b'><body>good</body></message>");

  const Stanza inherited = get(
      "<c:message xmlns='urn:x' xmlns:c='jabber:client' to='a@b'><body>evil</body></c:message>");
  EXPECT_FALSE(inherited.child_text("body"));
  EXPECT_FALSE(get(written(inherited)).child_text("body"));
  EXPECT_TRUE(get(written(inherited)).has(xml::Name("urn:x", "body")));
}

TEST(StanzaTest, EditsPayloads) {
  Stanza stanza =
      get("<message to='a@b'><body>b</body><x xmlns='urn:x'/><x xmlns='urn:x'/></message>");
  const xml::Name x("urn:x", "x");
  EXPECT_TRUE(stanza.has(x));
  EXPECT_EQ(stanza.remove(x), 2U);
  EXPECT_EQ(stanza.remove(x), 0U);
  EXPECT_FALSE(stanza.has(x));
  stanza.add_text("subject", "a < b");
  stanza.add(Payload(xml::Name("urn:y", "y"), "<y xmlns='urn:y' z='1'/>"));
  EXPECT_EQ(written(stanza, ns::server),
            "<message to='a@b'><body>b</body><subject>a &lt; b</subject>"
            "<y xmlns='urn:y' z='1'/></message>");
  EXPECT_EQ(stanza.child_text("subject"), "a < b");
  EXPECT_EQ(stanza.find(xml::Name("urn:y", "y"))->element().attr("z"), "1");
  stanza.clear_payloads();
  EXPECT_EQ(written(stanza), "<message to='a@b'/>");
}

struct Mark {
  int number = 0;
  Jid by;
  static constexpr auto codec = xml::element(
      "urn:mark", "mark", xml::attr("n", &Mark::number, xml::required), xml::attr("by", &Mark::by));
};

TEST(StanzaTest, TypedPayloads) {
  Stanza stanza = get("<message to='a@b'><mark xmlns='urn:mark' n='5' by='A@b'/></message>");
  EXPECT_TRUE(stanza.has<Mark>());
  const auto mark = stanza.get<Mark>();
  ASSERT_TRUE(mark && *mark);
  EXPECT_EQ((*mark)->number, 5);
  EXPECT_EQ((*mark)->by.str(), "a@b");
  EXPECT_EQ(stanza.remove<Mark>(), 1U);
  EXPECT_FALSE(stanza.has<Mark>());
  const auto absent = stanza.get<Mark>();
  EXPECT_TRUE(absent && !*absent);
  stanza.add(Mark{7, {}});
  EXPECT_EQ(written(stanza, ns::server),
            "<message to='a@b'><mark xmlns='urn:mark' n='7'/></message>");
  EXPECT_EQ((*stanza.get<Mark>())->number, 7);
  for (const char* wrong : {"", " n='x'", " n='1' by='@'", " n='1' by=''"}) {
    EXPECT_FALSE(
        get(std::string("<message><mark xmlns='urn:mark'") + wrong + "/></message>").get<Mark>())
        << wrong;
  }
}

TEST(StanzaTest, CopiesAreIndependent) {
  Stanza stanza;
  {
    const Stanza original = get("<message to='a@b'><body>b</body></message>");
    stanza = original;
  }
  for (int i = 0; i < 20; ++i) stanza.add_text("n", std::to_string(i));
  Stanza copy = stanza;
  stanza.remove(xml::Name(ns::client, "n"));
  EXPECT_EQ(stanza.payloads().size(), 1U);
  EXPECT_EQ(copy.payloads().size(), 21U);
  const Stanza moved = std::move(copy);
  copy = moved;
  EXPECT_EQ(written(copy), written(moved));
  EXPECT_EQ(stanza.child_text("body"), "b");
  const Stanza small = std::move(stanza);
  EXPECT_EQ(small.child_text("body"), "b");
}

TEST(StanzaTest, SharedPayloadsMayBeReadByManyThreads) {
  Stanza stanza = Stanza::message(StanzaType::chat, *Jid::parse("a@b"));
  stanza.add_text("body", "hello");
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([copy = stanza] {
      for (int i = 0; i < 100; ++i) EXPECT_EQ(copy.child_text("body"), "hello");
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(StanzaTest, AnswersSwapTheAddresses) {
  const Stanza request = get("<iq from='a@b/r' to='c' id='9' type='get'><x xmlns='urn:x'/></iq>");
  EXPECT_EQ(written(make_result(request)), "<iq to='a@b/r' from='c' id='9' type='result'/>");
  const Stanza error = make_error(request, StanzaCondition::service_unavailable);
  EXPECT_EQ(error.error()->condition, StanzaCondition::service_unavailable);
  EXPECT_FALSE(can_bounce(error));
  EXPECT_FALSE(can_bounce(make_result(request)));
  EXPECT_TRUE(can_bounce(request));
}

TEST(StanzaErrorTest, ConditionsAndTypesAreThoseOfTheRfc) {
  struct Case {
    const char* name;
    const char* type;
  };
  // RFC 6120 8.3.3
  const Case cases[] = {
      {"bad-request", "modify"},
      {"conflict", "cancel"},
      {"feature-not-implemented", "cancel"},
      {"forbidden", "auth"},
      {"gone", "cancel"},
      {"internal-server-error", "cancel"},
      {"item-not-found", "cancel"},
      {"jid-malformed", "modify"},
      {"not-acceptable", "modify"},
      {"not-allowed", "cancel"},
      {"not-authorized", "auth"},
      {"policy-violation", "modify"},
      {"recipient-unavailable", "wait"},
      {"redirect", "modify"},
      {"registration-required", "auth"},
      {"remote-server-not-found", "cancel"},
      {"remote-server-timeout", "wait"},
      {"resource-constraint", "wait"},
      {"service-unavailable", "cancel"},
      {"subscription-required", "auth"},
      {"undefined-condition", "cancel"},
      {"unexpected-request", "wait"},
  };
  for (const Case& c : cases) {
    const auto condition = parse_stanza_condition(c.name);
    ASSERT_TRUE(condition) << c.name;
    EXPECT_EQ(to_string(*condition), c.name);
    EXPECT_EQ(to_string(default_type(*condition)), c.type) << c.name;
  }
  EXPECT_FALSE(parse_stanza_condition("bad_request"));
  EXPECT_FALSE(parse_stanza_condition(""));
}

TEST(StanzaErrorTest, RoundTrips) {
  StanzaError error(StanzaCondition::gone, "moved <away>");
  error.uri = "xmpp:romeo@afterlife.example.net";
  error.application = "<spam xmlns='urn:spam'><x/></spam>";
  error.type = StanzaErrorType::modify;
  error.lang = "de";
  const Stanza request = Stanza::message(StanzaType::chat, *Jid::parse("a@b"));
  for (const std::string_view dialect : kDialects) {
    const Stanza stanza = get(written(make_error(request, error), dialect), dialect);
    const auto read = stanza.error();
    ASSERT_TRUE(read);
    EXPECT_EQ(read->condition, error.condition);
    EXPECT_EQ(read->type, error.type);
    EXPECT_EQ(read->text, error.text);
    EXPECT_EQ(read->lang, "de");
    EXPECT_EQ(read->uri, error.uri);
    EXPECT_EQ(read->application, error.application);
  }
}

TEST(StanzaErrorTest, ReadsLeniently) {
  struct Case {
    const char* inner;
    StanzaCondition condition;
    StanzaErrorType type;
  };
  const Case cases[] = {
      {"<error/>", StanzaCondition::undefined_condition, StanzaErrorType::cancel},
      {"<error type='wait'/>", StanzaCondition::undefined_condition, StanzaErrorType::wait},
      {"<error type='odd'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
       StanzaCondition::forbidden, StanzaErrorType::auth},
      {"<error type='continue'><forbidden/></error>", StanzaCondition::undefined_condition,
       StanzaErrorType::continue_},
      {"<error type='cancel'><nonsense xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
       StanzaCondition::undefined_condition, StanzaErrorType::cancel},
  };
  for (const Case& c : cases) {
    const auto error = get(std::string("<message type='error'>") + c.inner + "</message>").error();
    ASSERT_TRUE(error) << c.inner;
    EXPECT_EQ(error->condition, c.condition) << c.inner;
    EXPECT_EQ(error->type, c.type) << c.inner;
  }
  EXPECT_FALSE(get("<message type='error'/>").error());
}

}  // namespace
}  // namespace xmpp
