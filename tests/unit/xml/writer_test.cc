// Writer: escaping, namespaces, and copies that mean what the original meant.
#include "xmpp/xml/writer.h"

#include <gtest/gtest.h>

#include "support/xml_dump.h"
#include "xmpp/core/namespaces.h"

namespace xmpp::xml {
namespace {

TEST(Writer, WritesElements) {
  std::string out;
  Writer writer(out, ns::client);
  writer.start(ns::client, "iq");
  writer.attr("id", "a'b\"<>&\n\t\r");
  writer.start(ns::ping, "ping");
  writer.start("", "none");
  writer.end();
  writer.end();
  writer.element(ns::client, "body", "<x>\r\n\t'");
  writer.raw("<y/>");
  EXPECT_EQ(writer.depth(), 1U);
  writer.end();
  EXPECT_EQ(out,
            "<iq id='a&apos;b&quot;&lt;&gt;&amp;&#10;&#9;&#13;'><ping xmlns='urn:xmpp:ping'>"
            "<none xmlns=''/></ping><body>&lt;x&gt;&#13;\n\t&apos;</body><y/></iq>");
}

TEST(Writer, NothingCanBreakTheStream) {
  std::string out;
  escape_text(out, std::string_view("a\0b\x1F\xFF\xC3(\xED\xA0\x80\xEF\xBF\xBE", 13));
  const auto document = Document::parse("<a>" + out + "</a>");
  ASSERT_TRUE(document) << out;
  EXPECT_EQ(document->root().text().substr(0, 5),
            "a\xEF\xBF\xBD"
            "b");
}

TEST(Writer, CopiesMeanTheSame) {
  const char* const table[] = {
      "<message><body>x</body></message>",
      "<message xmlns='jabber:client' xml:lang='en'>\r\n<body a='&#10; "
      "\t'>&#13;<![CDATA[<&>]]></body></message>",
      "<c:message xmlns='urn:x' xmlns:c='jabber:client'><item/><c:body c:a='1' a='2'/></c:message>",
      "<message><p:x xmlns:p='urn:x'><y/><p:y xmlns=''><z/></p:y></p:x></message>",
      "<message xmlns:p='urn:p' xmlns:q='urn:q'><x p:a='1' q:a='2' xml:lang='de'/></message>",
      "<a xmlns='urn:a&amp;&apos;'><xml:b><c/></xml:b></a>",
      "<a xmlns='urn:a'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'>"
      "<body/><x xmlns='urn:x'><body xmlns='jabber:client'/></x></message></forwarded></a>",
  };
  for (const char* bytes : table) {
    for (const char* here : {"", "jabber:client", "jabber:server", "urn:x"}) {
      const auto document = Document::parse(bytes, ns::client);
      ASSERT_TRUE(document) << bytes;
      std::string out;
      Writer writer(out, here);
      writer.start("urn:place", "place");
      writer.write(document->root());
      writer.end();
      const auto copy = Document::parse(out, here);
      ASSERT_TRUE(copy) << out;
      EXPECT_EQ(testing::dump(copy->root().first_child()), testing::dump(document->root())) << out;
    }
  }
}

// A stanza as a route writes it: its own start tag, its children by write().
std::string route(Element stanza, std::string_view content_ns) {
  std::string out;
  Writer writer(out);
  writer.start(content_ns, stanza.name());
  for (const Element child : stanza.children()) writer.write(child);
  writer.end();
  return out;
}

TEST(Writer, RoutedPayloadsMeanTheSameInEveryDialect) {
  const char* const payloads[] = {
      "<body>x</body>",
      "<body xmlns='FROM'>x</body>",
      "<c:body xmlns:c='FROM'><c:a/><a/></c:body>",
      "<x xmlns='urn:x'><body xmlns='jabber:client'><y/></body></x>",
      "<p:x xmlns:p='urn:x'><body/><p:y a='1'/></p:x>",
      "<error type='cancel'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><app/></error>",
      "<x xmlns=''><body/></x>",
      ("<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'>"
       "<body/><p:q xmlns:p='urn:p'/></message></forwarded>"),
  };
  const std::string_view dialects[] = {ns::client, ns::server, ns::component};
  for (const char* payload : payloads) {
    for (const auto from : dialects) {
      for (const auto to : dialects) {
        // FROM: the content namespace of the source.
        std::string own = payload;
        for (auto at = own.find("FROM"); at != std::string::npos; at = own.find("FROM")) {
          own.replace(at, 4, from);
        }
        const std::string in = "<message xmlns='" + std::string(from) + "'>" + own + "</message>";
        const auto document = Document::parse(in);
        ASSERT_TRUE(document) << in;
        const auto there = Document::parse(route(document->root(), to));
        ASSERT_TRUE(there);
        const auto back = Document::parse(route(there->root(), from));
        ASSERT_TRUE(back);
        EXPECT_EQ(testing::dump(back->root()), testing::dump(document->root()))
            << in << "\n"
            << route(document->root(), to);
        const Element child = there->root().first_child();
        const Element source = document->root().first_child();
        EXPECT_EQ(child.ns(), source.ns() == from ? to : source.ns()) << in;
      }
    }
  }
}

TEST(Writer, SmuggledContentStaysOut) {
  const auto document = Document::parse(
      "<c:message xmlns='urn:x' xmlns:c='jabber:client'><item/></c:message>", ns::client);
  ASSERT_TRUE(document);
  EXPECT_EQ(route(document->root(), ns::client),
            "<message xmlns='jabber:client'><item xmlns='urn:x'/></message>");
}

}  // namespace
}  // namespace xmpp::xml
