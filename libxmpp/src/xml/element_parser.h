// ElementParser: one first-level element (or one stream header) from bytes to a tape. The engine of
// both StreamParser and Document::parse.
//
// Work goes token by token: start tag, end tag, run of text, CDATA section. Text is scanned once,
// to the last byte that is there. An unfinished tag is searched for its end from where the search
// stopped, and parsed when the end is there; so each byte is looked at a bounded number of times
// however it arrives. What the parser reports depends on the bytes only: an error inside a tag is
// reported when the tag's end has come, whether it came at once or byte by byte.
//
// Thread-safety: one thread. Invariants: positions are offsets from the element's first byte, so
// the caller may move the bytes between calls.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "xml/chars.h"
#include "xml/tape.h"
#include "xmpp/xml/limits.h"

namespace xmpp::xml {

// The namespaces that a stream header puts in force for the stream's elements.
struct OuterNamespaces {
  struct Binding {
    std::uint32_t prefix_begin;  // in `text`
    std::uint32_t prefix_size;
    std::uint32_t uri_begin;  // in `text`, unless `atom` is known
    std::uint32_t uri_size;
    Atom atom;
  };
  std::string text;  // begins with the header's qualified name
  std::uint32_t name_size = 0;
  std::vector<Binding> bindings;  // the default namespace has an empty prefix

  [[nodiscard]] std::string_view name() const noexcept { return {text.data(), name_size}; }
  [[nodiscard]] std::string_view prefix(const Binding& b) const noexcept {
    return {text.data() + b.prefix_begin, b.prefix_size};
  }
  [[nodiscard]] std::string_view uri(const Binding& b) const noexcept {
    return b.atom != Atom::unknown ? atom_text(b.atom)
                                   : std::string_view(text.data() + b.uri_begin, b.uri_size);
  }
  void set_name(std::string_view qualified);
  void add(std::string_view prefix_text, std::string_view uri_text);
};

class ElementParser {
 public:
  enum class Status : std::uint8_t { done, incomplete, failed };
  enum class Mode : std::uint8_t { element, header };

  // Prepares for the next element; keeps the memory of the last one.
  void reset(Mode mode);
  // Goes on. `bytes` begins with the element's '<' and holds what was there at the last call, and
  // maybe more. In Mode::header, done means that the start tag has been read.
  [[nodiscard]] Status parse(std::string_view bytes, const OuterNamespaces* outer,
                             const Limits& limits);
  [[nodiscard]] ParseError error() const noexcept { return error_; }
  // After done: bytes of the element.
  [[nodiscard]] std::size_t size() const noexcept { return token_; }
  // After done: the document. `bytes` as for parse().
  [[nodiscard]] Document make_document(std::string_view bytes);
  // After done in Mode::header: was the tag self-closing? What does it put in force?
  [[nodiscard]] bool is_closed() const noexcept { return open_.empty(); }
  [[nodiscard]] OuterNamespaces take_namespaces(std::string_view bytes);
  // Frees memory beyond what usual stanzas need.
  void trim();
  [[nodiscard]] std::size_t heap_bytes() const noexcept;

 private:
  struct Open {
    std::uint32_t node;
    std::uint32_t name_begin;  // qualified name
    std::uint32_t name_size;
    NsRef default_ns;
    std::uint32_t bindings;       // how many were in force outside
    std::uint16_t default_depth;  // where default_ns was declared; 0: outside the document
    std::uint16_t min_prefix;     // least depth that a prefix used in here was declared at
    std::uint16_t min_default;    // the same for the default namespace
    bool is_stanza;
  };
  struct Binding {
    std::uint32_t prefix_begin;
    std::uint32_t prefix_size;
    NsRef ns;
    std::uint16_t depth;
  };

  // Each moves token_ behind the token if it is complete.
  Status parse_text();
  Status parse_markup();
  Status parse_cdata();
  Status parse_start_tag();
  Status parse_end_tag();

  Status scan_special(std::uint32_t& at);
  Status add_text(NodeKind kind, std::uint32_t begin, std::uint32_t end);
  Status search_tag_end();
  Status scan_start_tag();
  Status scan_name(std::uint32_t& at, std::uint32_t& prefix_size);
  Status scan_attributes(std::uint32_t& at, Open& open);
  Status scan_value(std::uint32_t& at, Node& attribute);
  Status declare(const Node& attribute, bool is_default, Open& open);
  Status resolve(Open& open);
  bool find_prefix(std::string_view prefix, Open& open, NsRef& ns);
  bool find_outer(std::string_view prefix, NsRef& ns);
  void close_element(std::uint32_t end);
  // The namespace `text`, which lies at `begin` (with kExtraBit: in extra_).
  NsRef make_ns(std::string_view text, std::uint32_t begin);
  [[nodiscard]] std::string_view ns_text(NsRef ns) const noexcept;
  [[nodiscard]] bool same_ns(NsRef a, NsRef b) const noexcept;
  Status fail(ParseError error) noexcept;
  [[nodiscard]] std::string_view view(std::uint32_t begin, std::size_t size) const noexcept {
    return {base_ + begin, size};
  }

  // Valid during parse() only.
  const char* base_ = nullptr;
  std::uint32_t end_ = 0;
  const OuterNamespaces* outer_ = nullptr;
  const Limits* limits_ = nullptr;

  Mode mode_ = Mode::element;
  ParseError error_ = ParseError::not_well_formed;
  char quote_ = 0;             // of an unfinished tag: inside which quotes the search stopped
  bool text_encoded_ = false;  // of unfinished text
  std::uint32_t token_ = 0;    // where the unfinished token begins
  std::uint32_t scanned_ = 0;  // how far it has been looked at; token_ if not at all
  std::vector<Node> nodes_;
  std::vector<Open> open_;
  std::vector<Binding> bindings_;
  std::vector<TapeString> strings_;
  std::vector<NsRef> outer_refs_;  // outer namespaces that were copied; empty or one per binding
  std::string extra_;
};

}  // namespace xmpp::xml
