// Writer: escaping, start and end tags, and copies of elements.
//
// Thread-safety: one thread.
#include "xmpp/xml/writer.h"

#include <algorithm>

#include "xml/chars.h"
#include "xml/tape.h"

namespace xmpp::xml {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// What stands for an ASCII byte; empty if it stands for itself.
constexpr std::string_view escaped(char c, bool attribute) noexcept {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '\'':
      return "&apos;";
    case '"':
      return "&quot;";
    case '\r':
      return "&#13;";
    case '\n':
      return attribute ? "&#10;" : "";
    case '\t':
      return attribute ? "&#9;" : "";
    default:
      return static_cast<unsigned char>(c) < 0x20 ? kReplacement : std::string_view();
  }
}

void escape(std::string& out, std::string_view text, bool attribute) {
  const char* at = text.data();
  const char* const end = at + text.size();
  const char* plain = at;
  while ((at = skip_plain_value(at, end)) != end) {
    std::string_view replacement;
    if (static_cast<unsigned char>(*at) >= 0x80) {
      const Scanned scanned = scan_multibyte(at, end);
      if (scanned.scan == Scan::ok) {
        at += scanned.size;
        continue;
      }
      replacement = kReplacement;
    } else {
      replacement = escaped(*at, attribute);
      if (replacement.empty()) {
        ++at;
        continue;
      }
    }
    out.append(plain, at);
    out += replacement;
    plain = ++at;
  }
  out.append(plain, end);
}

}  // namespace

bool is_plain(std::string_view text) noexcept {
  const char* const end = text.data() + text.size();
  return skip_plain_value(text.data(), end) == end;
}
void escape_text(std::string& out, std::string_view text) {
  escape(out, text, false);
}
void escape_attr(std::string& out, std::string_view text) {
  escape(out, text, true);
}

Writer::Writer(std::string& out, std::string_view default_ns) : out_(out), outer_ns_(default_ns) {}

std::string_view Writer::default_ns() const noexcept {
  if (open_.empty()) return outer_ns_;
  const Open& open = open_.back();
  return std::string_view(names_).substr(open.name_begin + open.name_size, open.ns_size);
}

void Writer::close_start_tag() {
  if (!in_start_tag_) return;
  out_ += '>';
  in_start_tag_ = false;
}

void Writer::start(std::string_view ns, std::string_view name) {
  close_start_tag();
  // The xml namespace cannot be the default one; its prefix is always in force.
  const bool is_xml = ns == ns::xml;
  const std::string_view around = default_ns();
  const bool declares = !is_xml && ns != around;
  const auto begin = static_cast<std::uint32_t>(names_.size());
  const auto ns_size = static_cast<std::uint32_t>(is_xml ? around.size() : ns.size());
  const std::string kept(is_xml ? around : std::string_view());  // names_ is about to move
  if (is_xml) names_ += "xml:";
  names_ += name;
  const auto name_size = static_cast<std::uint32_t>(names_.size()) - begin;
  names_ += is_xml ? std::string_view(kept) : ns;
  open_.push_back({begin, name_size, ns_size});

  out_ += '<';
  out_.append(names_, begin, name_size);
  if (declares) {
    out_ += " xmlns='";
    escape_attr(out_, ns);
    out_ += '\'';
  }
  in_start_tag_ = true;
}

void Writer::attr(std::string_view name, std::string_view value) {
  XMPP_ASSERT(in_start_tag_);
  out_ += ' ';
  out_ += name;
  out_ += "='";
  escape_attr(out_, value);
  out_ += '\'';
}

void Writer::text(std::string_view text) {
  if (text.empty()) return;
  close_start_tag();
  escape_text(out_, text);
}

void Writer::end() {
  XMPP_ASSERT(!open_.empty());
  const Open open = open_.back();
  if (in_start_tag_) {
    out_ += "/>";
    in_start_tag_ = false;
  } else {
    out_ += "</";
    out_.append(names_, open.name_begin, open.name_size);
    out_ += '>';
  }
  open_.pop_back();
  names_.resize(open.name_begin);
}

void Writer::element(std::string_view ns, std::string_view name, std::string_view content) {
  start(ns, name);
  text(content);
  end();
}

void Writer::raw(std::string_view markup) {
  if (markup.empty()) return;
  close_start_tag();
  out_ += markup;
}

void Writer::write(Element element) {
  if (copies_verbatim(element, default_ns())) {
    raw(element.raw());
    return;
  }
  const bool is_translated = (TapeAccess::node(element).flags & kStanzaChild) != 0 &&
                             is_content_ns(find_atom(default_ns()));
  write_canonical(element, is_translated ? element.ns() : std::string_view());
}

void Writer::write_attribute(Element element, std::uint32_t index, std::uint32_t number) {
  const void* data = TapeAccess::data(element);
  const Node& node = TapeAccess::nodes(data)[index];
  const std::string_view raw = TapeAccess::content(data, node);
  std::string decoded;
  if ((node.flags & kEncoded) != 0) decode_text(decoded, raw, true);
  const std::string_view value = (node.flags & kEncoded) != 0 ? std::string_view(decoded) : raw;
  std::string name(TapeAccess::name(data, node));
  if (TapeAccess::ns_atom(node) == Atom::ns_xml) {
    name.insert(0, "xml:");
  } else if (node.ns != 0) {
    const std::string prefix = "n" + std::to_string(number);
    attr("xmlns:" + prefix, TapeAccess::ns(data, node));
    name.insert(0, prefix + ":");
  }
  attr(name, value);
}

// Walks the tape, not the tree: nesting costs no stack. An element in `translated_ns` whose
// ancestors, up to and with the first one, are in it too is written in the default namespace in
// force.
void Writer::write_canonical(Element element, std::string_view translated_ns) {
  const void* data = TapeAccess::data(element);
  const Node* nodes = TapeAccess::nodes(data);
  const std::uint32_t first = TapeAccess::index(element);
  const std::uint32_t end = nodes[first].next;
  const std::size_t outside = open_.size();
  const std::string target(default_ns());
  std::vector<std::uint32_t> ends;  // of the open elements
  std::size_t translated = 0;       // how many of them, from the outermost on, were translated
  std::string buffer;
  for (std::uint32_t i = first; i < end; ++i) {
    const Node& node = nodes[i];
    for (; !ends.empty() && ends.back() <= i; ends.pop_back()) this->end();
    translated = std::min(translated, ends.size());
    switch (node.kind) {
      case NodeKind::element: {
        const std::string_view own = TapeAccess::ns(data, node);
        const bool translates =
            !translated_ns.empty() && translated == ends.size() && own == translated_ns;
        start(translates ? std::string_view(target) : own, TapeAccess::name(data, node));
        if (translates) ++translated;
        ends.push_back(node.next);
        break;
      }
      case NodeKind::attribute:
        write_attribute(element, i, i - first);
        break;
      case NodeKind::text:
      case NodeKind::cdata:
        buffer.clear();
        if (node.kind == NodeKind::text) {
          decode_text(buffer, TapeAccess::content(data, node), false);
        } else {
          decode_cdata(buffer, TapeAccess::content(data, node));
        }
        text(buffer);
        break;
    }
  }
  while (open_.size() > outside) this->end();
}

}  // namespace xmpp::xml
