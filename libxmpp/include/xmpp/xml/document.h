// Document: one first-level element as received: its validated UTF-8 bytes plus a tape of
// fixed-size nodes, in one reference-counted block. Element: a 16-byte handle to one element of it.
//
// A Document is immutable, so it may be shared between workers and cut into slices without copying.
// Entities are decoded lazily: text without them is a view into the document.
//
// Thread-safety: reference counts are atomic; everything else is read-only.
// Invariants: (1) bytes and tape never change. (2) Positions are offsets, never pointers. (3) An
// Element or a view obtained from it is valid only while some Document handle to the same block
// lives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "xmpp/base/bytes.h"
#include "xmpp/base/result.h"
#include "xmpp/xml/atoms.h"
#include "xmpp/xml/limits.h"

namespace xmpp::xml {

class Document;

enum class ParseError : std::uint8_t {
  not_well_formed,       // not XML, or a prefix that nobody declared
  restricted_xml,        // DTD, comment, processing instruction, entity other than the five (RFC
                         // 6120 11.1)
  unsupported_encoding,  // invalid UTF-8, or an XML declaration that names another encoding
  limit_exceeded,        // one of Limits
  stray_text,            // text, well-formed, where only elements and white space may be
};

class Element {
 public:
  Element() = default;
  [[nodiscard]] bool is_valid() const noexcept { return data_ != nullptr; }
  explicit operator bool() const noexcept { return is_valid(); }

  // All of the following REQUIRE is_valid().
  [[nodiscard]] Atom name_atom() const noexcept;
  [[nodiscard]] Atom ns_atom() const noexcept;
  [[nodiscard]] std::string_view name() const noexcept;  // local name
  [[nodiscard]] std::string_view ns() const noexcept;    // namespace URI, maybe empty
  [[nodiscard]] bool is(const Name& name) const noexcept;
  [[nodiscard]] bool has_prefix() const noexcept;  // is it written as prefix:name?

  // The value of an attribute without namespace; a view into the document, or into `buffer` if it
  // had to be decoded.
  [[nodiscard]] std::optional<std::string_view> attr(std::string_view name,
                                                     std::string& buffer) const;
  // The same for a name of atoms.def. REQUIRES: name is not Atom::unknown.
  [[nodiscard]] std::optional<std::string_view> attr(Atom name, std::string& buffer) const;
  // The same as a copy. Attributes with a namespace: attr_ns, e.g. (ns::xml, "lang").
  [[nodiscard]] std::optional<std::string> attr(std::string_view name) const;
  [[nodiscard]] std::optional<std::string> attr_ns(const Name& name) const;

  // The character data directly inside this element (not of its children), concatenated.
  [[nodiscard]] std::string_view text(std::string& buffer) const;
  [[nodiscard]] std::string text() const;
  // Is there any character data other than white space directly inside?
  [[nodiscard]] bool has_text() const noexcept;

  [[nodiscard]] Element first_child() const noexcept;   // first child *element*, or invalid
  [[nodiscard]] Element next_sibling() const noexcept;  // next sibling *element*, or invalid
  [[nodiscard]] Element find_child(const Name& name) const noexcept;  // first match, or invalid

  // for (Element child : element.children())
  class Iterator;
  struct Children;
  [[nodiscard]] Children children() const noexcept;

  // The bytes from '<' of the start tag to '>' of the end tag, as received.
  [[nodiscard]] std::string_view raw() const noexcept;
  // May raw() be copied verbatim as a child of any stanza whose start tag states its content
  // namespace (jabber:client, jabber:server or jabber:component:accept)? Its own content namespace,
  // if it has one, turns into that of the place. copies_verbatim() has the rule for other places.
  [[nodiscard]] bool is_portable() const noexcept;

  [[nodiscard]] Document document() const noexcept;
  [[nodiscard]] bool operator==(const Element& other) const noexcept = default;

 private:
  friend class Document;
  friend struct TapeAccess;  // xml/ internals: parser and writer
  Element(const void* data, std::uint32_t index) noexcept : data_(data), index_(index) {}
  const void* data_ = nullptr;
  std::uint32_t index_ = 0;
};
static_assert(sizeof(Element) == 16);

class Element::Iterator {
 public:
  explicit Iterator(Element at) noexcept : at_(at) {}
  [[nodiscard]] Element operator*() const noexcept { return at_; }
  Iterator& operator++() noexcept {
    at_ = at_.next_sibling();
    return *this;
  }
  [[nodiscard]] bool operator==(const Iterator& other) const noexcept = default;

 private:
  Element at_;
};

struct Element::Children {
  Element first;
  [[nodiscard]] Iterator begin() const noexcept { return Iterator(first); }
  [[nodiscard]] Iterator end() const noexcept { return Iterator(Element()); }
};

// May element.raw() be copied verbatim to a place where `default_ns` is the default namespace and
// no prefix is declared? Yes if it uses no prefix declared outside of itself and
//  (a) at a place in a content namespace: if is_portable();
//  (b) at any other place: if it means the same there.
[[nodiscard]] bool copies_verbatim(Element element, std::string_view default_ns) noexcept;

class Document {
 public:
  Document() = default;
  // Parses one whole element, e.g. a stored stanza or a test's. `default_ns` is the inherited
  // default namespace (jabber:client for stored stanzas). A byte order mark and an XML declaration
  // may come first; leading and trailing white space is allowed. Bytes that end too early are
  // not_well_formed.
  [[nodiscard]] static Result<Document, ParseError> parse(std::string_view bytes,
                                                          std::string_view default_ns = {},
                                                          const Limits& limits = {});
  [[nodiscard]] Element root() const noexcept;
  explicit operator bool() const noexcept { return static_cast<bool>(block_); }
  // A slice that keeps the document alive. REQUIRES: `part` is a view into this document.
  [[nodiscard]] Slice slice(std::string_view part) const { return Slice(block_, part); }

 private:
  friend struct TapeAccess;
  friend class Element;
  explicit Document(Block block) noexcept : block_(std::move(block)) {}
  Block block_;
};

}  // namespace xmpp::xml
