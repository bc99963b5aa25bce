// Element: walking the tape and decoding text. Document::parse.
//
// Thread-safety: as the header.
#include "xmpp/xml/document.h"

#include <algorithm>

#include "xml/element_parser.h"
#include "xml/prolog.h"
#include "xml/tape.h"
#include "xmpp/base/utf8.h"

namespace xmpp::xml {
namespace {

// The attributes of an element: tape indices [first, last).
template <typename Match>
const Node* find_attribute(const void* data, std::uint32_t element, Match&& match) {
  const Node* nodes = TapeAccess::nodes(data);
  const std::uint32_t end = nodes[element].next;
  for (std::uint32_t i = element + 1; i < end && nodes[i].kind == NodeKind::attribute; ++i) {
    if (match(nodes[i])) return &nodes[i];
  }
  return nullptr;
}

// The value, in `buffer` if it had to be decoded.
std::optional<std::string_view> value_of(const void* data, const Node* attribute,
                                         std::string& buffer) {
  if (attribute == nullptr) return std::nullopt;
  if ((attribute->flags & kEncoded) == 0) return TapeAccess::content(data, *attribute);
  buffer.clear();
  decode_text(buffer, TapeAccess::content(data, *attribute), true);
  return buffer;
}

const Node* find_plain_attribute(const void* data, std::uint32_t element, std::string_view name) {
  const Atom atom = find_atom(name);
  return find_attribute(data, element, [&](const Node& node) {
    return node.name_atom == atom && node.ns == 0 &&
           (atom != Atom::unknown || TapeAccess::name(data, node) == name);
  });
}

bool has_ns(const void* data, const Node& node, const Name& name) noexcept {
  return TapeAccess::ns_atom(node) == name.ns_atom &&
         (name.ns_atom != Atom::unknown || TapeAccess::ns(data, node) == name.ns);
}

std::string decoded(const void* data, const Node& attribute) {
  const std::string_view raw = TapeAccess::content(data, attribute);
  if ((attribute.flags & kEncoded) == 0) return std::string(raw);
  std::string value;
  decode_text(value, raw, true);
  return value;
}

void append_text(std::string& out, const void* data, const Node& node) {
  const std::string_view raw = TapeAccess::content(data, node);
  if ((node.flags & kEncoded) == 0) {
    out += raw;
  } else if (node.kind == NodeKind::cdata) {
    decode_cdata(out, raw);
  } else {
    decode_text(out, raw, false);
  }
}

// Calls use(node) for each run of text directly inside `element` until it returns false.
template <typename Use>
void for_each_text(const void* data, std::uint32_t element, Use&& use) {
  const Node* nodes = TapeAccess::nodes(data);
  const std::uint32_t end = nodes[element].next;
  for (std::uint32_t i = element + 1; i < end;) {
    const Node& node = nodes[i];
    if (node.kind == NodeKind::element) {
      i = node.next;
      continue;
    }
    ++i;
    if (node.kind != NodeKind::attribute && !use(node)) return;
  }
}

bool is_blank(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return has_class(c, kSpace); });
}

}  // namespace

std::string_view TapeAccess::ns(const void* data, const Node& node) noexcept {
  if (node.ns < kFirstNs) return atom_text(static_cast<Atom>(node.ns));
  const auto* strings = reinterpret_cast<const TapeString*>(nodes(data) + header(data).nodes);
  const TapeString& string = strings[node.ns - kFirstNs];
  return range(data, string.begin, string.size);
}

void decode_text(std::string& out, std::string_view raw, bool attribute) {
  const char* at = raw.data();
  const char* const end = at + raw.size();
  while (at != end) {
    const char* plain = at;
    while (at != end && *at != '&' && *at != '\r' && !(attribute && has_class(*at, kSpace))) ++at;
    out.append(plain, at);
    if (at == end) return;
    if (*at == '&') {
      const Scanned reference = scan_reference(at, end);
      XMPP_DCHECK(reference.scan == Scan::ok);
      utf8::append(out, reference.code_point);
      at += reference.size;
      continue;
    }
    if (*at == '\r' && at + 1 != end && at[1] == '\n') ++at;
    out += attribute ? ' ' : '\n';
    ++at;
  }
}

void decode_cdata(std::string& out, std::string_view raw) {
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\r') {
      out += raw[i];
      continue;
    }
    out += '\n';
    if (i + 1 < raw.size() && raw[i + 1] == '\n') ++i;
  }
}

bool Element::has_prefix() const noexcept {
  return TapeAccess::node(*this).prefix_size != 0;
}

Atom Element::name_atom() const noexcept {
  return TapeAccess::node(*this).name_atom;
}

Atom Element::ns_atom() const noexcept {
  return TapeAccess::ns_atom(TapeAccess::node(*this));
}

std::string_view Element::name() const noexcept {
  return TapeAccess::name(data_, TapeAccess::node(*this));
}

std::string_view Element::ns() const noexcept {
  return TapeAccess::ns(data_, TapeAccess::node(*this));
}

bool Element::is(const Name& name) const noexcept {
  const Node& node = TapeAccess::node(*this);
  return node.name_atom == name.local_atom && has_ns(data_, node, name) &&
         (name.local_atom != Atom::unknown || TapeAccess::name(data_, node) == name.local);
}

std::optional<std::string_view> Element::attr(std::string_view name, std::string& buffer) const {
  return value_of(data_, find_plain_attribute(data_, index_, name), buffer);
}

std::optional<std::string_view> Element::attr(Atom name, std::string& buffer) const {
  const Node* found = find_attribute(
      data_, index_, [name](const Node& node) { return node.name_atom == name && node.ns == 0; });
  return value_of(data_, found, buffer);
}

std::optional<std::string> Element::attr(std::string_view name) const {
  const Node* node = find_plain_attribute(data_, index_, name);
  if (node == nullptr) return std::nullopt;
  return decoded(data_, *node);
}

std::optional<std::string> Element::attr_ns(const Name& name) const {
  const Node* found = find_attribute(data_, index_, [&](const Node& node) {
    return node.name_atom == name.local_atom && has_ns(data_, node, name) &&
           (name.local_atom != Atom::unknown || TapeAccess::name(data_, node) == name.local);
  });
  if (found == nullptr) return std::nullopt;
  return decoded(data_, *found);
}

std::string_view Element::text(std::string& buffer) const {
  const Node* only = nullptr;
  bool is_plain = true;
  for_each_text(data_, index_, [&](const Node& node) {
    is_plain = only == nullptr && (node.flags & kEncoded) == 0;
    only = &node;
    return is_plain;
  });
  if (only == nullptr) return {};
  if (is_plain) return TapeAccess::content(data_, *only);
  buffer.clear();
  for_each_text(data_, index_, [&](const Node& node) {
    append_text(buffer, data_, node);
    return true;
  });
  return buffer;
}

std::string Element::text() const {
  std::string buffer;
  const std::string_view view = text(buffer);
  if (view.data() == buffer.data()) return buffer;
  return std::string(view);
}

bool Element::has_text() const noexcept {
  bool found = false;
  for_each_text(data_, index_, [&](const Node& node) {
    const std::string_view raw = TapeAccess::content(data_, node);
    if ((node.flags & kEncoded) == 0 || is_blank(raw)) {
      found = !is_blank(raw);
    } else {
      std::string text;
      append_text(text, data_, node);
      found = !is_blank(text);
    }
    return !found;
  });
  return found;
}

Element Element::first_child() const noexcept {
  const Node* nodes = TapeAccess::nodes(data_);
  for (std::uint32_t i = index_ + 1; i < nodes[index_].next; ++i) {
    if (nodes[i].kind == NodeKind::element) return {data_, i};
  }
  return {};
}

Element Element::next_sibling() const noexcept {
  const Node* nodes = TapeAccess::nodes(data_);
  const std::uint32_t count = TapeAccess::header(data_).nodes;
  const std::uint16_t depth = nodes[index_].depth;
  // Text behind this element belongs to the parent and has the parent's depth, as has nothing else
  // here.
  for (std::uint32_t i = nodes[index_].next; i < count && nodes[i].depth + 1 >= depth; ++i) {
    if (nodes[i].kind == NodeKind::element) {
      return nodes[i].depth == depth ? Element(data_, i) : Element();
    }
    if (nodes[i].depth + 1 != depth) break;
  }
  return {};
}

Element Element::find_child(const Name& name) const noexcept {
  for (Element child = first_child(); child; child = child.next_sibling()) {
    if (child.is(name)) return child;
  }
  return {};
}

Element::Children Element::children() const noexcept {
  return {first_child()};
}

std::string_view Element::raw() const noexcept {
  return TapeAccess::content(data_, TapeAccess::node(*this));
}

bool Element::is_portable() const noexcept {
  const Node& node = TapeAccess::node(*this);
  if ((node.flags & kOuterPrefix) != 0) return false;
  if ((node.flags & kOuterDefault) == 0) return !is_content_ns(TapeAccess::ns_atom(node));
  constexpr std::uint8_t kBoth = kInherited | kStanzaChild;
  return (node.flags & kBoth) == kBoth;
}

bool copies_verbatim(Element element, std::string_view default_ns) noexcept {
  if (is_content_ns(find_atom(default_ns))) return element.is_portable();
  const Node& node = TapeAccess::node(element);
  if ((node.flags & kOuterPrefix) != 0) return false;
  if ((node.flags & kOuterDefault) == 0) return true;
  return (node.flags & kInherited) != 0 && element.ns() == default_ns;
}

Document Element::document() const noexcept {
  return Document(Block::share(static_cast<const char*>(data_)));
}

Element Document::root() const noexcept {
  return block_ ? Element(block_.data(), 0) : Element();
}

Result<Document, ParseError> Document::parse(std::string_view bytes, std::string_view default_ns,
                                             const Limits& limits) {
  const Prolog prolog = scan_prolog(bytes);
  if (prolog.scan == Scan::failed) return Err(prolog.error);
  if (prolog.scan == Scan::incomplete) return Err(ParseError::not_well_formed);
  bytes.remove_prefix(prolog.size);
  while (!bytes.empty() && has_class(bytes.front(), kSpace)) bytes.remove_prefix(1);
  if (bytes.empty() || bytes.front() != '<') return Err(ParseError::not_well_formed);

  OuterNamespaces outer;
  if (!default_ns.empty()) outer.add({}, default_ns);
  ElementParser parser;
  parser.reset(ElementParser::Mode::element);
  const ElementParser::Status status = parser.parse(bytes, &outer, limits);
  if (status == ElementParser::Status::failed) return Err(parser.error());
  if (status == ElementParser::Status::incomplete) return Err(ParseError::not_well_formed);
  if (!is_blank(bytes.substr(parser.size()))) return Err(ParseError::not_well_formed);
  return parser.make_document(bytes);
}

}  // namespace xmpp::xml
