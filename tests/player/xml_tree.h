// XmlTree: a stanza as a plain tree, parsed by Expat, so that the player does not judge the
// project's parser by itself; patterns, matching, and the diff that a failure shows.
//
// A pattern is a stanza in which
//   an attribute that is not named may have any value, or be absent; attr='{none}' must be absent;
//   '*' or '{any}' as the value of an attribute or as text matches anything;
//   {name} matches anything and remembers it; where the name is known already it must be the same;
//   children may come in any order, and all must be named unless `...` stands among them.
//
// Thread-safety: plain data.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace play {

struct XmlTree {
  std::string name;  // without prefix
  std::string ns;
  std::map<std::string, std::string> attributes;  // "lang" of xml: as "xml:lang"
  std::vector<XmlTree> children;
  std::string text;  // directly inside, white space trimmed
};

// One element; the default namespace is jabber:client, `stream:` and `xml:` are known. On failure
// `error` says why.
[[nodiscard]] std::optional<XmlTree> parse_xml(std::string_view text, std::string& error);

using Bindings = std::map<std::string, std::string>;
// Adds to `bindings` only if it matches.
[[nodiscard]] bool matches(const XmlTree& pattern, const XmlTree& actual, Bindings& bindings);

// Indented, one attribute list a line, namespaces where they change.
[[nodiscard]] std::string pretty(const XmlTree& tree);
// Lines of both: "  " in both, "- " expected only, "+ " received only.
[[nodiscard]] std::string diff(const std::string& expected, const std::string& received);

// Replaces {name} by what is bound and {x*3} by "xxx"; leaves other braces alone.
[[nodiscard]] std::string substitute(std::string_view text, const Bindings& bindings);

}  // namespace play
