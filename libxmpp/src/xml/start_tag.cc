// ElementParser: start tags - names, attributes, namespaces.
//
// Thread-safety: one thread. Spec: XML 1.0 3.1, 3.3.3; Namespaces in XML 1.0.
#include <algorithm>

#include "xml/element_parser.h"

namespace xmpp::xml {
namespace {

constexpr std::uint16_t kNoDepth = 0xFFFF;

}  // namespace

ElementParser::Status ElementParser::parse_start_tag() {
  if (scanned_ > token_) {
    // An earlier call found the tag unfinished: parse it only when its end is there.
    const Status found = search_tag_end();
    if (found != Status::done) return found;
    const Status status = scan_start_tag();
    return status == Status::incomplete ? fail(ParseError::not_well_formed) : status;
  }
  const std::size_t nodes = nodes_.size();
  const std::size_t bindings = bindings_.size();
  const std::size_t strings = strings_.size();
  const std::size_t extra = extra_.size();
  const Status status = scan_start_tag();
  if (status == Status::done) return status;
  const ParseError error = error_;
  const Status found = search_tag_end();
  if (found == Status::done) {
    return fail(status == Status::failed ? error : ParseError::not_well_formed);
  }
  nodes_.resize(nodes);
  bindings_.resize(bindings);
  strings_.resize(strings);
  extra_.resize(extra);
  for (NsRef& ref : outer_refs_) {
    if (ref >= kFirstNs + strings) ref = 0;
  }
  return found;
}

// Goes on looking for the '>' of the tag at token_; notices what no tag may contain.
ElementParser::Status ElementParser::search_tag_end() {
  std::uint32_t at = std::max(scanned_, token_ + 1);
  for (; at != end_; ++at) {
    const char c = base_[at];
    const auto byte = static_cast<unsigned char>(c);
    if (byte > '>') continue;
    if (c == '<' || (byte < 0x20 && !has_class(c, kSpace))) {
      return fail(ParseError::not_well_formed);
    }
    if (quote_ == 0) {
      if (c == '>') break;
      if (c == '"' || c == '\'') quote_ = c;
    } else if (c == quote_) {
      quote_ = 0;
    }
  }
  scanned_ = at;
  if (at == end_) return Status::incomplete;
  quote_ = 0;
  return Status::done;
}

ElementParser::Status ElementParser::scan_start_tag() {
  const std::size_t depth = open_.size() + 1;
  if (depth > limits_->depth || depth >= kNoDepth || nodes_.size() >= limits_->nodes) {
    return fail(ParseError::limit_exceeded);
  }
  Open open{};
  open.node = static_cast<std::uint32_t>(nodes_.size());
  open.name_begin = token_ + 1;
  open.bindings = static_cast<std::uint32_t>(bindings_.size());
  open.min_prefix = open.min_default = kNoDepth;
  if (depth > 1) {
    open.default_ns = open_.back().default_ns;
    open.default_depth = open_.back().default_depth;
  } else if (outer_ != nullptr) {
    (void)find_outer({}, open.default_ns);
  }

  std::uint32_t at = open.name_begin;
  std::uint32_t prefix_size = 0;
  Status status = scan_name(at, prefix_size);
  if (status != Status::done) return status;
  open.name_size = at - open.name_begin;

  Node node{};
  node.kind = NodeKind::element;
  node.depth = static_cast<std::uint16_t>(depth);
  node.begin = token_;
  node.prefix_size = static_cast<std::uint16_t>(prefix_size);
  node.name_begin = open.name_begin + (prefix_size == 0 ? 0 : prefix_size + 1);
  node.name_size = at - node.name_begin;
  node.name_atom = find_atom(view(node.name_begin, node.name_size));
  nodes_.push_back(node);

  status = scan_attributes(at, open);
  if (status != Status::done) return status;
  const bool is_empty = base_[at] == '/';
  if (is_empty) {
    if (at + 1 == end_) return Status::incomplete;
    if (base_[++at] != '>') return fail(ParseError::not_well_formed);
  }
  status = resolve(open);
  if (status != Status::done) return status;
  open_.push_back(open);
  if (is_empty) {
    close_element(at + 1);
  } else {
    token_ = scanned_ = at + 1;
  }
  return Status::done;
}

// NCName or NCName ':' NCName.
ElementParser::Status ElementParser::scan_name(std::uint32_t& at, std::uint32_t& prefix_size) {
  std::uint32_t begin = at;
  prefix_size = 0;
  // Nearly all names are this simple.
  if (at != end_ && has_class(base_[at], kNameStart)) {
    std::uint32_t ascii = at + 1;
    while (ascii != end_ && has_class(base_[ascii], kNameChar)) ++ascii;
    if (ascii != end_ && base_[ascii] != ':' && static_cast<unsigned char>(base_[ascii]) < 0x80) {
      at = ascii;
      return Status::done;
    }
  }
  while (true) {
    std::uint8_t wanted = kNameStart;
    for (; at != end_; wanted = kNameChar) {
      const char c = base_[at];
      if (has_class(c, wanted)) {
        ++at;
      } else if (static_cast<unsigned char>(c) < 0x80) {
        break;
      } else {
        const Scanned scanned = scan_multibyte(base_ + at, base_ + end_);
        if (scanned.scan == Scan::failed) return fail(scanned.error);
        if (scanned.scan == Scan::incomplete) return Status::incomplete;
        if (!(wanted == kNameStart ? is_name_start : is_name_char)(scanned.code_point)) {
          return fail(ParseError::not_well_formed);
        }
        at += scanned.size;
      }
    }
    if (at == end_) return Status::incomplete;
    if (at == begin) return fail(ParseError::not_well_formed);
    if (base_[at] != ':' || prefix_size != 0) return Status::done;
    prefix_size = at - begin;
    if (prefix_size > 0xFFFF) return fail(ParseError::limit_exceeded);
    begin = ++at;
  }
}

// Up to the '>' or '/' behind the attributes.
ElementParser::Status ElementParser::scan_attributes(std::uint32_t& at, Open& open) {
  const auto skip_space = [&] {
    const std::uint32_t from = at;
    while (at != end_ && has_class(base_[at], kSpace)) ++at;
    return at != from;
  };
  std::size_t count = 0;
  bool has_default = false;
  while (true) {
    const bool spaced = skip_space();
    if (at == end_) return Status::incomplete;
    if (base_[at] == '>' || base_[at] == '/') return Status::done;
    if (!spaced) return fail(ParseError::not_well_formed);
    if (++count > limits_->attributes || nodes_.size() >= limits_->nodes) {
      return fail(ParseError::limit_exceeded);
    }
    Node node{};
    node.kind = NodeKind::attribute;
    node.depth = static_cast<std::uint16_t>(open_.size() + 1);
    const std::uint32_t begin = at;
    std::uint32_t prefix_size = 0;
    Status status = scan_name(at, prefix_size);
    if (status != Status::done) return status;
    node.prefix_size = static_cast<std::uint16_t>(prefix_size);
    node.name_begin = begin + (prefix_size == 0 ? 0 : prefix_size + 1);
    node.name_size = at - node.name_begin;
    skip_space();
    if (at == end_) return Status::incomplete;
    if (base_[at++] != '=') return fail(ParseError::not_well_formed);
    skip_space();
    status = scan_value(at, node);
    if (status != Status::done) return status;

    const bool is_default = prefix_size == 0 && view(node.name_begin, node.name_size) == "xmlns";
    if (is_default || (prefix_size == 5 && view(begin, 5) == "xmlns")) {
      if (is_default && std::exchange(has_default, true)) {
        return fail(ParseError::not_well_formed);
      }
      status = declare(node, is_default, open);
      if (status != Status::done) return status;
    } else {
      node.name_atom = find_atom(view(node.name_begin, node.name_size));
      nodes_.push_back(node);
    }
  }
}

ElementParser::Status ElementParser::scan_value(std::uint32_t& at, Node& attribute) {
  if (at == end_) return Status::incomplete;
  const char quote = base_[at++];
  if (quote != '"' && quote != '\'') return fail(ParseError::not_well_formed);
  attribute.begin = at;
  while (true) {
    at = static_cast<std::uint32_t>(skip_plain_value(base_ + at, base_ + end_) - base_);
    if (at == end_) return Status::incomplete;
    const char c = base_[at];
    if (c == quote) break;
    if (c == '"' || c == '\'' || c == '>') {
      ++at;
    } else if (c == '&' || static_cast<unsigned char>(c) >= 0x80) {
      const Scanned scanned =
          (c == '&' ? scan_reference : scan_multibyte)(base_ + at, base_ + end_);
      if (scanned.scan == Scan::failed) return fail(scanned.error);
      if (scanned.scan == Scan::incomplete) return Status::incomplete;
      at += scanned.size;
      if (c == '&') attribute.flags |= kEncoded;
    } else if (has_class(c, kSpace)) {
      attribute.flags |= kEncoded;
      ++at;
    } else {
      return fail(ParseError::not_well_formed);  // '<' or a control character
    }
  }
  attribute.end = at++;
  return Status::done;
}

ElementParser::Status ElementParser::declare(const Node& attribute, bool is_default, Open& open) {
  std::uint32_t begin = attribute.begin;
  std::string_view uri = view(begin, attribute.end - begin);
  if ((attribute.flags & kEncoded) != 0) {
    begin = kExtraBit + static_cast<std::uint32_t>(extra_.size());
    decode_text(extra_, uri, true);
    uri = std::string_view(extra_).substr(begin - kExtraBit);
  }
  const std::string_view prefix =
      is_default ? std::string_view() : view(attribute.name_begin, attribute.name_size);
  if (prefix == "xmlns" || uri == ns::xmlns || (prefix == "xml") != (uri == ns::xml)) {
    return fail(ParseError::not_well_formed);
  }
  if (is_default) {
    open.default_ns = make_ns(uri, begin);
    open.default_depth = static_cast<std::uint16_t>(open_.size() + 1);
    return Status::done;
  }
  if (uri.empty()) return fail(ParseError::not_well_formed);
  for (std::size_t i = open.bindings; i < bindings_.size(); ++i) {
    if (view(bindings_[i].prefix_begin, bindings_[i].prefix_size) == prefix) {
      return fail(ParseError::not_well_formed);
    }
  }
  if (bindings_.size() >= limits_->prefixes) return fail(ParseError::limit_exceeded);
  bindings_.push_back({attribute.name_begin, attribute.name_size, make_ns(uri, begin),
                       static_cast<std::uint16_t>(open_.size() + 1)});
  return Status::done;
}

NsRef ElementParser::make_ns(std::string_view text, std::uint32_t begin) {
  if (text.empty()) return 0;
  const Atom atom = find_atom(text);
  if (atom != Atom::unknown) return static_cast<NsRef>(atom);
  strings_.push_back({begin, static_cast<std::uint32_t>(text.size())});
  return kFirstNs + static_cast<NsRef>(strings_.size() - 1);
}

bool ElementParser::find_outer(std::string_view prefix, NsRef& ns) {
  for (std::size_t i = 0; i < outer_->bindings.size(); ++i) {
    const OuterNamespaces::Binding& binding = outer_->bindings[i];
    if (outer_->prefix(binding) != prefix) continue;
    ns = static_cast<NsRef>(binding.atom);
    if (ns != 0) return true;
    // Copied into the document, once however often it is used.
    outer_refs_.resize(outer_->bindings.size());
    if (outer_refs_[i] == 0) {
      const std::string_view uri = outer_->uri(binding);
      outer_refs_[i] = make_ns(uri, kExtraBit + static_cast<std::uint32_t>(extra_.size()));
      extra_ += uri;
    }
    ns = outer_refs_[i];
    return true;
  }
  return false;
}

bool ElementParser::find_prefix(std::string_view prefix, Open& open, NsRef& ns) {
  if (prefix == "xml") {
    ns = static_cast<NsRef>(Atom::ns_xml);
    return true;
  }
  for (std::size_t i = bindings_.size(); i-- > 0;) {
    const Binding& binding = bindings_[i];
    if (view(binding.prefix_begin, binding.prefix_size) != prefix) continue;
    ns = binding.ns;
    open.min_prefix = std::min(open.min_prefix, binding.depth);
    return true;
  }
  open.min_prefix = 0;
  return outer_ != nullptr && find_outer(prefix, ns);
}

// Gives the element that `open` describes and its attributes their namespaces and flags.
ElementParser::Status ElementParser::resolve(Open& open) {
  Node& element = nodes_[open.node];
  const std::size_t first = open.node + 1;
  if (element.prefix_size == 0) {
    element.ns = open.default_ns;
    open.min_default = open.default_depth;
    if (open.default_depth < element.depth) element.flags |= kInherited;
  } else if (!find_prefix(view(open.name_begin, element.prefix_size), open, element.ns)) {
    return fail(ParseError::not_well_formed);
  }
  for (std::size_t i = first; i < nodes_.size(); ++i) {
    Node& node = nodes_[i];
    if (node.prefix_size != 0 &&
        !find_prefix(view(node.name_begin - node.prefix_size - 1, node.prefix_size), open,
                     node.ns)) {
      return fail(ParseError::not_well_formed);
    }
    for (std::size_t j = first; j < i; ++j) {
      const Node& other = nodes_[j];
      if (other.name_atom == node.name_atom && other.name_size == node.name_size &&
          same_ns(other.ns, node.ns) &&
          (node.name_atom != Atom::unknown ||
           view(other.name_begin, node.name_size) == view(node.name_begin, node.name_size))) {
        return fail(ParseError::not_well_formed);
      }
    }
  }
  const Open* parent = open_.empty() ? nullptr : &open_.back();
  if (parent != nullptr && parent->is_stanza && nodes_[parent->node].ns == element.ns) {
    element.flags |= kStanzaChild;
  }
  const bool is_place =
      parent == nullptr || (nodes_[parent->node].name_atom == Atom::forwarded &&
                            nodes_[parent->node].ns == static_cast<NsRef>(Atom::ns_forward));
  open.is_stanza =
      is_place && is_stanza_name(element.name_atom) && is_content_ns(TapeAccess::ns_atom(element));
  return Status::done;
}

}  // namespace xmpp::xml
