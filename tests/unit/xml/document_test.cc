// Documents: what is accepted, what elements, attributes and text mean, and which slices are
// portable.
#include "xmpp/xml/document.h"

#include <gtest/gtest.h>

#include <string>

#include "xmpp/core/namespaces.h"

namespace xmpp::xml {
namespace {

Document parse(std::string_view bytes, std::string_view default_ns = {}) {
  auto document = Document::parse(bytes, default_ns);
  EXPECT_TRUE(document) << bytes;
  return document ? *document : Document();
}

TEST(Document, WalksElements) {
  const Document document = parse(
      "<message to='a@b' type=\"chat\" id='x&amp;1' xml:lang='en'>\n <body>Hi &lt;there&gt;</body>"
      "<x xmlns='urn:x'>t1<y/>t2<![CDATA[<&]]>\r\n</x>\n</message>",
      ns::client);
  const Element root = document.root();
  EXPECT_EQ(root.name(), "message");
  EXPECT_EQ(root.name_atom(), Atom::message);
  EXPECT_EQ(root.ns(), "jabber:client");
  EXPECT_EQ(root.ns_atom(), Atom::ns_client);
  EXPECT_EQ(root.attr("to"), "a@b");
  EXPECT_EQ(root.attr("id"), "x&1");
  EXPECT_EQ(root.attr("lang"), std::nullopt);
  EXPECT_EQ(root.attr_ns({ns::xml, "lang"}), "en");
  EXPECT_FALSE(root.has_text());
  std::string names;
  for (const Element child : root.children()) names += std::string(child.name()) + ",";
  EXPECT_EQ(names, "body,x,");
  EXPECT_EQ(root.find_child({ns::client, "body"}).text(), "Hi <there>");
  const Element x = root.find_child({"urn:x", "x"});
  ASSERT_TRUE(x);
  EXPECT_EQ(x.text(), "t1t2<&\n");
  EXPECT_EQ(x.first_child().ns(), "urn:x");
  EXPECT_FALSE(x.first_child().next_sibling());
  EXPECT_FALSE(x.next_sibling());
  EXPECT_EQ(x.raw(), "<x xmlns='urn:x'>t1<y/>t2<![CDATA[<&]]>\r\n</x>");
  EXPECT_EQ(x.document().root(), root);
}

struct Bad {
  const char* bytes;
  ParseError error;
};

TEST(Document, RefusesWhatIsNotXmpp) {
  constexpr auto kWrong = ParseError::not_well_formed;
  constexpr auto kRestricted = ParseError::restricted_xml;
  constexpr auto kEncoding = ParseError::unsupported_encoding;
  const Bad table[] = {
      {"", kWrong},
      {"  ", kWrong},
      {"text", kWrong},
      {"<a>", kWrong},
      {"<a", kWrong},
      {"</a>", kWrong},
      {"<a></b>", kWrong},
      {"<a></a >x", kWrong},
      {"<a/><b/>", kWrong},
      {"< a/>", kWrong},
      {"<a b/>", kWrong},
      {"<a b=c/>", kWrong},
      {"<a b='<'/>", kWrong},
      {"<a b='1'c='2'/>", kWrong},
      {"<a b='1' b='2'/>", kWrong},
      {"<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>", kWrong},
      {"<a xmlns='u' xmlns='u'/>", kWrong},
      {"<a xmlns:p='u' xmlns:p='v'/>", kWrong},
      {"<p:a/>", kWrong},
      {"<a p:b=''/>", kWrong},
      {"<p:a xmlns:p=''/>", kWrong},
      {"<a xmlns:xml='urn:other'/>", kWrong},
      {"<a xmlns:xmlns='http://www.w3.org/2000/xmlns/'/>", kWrong},
      {"<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>", kWrong},
      {"<a xmlns='http://www.w3.org/XML/1998/namespace'/>", kWrong},
      {"<xmlns:a/>", kWrong},
      {"<a:b:c xmlns:a='u'/>", kWrong},
      {"<:a/>", kWrong},
      {"<a:/>", kWrong},
      {"<1a/>", kWrong},
      {"<a>]]></a>", kWrong},
      {"<a>\x01</a>", kWrong},
      {"<a>&#0;</a>", kWrong},
      {"<a>&#xD800;</a>", kWrong},
      {"<a>&#xFFFE;</a>", kWrong},
      {"<a>&#x110000;</a>", kWrong},
      {"<a>&#;</a>", kWrong},
      {"<a>&#x;</a>", kWrong},
      {"<a>&amp</a>", kWrong},
      {"<a>& </a>", kWrong},
      {"<a>\xEF\xBF\xBF</a>", kWrong},
      {"<![CDATA[x]]>", kWrong},
      {"<a>&foo;</a>", kRestricted},
      {"<a b='&nbsp;'/>", kRestricted},
      {"<a>&toolong;</a>", kRestricted},
      {"<a><!-- c --></a>", kRestricted},
      {"<a><?pi?></a>", kRestricted},
      {"<!DOCTYPE a><a/>", kRestricted},
      {"<!-- c --><a/>", kRestricted},
      {"<?pi x?><a/>", kRestricted},
      {" <?xml version='1.0'?><a/>", kRestricted},
      {"<a>\xFF</a>", kEncoding},
      {"<a>\xC0\x80</a>", kEncoding},
      {"<a>\xED\xA0\x80</a>", kEncoding},
      {"<a b='\x80'/>", kEncoding},
      {"<?xml version='1.0' encoding='latin-1'?><a/>", kEncoding},
      {"<?xml encoding='UTF-8'?><a/>", kWrong},
      {"<?xml version='2.0'?><a/>", kWrong},
      {"<a>&#00000000000000000000000000000000000065;</a>", ParseError::limit_exceeded},
  };
  for (const Bad& bad : table) {
    const auto document = Document::parse(bad.bytes);
    ASSERT_FALSE(document) << bad.bytes;
    EXPECT_EQ(static_cast<int>(document.error()), static_cast<int>(bad.error)) << bad.bytes;
  }
}

TEST(Document, AcceptsTheCornersOfXml) {
  const char* const table[] = {
      "<a/>",
      " <a ></a >\n",
      "\xEF\xBB\xBF<?xml version=\"1.0\" encoding='utf-8' standalone='no' ?>\n<a/>",
      "<?xml version='1.1'?><a/>",
      "<a b = '1'\n\tc=\"'\"/>",
      "<a xml:lang='' xml:space='x'/>",
      "<xml:a/>",
      "<a xmlns:xml='http://www.w3.org/XML/1998/namespace'/>",
      "<p:a xmlns:p='u' p:b='1' b='2'/>",
      "<a xmlns='u'><b xmlns=''/></a>",
      "<a>]] > ]]]</a>",
      "<a>&#x10FFFF;&#9;\xF4\x8F\xBF\xBF\x7F</a>",
      "<a><![CDATA[]]><![CDATA[]]]]><![CDATA[> <b> &x;]]></a>",
      "<\xC3\xA9l\xC3\xA9ment \xE2\x82\x80='x'/>",
      "<_-.1/>",
  };
  for (const char* bytes : table) EXPECT_TRUE(Document::parse(bytes)) << bytes;
}

// Values are looked at in blocks: what counts must count wherever it stands in one.
TEST(Document, LooksAtEveryByteOfAValue) {
  for (std::size_t size = 0; size < 40; ++size) {
    for (std::size_t place = 0; place <= size; ++place) {
      for (const std::string_view special : {"", ">", "'", "/", "\xC3\xA4", "]", "=", "\x7F"}) {
        std::string value(size, 'v');
        value.insert(place, special);
        const auto document = Document::parse("<name_1.x-y b=\"" + value + "\"/>");
        ASSERT_TRUE(document) << value;
        ASSERT_EQ(document->root().name(), "name_1.x-y");
        ASSERT_EQ(document->root().attr("b"), value);
      }
      for (const std::string_view wrong : {"<", "\x01", "&x;", "\xC3", "\""}) {
        std::string value(size, 'v');
        value.insert(place, wrong);
        ASSERT_FALSE(Document::parse("<a b=\"" + value + "\"/>")) << value;
      }
    }
  }
}

TEST(Document, NormalisesValuesAndText) {
  const Document document = parse("<a b=' 1\t2\r\n3\r4&#10;&#x41; '>x\r\ny\rz&#13;\n</a>");
  EXPECT_EQ(document.root().attr("b"), " 1 2 3 4\nA ");
  EXPECT_EQ(document.root().text(), "x\ny\nz\r\n");
}

TEST(Document, ResolvesNamespaces) {
  const Document document = parse(
      "<a xmlns='urn:a&amp;b' xmlns:p='urn:p'><p:b xmlns:p='urn:q' p:x='1' x='2'/><b "
      "xmlns=''><c/></b>"
      "<p:c/></a>");
  const Element root = document.root();
  EXPECT_EQ(root.ns(), "urn:a&b");
  const Element b = root.first_child();
  EXPECT_EQ(b.ns(), "urn:q");
  EXPECT_EQ(b.attr("x"), "2");
  EXPECT_EQ(b.attr_ns({"urn:q", "x"}), "1");
  EXPECT_EQ(b.next_sibling().ns(), "");
  EXPECT_EQ(b.next_sibling().first_child().ns(), "");
  EXPECT_EQ(b.next_sibling().next_sibling().ns(), "urn:p");
}

TEST(Document, HoldsLimits) {
  const auto error = [](std::string_view bytes, const Limits& limits) {
    const auto document = Document::parse(bytes, {}, limits);
    return !document && document.error() == ParseError::limit_exceeded;
  };
  EXPECT_TRUE(error("<a><b/></a>", {.depth = 1}));
  EXPECT_FALSE(error("<a><b/></a>", {.depth = 2}));
  EXPECT_TRUE(error("<a b='' c=''/>", {.attributes = 1}));
  EXPECT_TRUE(error("<a><b/></a>", {.stanza_bytes = 10}));
  EXPECT_FALSE(error("<a><b/></a>", {.stanza_bytes = 11}));
  EXPECT_TRUE(error("<a>x<b/>y</a>", {.nodes = 3}));
  EXPECT_FALSE(error("<a>x<b/>y</a>", {.nodes = 4}));
  EXPECT_TRUE(error("<a xmlns:b='1'><c xmlns:d='1'/></a>", {.prefixes = 1}));
  EXPECT_FALSE(error("<a><b xmlns:b='1'/><c xmlns:d='1'/></a>", {.prefixes = 1}));
}

TEST(Document, KnowsPortableSlices) {
  const auto portable = [](std::string_view bytes) {
    const Document document = parse(bytes, ns::client);
    return document.root().first_child().is_portable();
  };
  EXPECT_TRUE(portable("<message><body>x</body></message>"));
  EXPECT_TRUE(portable("<message xmlns='jabber:client'><body>x</body></message>"));
  EXPECT_TRUE(portable("<message><x xmlns='urn:x'><y/></x></message>"));
  EXPECT_TRUE(portable("<message><p:x xmlns:p='urn:x'><p:y/></p:x></message>"));
  EXPECT_FALSE(portable("<message><body xmlns='jabber:client'>x</body></message>"));
  EXPECT_FALSE(portable("<message><p:x xmlns:p='urn:x'><y/></p:x></message>"));
  EXPECT_FALSE(portable("<message xmlns:p='urn:x'><p:x/></message>"));
  EXPECT_FALSE(
      portable("<message xmlns:p='urn:x'><x xmlns='urn:x'><y><z p:a=''/></y></x></message>"));
  EXPECT_FALSE(portable("<c:message xmlns='urn:x' xmlns:c='jabber:client'><item/></c:message>"));
  EXPECT_FALSE(portable("<c:message xmlns='urn:x' xmlns:c='jabber:client'><c:body/></c:message>"));
  EXPECT_FALSE(portable("<item><body/></item>"));
  const Document forwarded = parse(
      "<message><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body/>"
      "</message></forwarded></message>",
      ns::client);
  const Element inner = forwarded.root().first_child().first_child();
  EXPECT_FALSE(inner.is_portable());
  EXPECT_TRUE(inner.first_child().is_portable());
  EXPECT_TRUE(copies_verbatim(inner, "urn:other"));
  EXPECT_FALSE(copies_verbatim(inner.first_child(), "urn:other"));
}

}  // namespace
}  // namespace xmpp::xml
