#include "player/xml_tree.h"

#include <expat.h>

#include <algorithm>
#include <charconv>
#include <memory>

namespace play {
namespace {

constexpr char kSeparator = '\x01';
constexpr std::string_view kXmlNs = "http://www.w3.org/XML/1998/namespace";
constexpr std::string_view kClientNs = "jabber:client";
constexpr std::string_view kEllipsis = "...";

struct Builder {
  std::vector<XmlTree> open{1};  // the first is the wrapper's parent
};

void split(const char* expanded, std::string& ns, std::string& name) {
  const std::string_view text = expanded;
  const auto at = text.find(kSeparator);
  ns = at == std::string_view::npos ? std::string() : std::string(text.substr(0, at));
  name = at == std::string_view::npos ? std::string(text) : std::string(text.substr(at + 1));
}

std::string trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto from = text.find_first_not_of(kSpace);
  if (from == std::string_view::npos) return {};
  return std::string(text.substr(from, text.find_last_not_of(kSpace) - from + 1));
}

void XMLCALL on_start(void* user, const char* name, const char** attributes) {
  XmlTree element;
  split(name, element.ns, element.name);
  for (; *attributes != nullptr; attributes += 2) {
    std::string ns;
    std::string local;
    split(attributes[0], ns, local);
    if (ns == kXmlNs) {
      local.insert(0, "xml:");
    } else if (!ns.empty()) {
      local = "{" + ns + "}" + local;
    }
    element.attributes[local] = attributes[1];
  }
  static_cast<Builder*>(user)->open.push_back(std::move(element));
}

void XMLCALL on_end(void* user, const char*) {
  auto& open = static_cast<Builder*>(user)->open;
  XmlTree element = std::move(open.back());
  open.pop_back();
  element.text = trimmed(element.text);
  open.back().children.push_back(std::move(element));
}

void XMLCALL on_text(void* user, const char* text, int size) {
  static_cast<Builder*>(user)->open.back().text.append(text, static_cast<std::size_t>(size));
}

bool is_wildcard(std::string_view value) {
  return value == "*" || value == "{any}";
}

// Matches a text with at most one unknown {name}.
bool value_matches(std::string_view pattern, std::string_view actual, Bindings& bindings) {
  if (is_wildcard(pattern)) return true;
  const std::string known = substitute(pattern, bindings);
  const auto from = known.find('{');
  const auto to = known.find('}', from == std::string::npos ? 0 : from);
  if (from == std::string::npos || to == std::string::npos) return known == actual;
  const std::string_view before = std::string_view(known).substr(0, from);
  const std::string_view after = std::string_view(known).substr(to + 1);
  if (actual.size() < before.size() + after.size() || !actual.starts_with(before) ||
      !actual.ends_with(after)) {
    return false;
  }
  const auto bound = actual.substr(before.size(), actual.size() - before.size() - after.size());
  if (bound.empty()) return false;
  const std::string name = known.substr(from + 1, to - from - 1);
  if (name != "any") bindings[name] = std::string(bound);
  return true;
}

bool attributes_match(const XmlTree& pattern, const XmlTree& actual, Bindings& bindings) {
  for (const auto& [name, value] : pattern.attributes) {
    const auto found = actual.attributes.find(name);
    if (value == "{none}") {
      if (found != actual.attributes.end()) return false;
    } else if (found == actual.attributes.end() || !value_matches(value, found->second, bindings)) {
      return false;
    }
  }
  return true;
}

bool matches_into(const XmlTree& pattern, const XmlTree& actual, Bindings& bindings);

// Finds a distinct actual child for each child of the pattern from `index` on.
bool children_match(const XmlTree& pattern, std::size_t index, const XmlTree& actual,
                    std::vector<bool>& used, Bindings& bindings) {
  if (index == pattern.children.size()) return true;
  for (std::size_t i = 0; i < actual.children.size(); ++i) {
    if (used[i]) continue;
    Bindings attempt = bindings;
    if (!matches_into(pattern.children[index], actual.children[i], attempt)) continue;
    used[i] = true;
    if (children_match(pattern, index + 1, actual, used, attempt)) {
      bindings = std::move(attempt);
      return true;
    }
    used[i] = false;
  }
  return false;
}

bool matches_into(const XmlTree& pattern, const XmlTree& actual, Bindings& bindings) {
  if (pattern.name != actual.name || pattern.ns != actual.ns) return false;
  if (!attributes_match(pattern, actual, bindings)) return false;
  std::string text = pattern.text;
  const auto dots = text.find(kEllipsis);
  const bool is_open = dots != std::string::npos;
  if (is_open) text = trimmed(text.erase(dots, kEllipsis.size()));
  if (!is_open && actual.children.size() != pattern.children.size()) return false;
  if (!(is_open && text.empty()) && !value_matches(text, actual.text, bindings)) return false;
  std::vector<bool> used(actual.children.size());
  return children_match(pattern, 0, actual, used, bindings);
}

void print(std::string& out, const XmlTree& tree, std::string_view outer_ns, std::size_t depth) {
  const std::string indent(depth * 2, ' ');
  out += indent + "<" + tree.name;
  if (tree.ns != outer_ns) out += " xmlns='" + tree.ns + "'";
  for (const auto& [name, value] : tree.attributes) out += " " + name + "='" + value + "'";
  if (tree.children.empty() && tree.text.empty()) {
    out += "/>\n";
    return;
  }
  out += ">";
  if (tree.children.empty()) {
    out += tree.text + "</" + tree.name + ">\n";
    return;
  }
  out += "\n";
  if (!tree.text.empty()) out += indent + "  " + tree.text + "\n";
  for (const XmlTree& child : tree.children) print(out, child, tree.ns, depth + 1);
  out += indent + "</" + tree.name + ">\n";
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace

std::optional<XmlTree> parse_xml(std::string_view text, std::string& error) {
  static constexpr std::string_view kOpen =
      "<wrapper xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
  static constexpr std::string_view kClose = "</wrapper>";
  const std::unique_ptr<XML_ParserStruct, decltype(&XML_ParserFree)> parser(
      XML_ParserCreateNS("UTF-8", kSeparator), &XML_ParserFree);
  Builder builder;
  XML_SetUserData(parser.get(), &builder);
  XML_SetElementHandler(parser.get(), &on_start, &on_end);
  XML_SetCharacterDataHandler(parser.get(), &on_text);
  const std::string all = std::string(kOpen).append(text).append(kClose);
  if (XML_Parse(parser.get(), all.data(), static_cast<int>(all.size()), 1) != XML_STATUS_OK) {
    error = XML_ErrorString(XML_GetErrorCode(parser.get()));
    return std::nullopt;
  }
  auto& wrapper = builder.open.front().children.front();
  if (wrapper.children.size() != 1 || !wrapper.text.empty()) {
    error = "exactly one element is expected";
    return std::nullopt;
  }
  return std::move(wrapper.children.front());
}

bool matches(const XmlTree& pattern, const XmlTree& actual, Bindings& bindings) {
  Bindings attempt = bindings;
  if (!matches_into(pattern, actual, attempt)) return false;
  bindings = std::move(attempt);
  return true;
}

std::string pretty(const XmlTree& tree) {
  std::string out;
  print(out, tree, kClientNs, 0);
  return out;
}

std::string diff(const std::string& expected, const std::string& received) {
  const auto left = lines_of(expected);
  const auto right = lines_of(received);
  // The longest common subsequence; stanzas are short.
  std::vector<std::vector<std::size_t>> common(left.size() + 1,
                                               std::vector<std::size_t>(right.size() + 1));
  for (std::size_t i = left.size(); i-- > 0;) {
    for (std::size_t j = right.size(); j-- > 0;) {
      common[i][j] = left[i] == right[j] ? common[i + 1][j + 1] + 1
                                         : std::max(common[i + 1][j], common[i][j + 1]);
    }
  }
  std::string out;
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < left.size() || j < right.size()) {
    if (i < left.size() && j < right.size() && left[i] == right[j]) {
      out.append("    ").append(left[i++]).append("\n");
      ++j;
    } else if (j == right.size() || (i < left.size() && common[i + 1][j] >= common[i][j + 1])) {
      out.append("  - ").append(left[i++]).append("\n");
    } else {
      out.append("  + ").append(right[j++]).append("\n");
    }
  }
  return out;
}

std::string substitute(std::string_view text, const Bindings& bindings) {
  std::string out;
  while (!text.empty()) {
    const auto from = std::min(text.find('{'), text.size());
    out.append(text.substr(0, from));
    text.remove_prefix(from);
    const auto to = text.find('}');
    if (text.empty() || to == std::string_view::npos) break;
    const auto inside = text.substr(1, to - 1);
    const auto star = inside.rfind('*');
    std::size_t count = 0;
    if (const auto known = bindings.find(std::string(inside)); known != bindings.end()) {
      out += known->second;
    } else if (star != std::string_view::npos && star > 0 &&
               std::from_chars(inside.data() + star + 1, inside.data() + inside.size(), count).ec ==
                   std::errc()) {
      for (std::size_t i = 0; i < count; ++i) out.append(inside.substr(0, star));
    } else {
      out.append(text.substr(0, to + 1));
    }
    text.remove_prefix(to + 1);
  }
  return out.append(text);
}

}  // namespace play
