// Fuzzes the XML layer: however a stream is split the events are equal; a document's copy by the
// Writer means what the document means; Expat accepts the same documents with the same meaning.
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "support/expat_oracle.h"
#include "xmpp/core/namespaces.h"
#include "xmpp/xml/tokenizer.h"
#include "xmpp/xml/writer.h"

namespace {

using xmpp::xml::Document;
using xmpp::xml::Element;
using xmpp::xml::Limits;
using xmpp::xml::StreamParser;
using xmpp::xml::Writer;
using xmpp::xml::testing::dump;

// Low limits, so that inputs of a fuzzer's size reach them.
constexpr Limits kLimits = {
    .stanza_bytes = 2000, .depth = 12, .attributes = 8, .prefixes = 6, .nodes = 100};

void require(bool condition, std::string_view what, std::string_view detail = {}) {
  if (condition) return;
  std::fprintf(stderr, "%s\n%s\n", std::string(what).c_str(), std::string(detail).c_str());
  __builtin_trap();
}

// One line per event; runs of text count once. Pieces of 1 to `most` bytes, by a generator seeded
// so that an input always has the same splits.
std::string events(std::string_view bytes, std::size_t most, std::uint32_t seed) {
  StreamParser parser(kLimits);
  std::string log;
  while (!bytes.empty()) {
    seed = seed * 1'664'525U + 1'013'904'223U;
    const std::string piece(bytes.substr(0, 1 + (seed >> 8) % most));
    bytes.remove_prefix(piece.size());
    parser.feed(piece);
    for (auto event = parser.next(); event != StreamParser::Event::need_bytes;
         event = parser.next()) {
      switch (event) {
        case StreamParser::Event::open:
        case StreamParser::Event::element: {
          const Document document = parser.take_document();
          log += event == StreamParser::Event::open ? "open " : "element ";
          log += dump(document.root()) + "\n";
          if ((seed & 0x8000) != 0) parser.hold();
          break;
        }
        case StreamParser::Event::text:
          if (!log.ends_with("text\n")) log += "text\n";
          break;
        case StreamParser::Event::close:
          log += "close\n";
          break;
        default:
          require(parser.next() == StreamParser::Event::error, "an error does not last");
          return log + "error " + std::to_string(static_cast<int>(parser.error()));
      }
    }
  }
  return log + (parser.is_mid_element() ? "unfinished" : "");
}

void check_copies(std::string_view bytes) {
  const auto document = Document::parse(bytes, xmpp::ns::client);
  if (!document) return;
  const std::string meaning = dump(document->root());
  for (const std::string_view here : {std::string_view(), xmpp::ns::client, xmpp::ns::server}) {
    std::string out;
    Writer writer(out, here);
    writer.start("urn:fuzz:place", "place");
    writer.write(document->root());
    writer.end();
    // The copy may nest deeper and declare more than the limits allow.
    const auto copy = Document::parse(
        out, here,
        {.stanza_bytes = 1 << 24, .depth = 1000, .attributes = 1000, .prefixes = 10'000});
    require(copy.has_value(), "a copy is not well-formed", out);
    require(dump(copy->root().first_child()) == meaning, "a copy means something else", out);
  }
  // A payload that claims to be portable means the same in a stanza of its content namespace; if it
  // has none, in any stanza.
  for (const Element child : document->root().children()) {
    if (!child.is_portable()) continue;
    const bool is_content = child.ns_atom() == xmpp::xml::Atom::ns_server ||
                            child.ns_atom() == xmpp::xml::Atom::ns_component;
    const std::string_view place = is_content ? child.ns() : xmpp::ns::client;
    const std::string in =
        "<message xmlns='" + std::string(place) + "'>" + std::string(child.raw()) + "</message>";
    const auto copy = Document::parse(in);
    require(copy.has_value(), "a portable slice does not stand alone", in);
    require(dump(copy->root().first_child()) == dump(child), "a slice is not portable", in);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string whole = events(bytes, bytes.size() + 1, 0);
  const auto seed = static_cast<std::uint32_t>(size * 2'654'435'761U);
  const std::string single = events(bytes, 1, seed);
  require(single == whole, "byte by byte differs", single + "\n---\n" + whole);
  const std::string pieces = events(bytes, 20, seed);
  require(pieces == whole, "pieces differ", pieces + "\n---\n" + whole);

  check_copies(bytes);
  const std::string difference = xmpp::xml::testing::compare_with_expat(bytes);
  require(difference.empty(), "Expat disagrees", difference);
  return 0;
}
