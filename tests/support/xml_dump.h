// The meaning of an element as text, for comparisons: names with namespaces, attributes in order,
// text.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "xml/tape.h"
#include "xmpp/xml/document.h"

namespace xmpp::xml::testing {

inline std::string expanded(std::string_view ns, std::string_view name) {
  return "{" + std::string(ns) + "}" + std::string(name);
}

// Elements as "(name attr=value,...|content)", attributes sorted, adjacent runs of text as one.
inline void dump(std::string& out, Element element) {
  const void* data = TapeAccess::data(element);
  const Node* nodes = TapeAccess::nodes(data);
  const Node& self = TapeAccess::node(element);
  out += "(" + expanded(element.ns(), element.name());
  std::vector<std::string> attributes;
  std::string content;
  for (std::uint32_t i = TapeAccess::index(element) + 1; i < self.next;) {
    const Node& node = nodes[i];
    const std::string_view raw = TapeAccess::content(data, node);
    std::string text;
    switch (node.kind) {
      case NodeKind::element:
        dump(content, TapeAccess::element(data, i));
        i = node.next;
        continue;
      case NodeKind::attribute:
        decode_text(text, raw, true);
        attributes.push_back(expanded(TapeAccess::ns(data, node), TapeAccess::name(data, node)) +
                             "=" + text);
        break;
      case NodeKind::text:
        decode_text(content, raw, false);
        break;
      case NodeKind::cdata:
        decode_cdata(content, raw);
        break;
    }
    ++i;
  }
  std::sort(attributes.begin(), attributes.end());
  for (const std::string& attribute : attributes) out += " " + attribute;
  out += "|" + content + ")";
}

inline std::string dump(Element element) {
  std::string out;
  dump(out, element);
  return out;
}

// Is there a name (or a prefix) of an element or attribute with other letters than ASCII?
inline bool has_non_ascii_name(Element element) {
  // A prefix may be declared and not used, so this looks at all that stands inside of tags but
  // quotes.
  bool in_tag = false;
  char quote = 0;
  for (const char c : element.raw()) {
    if (quote != 0) {
      if (c == quote) quote = 0;
    } else if (in_tag) {
      if (c < 0) return true;
      if (c == '"' || c == '\'') quote = c;
      if (c == '>') in_tag = false;
    } else if (c == '<') {
      in_tag = true;
    }
  }
  return false;
}

}  // namespace xmpp::xml::testing
