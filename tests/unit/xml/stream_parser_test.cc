// StreamParser: events, every split of the input, linear work, restarts, memory between stanzas.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "xmpp/core/namespaces.h"
#include "xmpp/xml/tokenizer.h"

namespace xmpp::xml {
namespace {

using Event = StreamParser::Event;

constexpr std::string_view kHeader =
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams' to='example.org' version='1.0'>";

// One line per event; runs of `text` count once.
std::string events(StreamParser& parser, const std::vector<std::string>& pieces) {
  std::string log;
  for (const std::string& piece : pieces) {
    parser.feed(piece);
    for (Event event = parser.next(); event != Event::need_bytes; event = parser.next()) {
      if (event == Event::open || event == Event::element) {
        const Document document = parser.take_document();
        const Element root = document.root();
        log += event == Event::open ? "open " : "element ";
        log += std::string(root.ns()) + " " + std::string(root.raw()) + "\n";
      } else if (event == Event::text) {
        if (!log.ends_with("text\n")) log += "text\n";
      } else if (event == Event::close) {
        log += "close\n";
      } else {
        return log + "error " + std::to_string(static_cast<int>(parser.error())) + "\n";
      }
    }
  }
  return log;
}

std::string events(const std::vector<std::string>& pieces, const Limits& limits = {}) {
  StreamParser parser(limits);
  return events(parser, pieces);
}

TEST(StreamParser, ReportsAStream) {
  const std::string log = events({std::string(kHeader) + " <message><body>x</body></message>\n"
                                                         "<stream:features/></stream:stream>\n"});
  EXPECT_EQ(log, "open http://etherx.jabber.org/streams " + std::string(kHeader.substr(21)) +
                     "\ntext\nelement jabber:client <message><body>x</body></message>\ntext\n"
                     "element http://etherx.jabber.org/streams <stream:features/>\nclose\ntext\n");
}

TEST(StreamParser, EveryByteMayBeTheLastOfARead) {
  const std::string tails[] = {
      "<message to='a'><body>Hi &amp; \xC3\xA9 ]]\r\n</body ></message> "
      "<presence/></stream:stream>",
      "<iq><x xmlns='urn:x' a=\"1>2\"><![CDATA[ ]]x]]]></x></iq>\n\n<r xmlns='urn:xmpp:sm:3'/>",
      "<message><!-- x --></message>",
      "<message><?pi?></message>",
      "<message>\xC3\x28</message>",
      "<message>\xE0\x80\x80</message>",
      "<message><body></message>",
      "<message>&undefined;</message>",
      "<message a='&undefined;' <x/>",
      "<message a='\xFF'/>",
      "<message a='\x01'/>",
      "<message>]]></message>",
      "<p:message/>",
      "</stream:strea>",
      "</stream:stream  ><more/>",
      "</stream:stream x>",
      "text",
      "\xC3\xA9",
      "\xFF",
      "<!DOCTYPE x>",
      "<message>&#0000000000000000000000000000000000000000;",
  };
  for (const std::string& tail : tails) {
    const std::string whole = std::string(kHeader) + tail;
    const std::string expected = events({whole});
    std::vector<std::string> bytes;
    for (const char c : whole) bytes.emplace_back(1, c);
    EXPECT_EQ(events(bytes), expected) << tail;
    for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
      EXPECT_EQ(events({whole.substr(0, cut), whole.substr(cut)}), expected) << tail << " " << cut;
    }
  }
}

TEST(StreamParser, RefusesABadBeginning) {
  const std::pair<const char*, ParseError> table[] = {
      {"GET / HTTP/1.1", ParseError::not_well_formed},
      {"\x16\x03\x01", ParseError::not_well_formed},
      {"</a>", ParseError::not_well_formed},
      {"<!-- c -->", ParseError::restricted_xml},
      {"\n<?xml version='1.0'?>", ParseError::restricted_xml},
      {"<?xml version='1.0' encoding='utf-16'?>", ParseError::unsupported_encoding},
      {"<?xml-stylesheet x='y'?>", ParseError::restricted_xml},
      {"<stream:stream>", ParseError::not_well_formed},
  };
  for (const auto& [bytes, error] : table) {
    EXPECT_EQ(events({bytes}), "error " + std::to_string(static_cast<int>(error)) + "\n") << bytes;
  }
}

// Well-formed as XML goes (RFC 6120 11.3), but nothing that a stream may hold.
TEST(StreamParser, TellsStrayTextFromWhatIsNoXml) {
  const std::pair<const char*, ParseError> table[] = {
      {"text", ParseError::stray_text},
      {" \n\xC3\xA9", ParseError::stray_text},
      {"&amp;", ParseError::stray_text},
      {"<r/>text", ParseError::stray_text},
      {"\x01", ParseError::not_well_formed},
      {"\xFF", ParseError::unsupported_encoding},
      {"</stream:stream>text", ParseError::not_well_formed},
  };
  for (const auto& [bytes, error] : table) {
    const std::string seen = events({std::string(kHeader) + bytes});
    const std::string expected = "error " + std::to_string(static_cast<int>(error)) + "\n";
    EXPECT_TRUE(seen.ends_with(expected)) << bytes << ": " << seen;
  }
}

TEST(StreamParser, KnowsOtherEncodingsByTheirFirstBytes) {
  const auto expected =
      "error " + std::to_string(static_cast<int>(ParseError::unsupported_encoding)) + "\n";
  for (const std::string& bytes :
       {std::string("\xFF\xFE<\0", 4), std::string("\xFE\xFF\0<", 4), std::string("<\0?\0", 4),
        std::string("\0<\0?", 4), std::string("\0\0\xFE\xFF", 4)}) {
    EXPECT_EQ(events({bytes}), expected);
    EXPECT_EQ(events({bytes.substr(0, 1), bytes.substr(1)}), expected);
  }
}

// A zero behind anything but "<" says nothing of the encoding, or the first byte alone would have
// to wait for it.
TEST(StreamParser, RefusesZerosAlikeHoweverTheyCome) {
  const auto expected =
      "error " + std::to_string(static_cast<int>(ParseError::not_well_formed)) + "\n";
  for (const std::string& bytes :
       {std::string("x\0", 2), std::string(" \0<\0", 4), std::string("\x0F\0", 2)}) {
    EXPECT_EQ(events({bytes}), expected);
    EXPECT_EQ(events({bytes.substr(0, 1), bytes.substr(1)}), expected);
  }
}

TEST(StreamParser, StaysFailed) {
  StreamParser parser;
  parser.feed("x<stream>");
  EXPECT_EQ(parser.next(), Event::error);
  EXPECT_EQ(parser.next(), Event::error);
  parser.feed("<stream>");
  EXPECT_EQ(parser.next(), Event::error);
  EXPECT_EQ(parser.unread_bytes(), 0U);
}

TEST(StreamParser, KnowsTheHeadersNamespaces) {
  StreamParser parser;
  const std::string header =
      "<stream:stream xmlns='urn:unknown:default' xmlns:stream='http://etherx.jabber.org/streams' "
      "xmlns:db='urn:db' xmlns:c='jabber:client'>";
  const std::string bytes =
      header + "<c:message><c:body/></c:message><db:result db:a='1'><x/></db:result><y/>";
  parser.feed(bytes);
  EXPECT_EQ(parser.next(), Event::open);
  EXPECT_EQ(parser.next(), Event::element);
  const Document message = parser.take_document();
  EXPECT_EQ(message.root().ns_atom(), Atom::ns_client);
  EXPECT_FALSE(message.root().first_child().is_portable());
  EXPECT_EQ(parser.next(), Event::element);
  const Document result = parser.take_document();
  EXPECT_EQ(result.root().ns(), "urn:db");
  EXPECT_EQ(result.root().attr_ns({"urn:db", "a"}), "1");
  EXPECT_EQ(result.root().first_child().ns(), "urn:unknown:default");
  EXPECT_EQ(parser.next(), Event::element);
  EXPECT_EQ(parser.take_document().root().ns(), "urn:unknown:default");
  EXPECT_EQ(parser.next(), Event::need_bytes);
}

TEST(StreamParser, DecodesTheHeadersNamespaces) {
  StreamParser parser;
  const std::string bytes = "<a xmlns='urn:a&amp;b'><b/>";
  parser.feed(bytes);
  EXPECT_EQ(parser.next(), Event::open);
  EXPECT_EQ(parser.next(), Event::element);
  EXPECT_EQ(parser.take_document().root().ns(), "urn:a&b");
}

TEST(StreamParser, ASelfClosedHeaderClosesTheStream) {
  EXPECT_EQ(events({"<stream/>"}), "open  <stream/>\nclose\n");
}

TEST(StreamParser, Restarts) {
  StreamParser parser;
  const std::string first = std::string(kHeader) + "<auth/>\n " + std::string(kHeader) + "<iq/>";
  parser.feed(first);
  EXPECT_EQ(parser.next(), Event::open);
  EXPECT_EQ(parser.next(), Event::element);
  parser.restart();
  parser.hold();
  StreamParser moved = std::move(parser);
  EXPECT_EQ(moved.unread_bytes(), kHeader.size() + 7);
  EXPECT_EQ(moved.next(), Event::open);
  EXPECT_EQ(moved.next(), Event::element);
  EXPECT_EQ(moved.take_document().root().ns(), "jabber:client");
  EXPECT_EQ(moved.next(), Event::need_bytes);
  moved.restart();
  EXPECT_EQ(events(moved, {"\n", std::string(kHeader)}).substr(0, 5), "open ");
}

TEST(StreamParser, DiscardsWhatIsUnread) {
  StreamParser parser;
  const std::string bytes = std::string(kHeader) + "<starttls/><iq/>";
  parser.feed(bytes);
  EXPECT_EQ(parser.next(), Event::open);
  EXPECT_EQ(parser.next(), Event::element);
  EXPECT_EQ(parser.discard_unread(), 5U);
  EXPECT_EQ(parser.next(), Event::need_bytes);
}

TEST(StreamParser, HoldsNoMemoryBetweenStanzas) {
  StreamParser parser;
  const std::string big = "<message>" + std::string(100'000, 'x') + "</message>";
  EXPECT_EQ(events(parser, {std::string(kHeader), big.substr(0, 50'000)}).substr(0, 5), "open ");
  EXPECT_TRUE(parser.is_mid_element());
  EXPECT_GE(parser.heap_bytes(), 50'000U);
  EXPECT_EQ(events(parser, {big.substr(50'000) + "<iq/>"}).substr(0, 8), "element ");
  EXPECT_FALSE(parser.is_mid_element());
  EXPECT_LT(parser.heap_bytes(), 200U);
}

TEST(StreamParser, TheLimitIsOnElementsAndHoldsWhileTheyCome) {
  const Limits limits = {.stanza_bytes = 200};
  const std::string filler(150, 'x');
  StreamParser parser(limits);
  std::string log = events(
      parser, {std::string(kHeader), "<a>" + filler + "</a><b>" + filler + "</b>", "<c>" + filler});
  EXPECT_EQ(log.find("error"), std::string::npos);
  log = events(parser, {filler});
  EXPECT_EQ(log, "error " + std::to_string(static_cast<int>(ParseError::limit_exceeded)) + "\n");
}

// A byte at a time must cost the same per byte at the beginning and at the end of a large token.
TEST(StreamParser, WorkIsLinearHoweverTheBytesCome) {
  const std::string filler(250'000, 'x');
  const std::string entities = [] {
    std::string text;
    while (text.size() < 250'000) text += "]&amp;\r";
    return text;
  }();
  const std::string stanzas[] = {
      "<m a='" + filler + "'/>",
      "<m>" + filler + "</m>",
      "<m>" + entities + "</m>",
      "<m><![CDATA[" + entities + "]]></m>",
      "<m a='" + entities + "'/>",
      "<m " + std::string(250'000, ' ') + "/>",
      "<m></m" + std::string(250'000, ' ') + ">",
  };
  const auto begin = std::chrono::steady_clock::now();
  for (const std::string& stanza : stanzas) {
    StreamParser parser;
    EXPECT_EQ(events(parser, {std::string(kHeader)}).substr(0, 5), "open ");
    std::size_t elements = 0;
    for (const char& c : stanza) {
      parser.feed(std::string_view(&c, 1));
      for (Event event = parser.next(); event != Event::need_bytes; event = parser.next()) {
        ASSERT_EQ(event, Event::element);
        ++elements;
      }
    }
    EXPECT_EQ(elements, 1U);
  }
  // Some 0.2 s in a debug build; quadratic work would take minutes.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
}

}  // namespace
}  // namespace xmpp::xml
