// Rules for declarations that documentation is made from: hooks, specifications, limits, options.
#include <algorithm>
#include <regex>

#include "tidy/rules.h"

namespace tidy {
namespace {

// The comment lines directly above a line, joined.
std::string comment_above(const std::vector<std::string_view>& lines, std::size_t index) {
  std::string comment;
  while (index > 0 && trimmed(lines[index - 1]).starts_with("//")) {
    comment.insert(0, std::string(trimmed(lines[index - 1]).substr(2)) + " ");
    --index;
  }
  return comment;
}

// The string literals of a text, adjacent ones joined, e.g. the arguments of a macro.
std::string last_text(const std::string& arguments) {
  static const std::regex literal(R"re("((?:[^"\\]|\\.)*)")re");
  std::string last;
  std::size_t end_of_last = 0;
  for (std::sregex_iterator it(arguments.begin(), arguments.end(), literal), end; it != end; ++it) {
    const auto at = static_cast<std::size_t>(it->position());
    const std::string between = arguments.substr(end_of_last, at - end_of_last);
    const bool is_joined =
        end_of_last > 0 && between.find_first_not_of(" \t\n\\") == std::string::npos;
    last = is_joined ? last + (*it)[1].str() : (*it)[1].str();
    end_of_last = at + static_cast<std::size_t>(it->length());
  }
  // Something behind the last literal that is no bracket: then it was not the last argument.
  return arguments.find_first_not_of(" \t\n\\)}", end_of_last) == std::string::npos ? last : "";
}

void check_help(const SourceText& source, std::size_t line, const std::string& name,
                const std::string& help, Violations& found) {
  if (help.size() > 10 && help.ends_with('.')) return;
  found.push_back({source.path, line, name + " without documentation",
                   "its last argument is a sentence that says what it does"});
}

}  // namespace

Violations check_hooks_documented(const SourceText& source) {
  static const std::regex structure(R"(^struct (\w+)( final)?( : StanzaHook)? \{)");
  Violations found;
  const auto lines = split_lines(source.text);
  std::vector<std::string> declared;
  for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
    std::cmatch match;
    if (!std::regex_search(lines[i].data(), lines[i].data() + lines[i].size(), match, structure)) {
      continue;
    }
    if (lines[i + 1].find("kName") == std::string_view::npos) continue;
    declared.push_back(match[1]);
    const std::string contract = comment_above(lines, i);
    if (contract.empty()) {
      found.push_back(
          {source.path, i + 1, "hook " + match[1].str() + " without contract",
           "say when and on which worker it is fired, what may change, what a stop means"});
    } else if (contract.find("Verdicts") == std::string::npos &&
               contract.find("obody stops") == std::string::npos) {
      found.push_back({source.path, i + 1, "hook " + match[1].str() + " with half a contract",
                       "say what happens if nobody stops it, or that verdicts mean nothing"});
    }
  }
  static const std::regex listed(R"(\bX\((\w+)\))");
  std::vector<std::string> table;
  for (std::sregex_iterator it(source.text.begin(), source.text.end(), listed), end; it != end;
       ++it) {
    table.push_back((*it)[1]);
  }
  for (const std::string& name : declared) {
    if (std::find(table.begin(), table.end(), name) != table.end()) continue;
    found.push_back(
        {source.path, 1, "hook " + name + " that is in no table", "add it to XMPPD_FOR_EACH_HOOK"});
  }
  for (const std::string& name : table) {
    if (std::find(declared.begin(), declared.end(), name) != declared.end()) continue;
    found.push_back({source.path, 1, "hook " + name + " without declaration",
                     "declare it with kName, documented"});
  }
  return found;
}

Violations check_specification_marker(const SourceText& source) {
  const bool is_codec =
      source.path.starts_with("libxmpp/include/xmpp/xep/") && source.path.ends_with(".h");
  const bool is_module = source.path.starts_with("xmppd/modules/") &&
                         source.path.ends_with(".cc") &&
                         find_word(source.code, "XMPPD_MODULE") != std::string_view::npos;
  if (!is_codec && !is_module) return {};
  static const std::regex marker(
      R"(^// (XEP-(\d{4}) \d[\w.]*|RFC \d{4}( \d[\d.]*)?) (complete|partial: \S.*)$)");
  const auto lines = split_lines(source.text);
  const std::string first = lines.empty() ? std::string() : std::string(lines.front());
  std::smatch match;
  if (!std::regex_match(first, match, marker)) {
    return {{source.path, 1, "file without specification",
             "start with \"// XEP-nnnn version complete\" or \"... partial: what is missing\""}};
  }
  static const std::regex manifest(R"re(\.xep\s*=\s*"([^"]*)")re");
  std::smatch declared;
  if (!is_module || !std::regex_search(source.text, declared, manifest)) return {};
  const std::string named = match[2].matched ? match[2].str() : match[1].str().substr(0, 8);
  if (declared[1] == named) return {};
  return {{source.path, line_of(source.text, static_cast<std::size_t>(declared.position())),
           "module of two specifications",
           "the first line says " + named + ", .xep says " + declared[1].str()}};
}

Violations check_limits_documented(const SourceText& source) {
  static const std::regex row(R"(\b(COUNT|BYTES|TIME)\((\w+),)");
  Violations found;
  const std::size_t table = source.code.find("#define XMPPD_LIMITS(");
  if (table == std::string::npos) {
    return {{source.path, 1, "no table of limits", "declare them in XMPPD_LIMITS"}};
  }
  const auto begin = source.text.begin() + static_cast<std::ptrdiff_t>(table);
  for (std::sregex_iterator it(begin, source.text.end(), row), end; it != end; ++it) {
    const std::size_t at = table + static_cast<std::size_t>(it->position());
    const std::size_t open = source.code.find('(', at);
    const std::size_t close = find_closing(source.code, open);
    check_help(source, line_of(source.text, at), "limit " + (*it)[2].str(),
               last_text(source.text.substr(open + 1, close - open - 1)), found);
  }
  return found;
}

Violations check_options_documented(const SourceText& source) {
  static const std::regex option(R"(\bOption<[\w:]+>\s+(\w+)\{)");
  Violations found;
  if (source.code.find("Option<") == std::string::npos) return found;
  for (std::sregex_iterator it(source.code.begin(), source.code.end(), option), end; it != end;
       ++it) {
    const auto at = static_cast<std::size_t>(it->position());
    const std::size_t open = at + static_cast<std::size_t>(it->length()) - 1;
    const std::size_t close = find_closing(source.code, open);
    check_help(source, line_of(source.text, at), "option " + (*it)[1].str(),
               last_text(source.text.substr(open + 1, close - open - 1)), found);
  }
  return found;
}

}  // namespace tidy
