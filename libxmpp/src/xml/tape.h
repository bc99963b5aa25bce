// The tape of a Document: fixed-size nodes in document order, and how they lie in the block.
//
//   block = TapeHeader | Node[nodes] | TapeString[namespaces] | bytes as received | extra text
//
// An element's attributes follow it directly, then its content; `next` is the index behind its last
// descendant. Namespace declarations are no nodes: what they say is in `ns` of the nodes in their
// scope.
//
// Thread-safety: constant data once built.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "xmpp/xml/document.h"

namespace xmpp::xml {

enum class NodeKind : std::uint8_t { element, attribute, text, cdata };

// A namespace: 0 = none, below kFirstNs an Atom, from there on kFirstNs + index of a TapeString.
using NsRef = std::uint32_t;
constexpr NsRef kFirstNs = 0x10000;

// Flags of elements.
constexpr std::uint8_t kOuterPrefix =
    1;  // the subtree uses a prefix that is declared outside of it
constexpr std::uint8_t kOuterDefault = 2;  // the subtree has unprefixed elements in the default
                                           // namespace that is in force outside of it
constexpr std::uint8_t kInherited = 4;     // this very element is such an unprefixed element
constexpr std::uint8_t kStanzaChild = 8;   // child of a stanza (the root, or directly inside
                                           // <forwarded/>) in the same content namespace
// Flag of attributes and text: has references or carriage returns or (attributes) white space to
// change.
constexpr std::uint8_t kEncoded = 16;

struct Node {
  NodeKind kind;
  std::uint8_t flags;
  std::uint16_t depth;  // of an element: the root has 1; of the others: their element's
  Atom name_atom;
  std::uint16_t prefix_size;
  std::uint32_t begin;  // element: '<' of the start tag; attribute: value; text: text
  std::uint32_t end;
  std::uint32_t name_begin;  // local name
  std::uint32_t name_size;
  NsRef ns;
  std::uint32_t next;
};
static_assert(sizeof(Node) == 32);

// Positions at or above this are in the extra text (while parsing; a built tape has plain offsets).
constexpr std::uint32_t kExtraBit = 0x8000'0000U;
// Bytes of one element that positions can express.
constexpr std::size_t kMaxBytes = 0x4000'0000U;

struct TapeString {
  std::uint32_t begin;
  std::uint32_t size;
};

struct TapeHeader {
  std::uint32_t nodes;
  std::uint32_t text;  // offset of the bytes in the block
  std::uint32_t bytes;
  std::uint32_t reserved;
};
static_assert(sizeof(TapeHeader) == 16);

// Everything inside xml/ that looks behind Element and Document.
struct TapeAccess {
  static Document make(Block block) noexcept { return Document(std::move(block)); }
  static Element element(const void* data, std::uint32_t index) noexcept { return {data, index}; }
  static const void* data(Element element) noexcept { return element.data_; }
  static std::uint32_t index(Element element) noexcept { return element.index_; }

  static const TapeHeader& header(const void* data) noexcept {
    return *static_cast<const TapeHeader*>(data);
  }
  static const Node* nodes(const void* data) noexcept {
    return reinterpret_cast<const Node*>(static_cast<const char*>(data) + sizeof(TapeHeader));
  }
  static const Node& node(Element element) noexcept { return nodes(element.data_)[element.index_]; }
  static const char* text(const void* data) noexcept {
    return static_cast<const char*>(data) + header(data).text;
  }
  static std::string_view range(const void* data, std::uint32_t begin, std::size_t size) noexcept {
    return {text(data) + begin, size};
  }
  static std::string_view name(const void* data, const Node& node) noexcept {
    return range(data, node.name_begin, node.name_size);
  }
  static std::string_view content(const void* data, const Node& node) noexcept {
    return range(data, node.begin, node.end - node.begin);
  }
  static Atom ns_atom(const Node& node) noexcept {
    return node.ns < kFirstNs ? static_cast<Atom>(node.ns) : Atom::unknown;
  }
  static std::string_view ns(const void* data, const Node& node) noexcept;
};

// Is `atom` one of the namespaces that stanzas live in?
constexpr bool is_content_ns(Atom atom) noexcept {
  return atom == Atom::ns_client || atom == Atom::ns_server || atom == Atom::ns_component;
}
constexpr bool is_stanza_name(Atom atom) noexcept {
  return atom == Atom::message || atom == Atom::presence || atom == Atom::iq;
}

// Appends what text or (if `attribute`) an attribute value means: references replaced, line ends
// and white space normalised. REQUIRES: `raw` was accepted by the parser.
void decode_text(std::string& out, std::string_view raw, bool attribute);
// CDATA: line ends only.
void decode_cdata(std::string& out, std::string_view raw);

}  // namespace xmpp::xml
