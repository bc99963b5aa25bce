// ElementParser: tokens, text, end tags, and the document at the end. Start tags: start_tag.cc.
//
// Thread-safety: one thread.
#include "xml/element_parser.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cstring>

namespace xmpp::xml {
namespace {

// The first byte from `at` on that text may not contain without a look.
inline std::uint32_t skip_plain_text(const char* base, std::uint32_t at,
                                     std::uint32_t end) noexcept {
#ifdef __SSE2__
  const __m128i space = _mm_set1_epi8(0x20);
  const __m128i less = _mm_set1_epi8('<');
  const __m128i ampersand = _mm_set1_epi8('&');
  const __m128i bracket = _mm_set1_epi8(']');
  while (end - at >= 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(base + at));
    // A signed comparison: bytes from 0x80 on are below the space, too.
    const __m128i stops = _mm_or_si128(
        _mm_or_si128(_mm_cmplt_epi8(block, space), _mm_cmpeq_epi8(block, less)),
        _mm_or_si128(_mm_cmpeq_epi8(block, ampersand), _mm_cmpeq_epi8(block, bracket)));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(stops));
    if (mask != 0) return at + static_cast<std::uint32_t>(std::countr_zero(mask));
    at += 16;
  }
#endif
  while (at != end && !has_class(base[at], kTextStop)) ++at;
  return at;
}

}  // namespace

void OuterNamespaces::set_name(std::string_view qualified) {
  text.assign(qualified);
  name_size = static_cast<std::uint32_t>(qualified.size());
}

void OuterNamespaces::add(std::string_view prefix_text, std::string_view uri_text) {
  Binding binding{};
  binding.prefix_begin = static_cast<std::uint32_t>(text.size());
  binding.prefix_size = static_cast<std::uint32_t>(prefix_text.size());
  text += prefix_text;
  binding.atom = find_atom(uri_text);
  if (binding.atom == Atom::unknown) {
    binding.uri_begin = static_cast<std::uint32_t>(text.size());
    binding.uri_size = static_cast<std::uint32_t>(uri_text.size());
    text += uri_text;
  }
  bindings.push_back(binding);
}

void ElementParser::reset(Mode mode) {
  mode_ = mode;
  quote_ = 0;
  text_encoded_ = false;
  token_ = scanned_ = 0;
  nodes_.clear();
  open_.clear();
  bindings_.clear();
  strings_.clear();
  outer_refs_.clear();
  extra_.clear();
}

void ElementParser::trim() {
  constexpr std::size_t kKeep = 2048;
  if (nodes_.capacity() > kKeep) std::vector<Node>().swap(nodes_);
  if (bindings_.capacity() > kKeep) std::vector<Binding>().swap(bindings_);
  if (strings_.capacity() > kKeep) std::vector<TapeString>().swap(strings_);
  if (extra_.capacity() > kKeep) std::string().swap(extra_);
}

std::size_t ElementParser::heap_bytes() const noexcept {
  return nodes_.capacity() * sizeof(Node) + open_.capacity() * sizeof(Open) +
         bindings_.capacity() * sizeof(Binding) + strings_.capacity() * sizeof(TapeString) +
         outer_refs_.capacity() * sizeof(NsRef) + extra_.capacity();
}

ElementParser::Status ElementParser::fail(ParseError error) noexcept {
  error_ = error;
  return Status::failed;
}

ElementParser::Status ElementParser::parse(std::string_view bytes, const OuterNamespaces* outer,
                                           const Limits& limits) {
  base_ = bytes.data();
  // What lies beyond the limit is never looked at, so it does not matter whether it is there
  // already.
  end_ = static_cast<std::uint32_t>(std::min({bytes.size(), limits.stanza_bytes, kMaxBytes}));
  outer_ = outer;
  limits_ = &limits;
  Status status = Status::done;
  do {
    if (token_ == end_) {
      status = Status::incomplete;
    } else {
      status = base_[token_] == '<' ? parse_markup() : parse_text();
    }
  } while (status == Status::done && mode_ == Mode::element && !open_.empty());
  if (status == Status::incomplete && bytes.size() > end_) return fail(ParseError::limit_exceeded);
  return status;
}

ElementParser::Status ElementParser::add_text(NodeKind kind, std::uint32_t begin,
                                              std::uint32_t end) {
  if (nodes_.size() >= limits_->nodes) return fail(ParseError::limit_exceeded);
  Node node{};
  node.kind = kind;
  node.flags = text_encoded_ ? kEncoded : 0;
  node.depth = static_cast<std::uint16_t>(open_.size());
  node.begin = begin;
  node.end = end;
  nodes_.push_back(node);
  text_encoded_ = false;
  return Status::done;
}

// Looks at one byte that skip_plain_text() stopped at and moves behind what it stands for. '<' and
// '&' are the caller's business; ok with *at unchanged means "]]>".
ElementParser::Status ElementParser::scan_special(std::uint32_t& at) {
  const char c = base_[at];
  if (static_cast<unsigned char>(c) >= 0x80) {
    const Scanned scanned = scan_multibyte(base_ + at, base_ + end_);
    if (scanned.scan == Scan::failed) return fail(scanned.error);
    if (scanned.scan == Scan::incomplete) return Status::incomplete;
    at += scanned.size;
    return Status::done;
  }
  if (c == ']') {
    for (std::uint32_t i = 1; i < 3; ++i) {
      if (at + i == end_) return Status::incomplete;
      if (base_[at + i] != (i == 1 ? ']' : '>')) {
        ++at;
        return Status::done;
      }
    }
    return Status::done;
  }
  if (!has_class(c, kSpace)) return fail(ParseError::not_well_formed);
  if (c == '\r') text_encoded_ = true;
  ++at;
  return Status::done;
}

ElementParser::Status ElementParser::parse_text() {
  std::uint32_t at = std::max(scanned_, token_);
  while (true) {
    at = skip_plain_text(base_, at, end_);
    scanned_ = at;
    if (at == end_) return Status::incomplete;
    if (base_[at] == '<') {
      const Status status = add_text(NodeKind::text, token_, at);
      token_ = at;
      return status;
    }
    if (base_[at] == '&') {
      const Scanned scanned = scan_reference(base_ + at, base_ + end_);
      if (scanned.scan == Scan::failed) return fail(scanned.error);
      if (scanned.scan == Scan::incomplete) return Status::incomplete;
      text_encoded_ = true;
      at += scanned.size;
      continue;
    }
    const Status status = scan_special(at);
    if (status != Status::done) return status;
    if (at == scanned_) return fail(ParseError::not_well_formed);  // "]]>"
  }
}

ElementParser::Status ElementParser::parse_markup() {
  if (token_ + 1 == end_) return Status::incomplete;
  switch (base_[token_ + 1]) {
    case '/':
      return open_.empty() ? fail(ParseError::not_well_formed) : parse_end_tag();
    case '!':
      return parse_cdata();
    case '?':
      return fail(ParseError::restricted_xml);
    default:
      return parse_start_tag();
  }
}

ElementParser::Status ElementParser::parse_cdata() {
  constexpr std::string_view kOpening = "<![CDATA[";
  for (std::uint32_t i = 2; i < kOpening.size(); ++i) {
    if (token_ + i == end_) return Status::incomplete;
    const char c = base_[token_ + i];
    if (c == kOpening[i]) continue;
    // A comment or a declaration, if anything.
    const bool is_xml = i == 2 && (c == '-' || has_class(c, kNameStart));
    return fail(is_xml ? ParseError::restricted_xml : ParseError::not_well_formed);
  }
  if (open_.empty()) return fail(ParseError::not_well_formed);
  const std::uint32_t begin = token_ + static_cast<std::uint32_t>(kOpening.size());
  std::uint32_t at = std::max(scanned_, begin);
  while (true) {
    at = skip_plain_text(base_, at, end_);
    scanned_ = at;
    if (at == end_) return Status::incomplete;
    if (base_[at] == '<' || base_[at] == '&') {
      ++at;
      continue;
    }
    Status status = scan_special(at);
    if (status != Status::done) return status;
    if (at != scanned_) continue;
    status = at == begin ? Status::done : add_text(NodeKind::cdata, begin, at);
    text_encoded_ = false;
    token_ = scanned_ = at + 3;
    return status;
  }
}

ElementParser::Status ElementParser::parse_end_tag() {
  const Open& open = open_.back();
  const std::string_view name = view(open.name_begin, open.name_size);
  std::uint32_t at = token_ + 2;
  if (end_ - at > name.size() && std::memcmp(base_ + at, name.data(), name.size()) == 0 &&
      base_[at + name.size()] == '>') {
    close_element(at + open.name_size + 1);
    return Status::done;
  }
  std::uint32_t found = std::max(scanned_, at);
  for (; found != end_ && base_[found] != '>'; ++found) {
    const char c = base_[found];
    if (c == '<' || c == '"' || c == '\'') return fail(ParseError::not_well_formed);
  }
  scanned_ = found;
  if (found == end_) return Status::incomplete;
  if (view(at, found - at).substr(0, name.size()) != name) {
    return fail(ParseError::not_well_formed);
  }
  for (at += open.name_size; at != found; ++at) {
    if (!has_class(base_[at], kSpace)) return fail(ParseError::not_well_formed);
  }
  close_element(found + 1);
  return Status::done;
}

void ElementParser::close_element(std::uint32_t end) {
  const auto depth = open_.size();
  const Open open = open_.back();
  open_.pop_back();
  Node& node = nodes_[open.node];
  node.end = end;
  node.next = static_cast<std::uint32_t>(nodes_.size());
  if (open.min_prefix < depth) node.flags |= kOuterPrefix;
  if (open.min_default < depth) node.flags |= kOuterDefault;
  bindings_.resize(open.bindings);
  if (!open_.empty()) {
    Open& parent = open_.back();
    parent.min_prefix = std::min(parent.min_prefix, open.min_prefix);
    parent.min_default = std::min(parent.min_default, open.min_default);
  }
  token_ = scanned_ = end;
}

std::string_view ElementParser::ns_text(NsRef ns) const noexcept {
  if (ns < kFirstNs) return atom_text(static_cast<Atom>(ns));
  const TapeString& string = strings_[ns - kFirstNs];
  if (string.begin >= kExtraBit) {
    return std::string_view(extra_).substr(string.begin - kExtraBit, string.size);
  }
  return view(string.begin, string.size);
}

bool ElementParser::same_ns(NsRef a, NsRef b) const noexcept {
  if (a == b) return true;
  return a >= kFirstNs && b >= kFirstNs && ns_text(a) == ns_text(b);
}

Document ElementParser::make_document(std::string_view bytes) {
  if (mode_ == Mode::header && !open_.empty()) {
    // A start tag alone: never to be copied as it is.
    nodes_[0].end = token_;
    nodes_[0].next = static_cast<std::uint32_t>(nodes_.size());
    nodes_[0].flags |= kOuterPrefix;
  }
  const std::size_t nodes_size = nodes_.size() * sizeof(Node);
  const std::size_t strings_size = strings_.size() * sizeof(TapeString);
  const std::size_t text = sizeof(TapeHeader) + nodes_size + strings_size;
  const TapeHeader header = {static_cast<std::uint32_t>(nodes_.size()),
                             static_cast<std::uint32_t>(text), token_, 0};
  return TapeAccess::make(Block::make(text + token_ + extra_.size(), [&](char* to) {
    std::memcpy(to, &header, sizeof(header));
    std::memcpy(to + sizeof(header), nodes_.data(), nodes_size);
    char* at = to + sizeof(header) + nodes_size;
    for (TapeString string : strings_) {
      if (string.begin >= kExtraBit) string.begin = string.begin - kExtraBit + token_;
      std::memcpy(at, &string, sizeof(string));
      at += sizeof(string);
    }
    std::memcpy(to + text, bytes.data(), token_);
    if (!extra_.empty()) std::memcpy(to + text + token_, extra_.data(), extra_.size());
  }));
}

OuterNamespaces ElementParser::take_namespaces(std::string_view bytes) {
  base_ = bytes.data();
  OuterNamespaces outer;
  if (open_.empty()) return outer;
  const Open& open = open_.back();
  outer.set_name(view(open.name_begin, open.name_size));
  if (open.default_ns != 0) outer.add({}, ns_text(open.default_ns));
  for (const Binding& binding : bindings_) {
    outer.add(view(binding.prefix_begin, binding.prefix_size), ns_text(binding.ns));
  }
  return outer;
}

}  // namespace xmpp::xml
