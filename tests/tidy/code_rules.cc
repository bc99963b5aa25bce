// Rules that count brackets: the length of functions, and where co_await may stand.
#include <algorithm>
#include <array>
#include <optional>
#include <regex>

#include "tidy/rules.h"

namespace tidy {
namespace {

constexpr std::size_t kFunctionLinesMax = 70;
constexpr std::array<std::string_view, 3> kCoroutineWords = {"co_await", "co_return", "co_yield"};

struct Block {
  std::size_t open;    // position of {
  std::size_t header;  // where the statement that opens it starts
};

// What stands before a block: from the end of the previous statement to the brace.
std::string_view header_of(std::string_view code, const Block& block) {
  return trimmed(code.substr(block.header, block.open - block.header));
}

// Without "template <class T, ...>".
std::string_view without_template(std::string_view header) {
  while (header.starts_with("template")) {
    std::size_t depth = 0;
    std::size_t at = header.find('<');
    for (; at < header.size(); ++at) {
      if (header[at] == '<') ++depth;
      if (header[at] == '>' && --depth == 0) break;
    }
    if (at >= header.size()) return header;
    header = trimmed(header.substr(at + 1));
  }
  return header;
}

// Whether a block with this header holds declarations: a namespace or a type.
bool is_scope(std::string_view whole_header) {
  const std::string_view header = without_template(whole_header);
  for (const std::string_view word : {"namespace", "class", "struct", "union", "enum", "extern"}) {
    // "struct X* f() {" is a function.
    if (find_word(header, word) != std::string_view::npos && !header.ends_with(')')) return true;
  }
  return false;
}

std::string_view function_name(std::string_view header) {
  const std::size_t paren = header.find('(');
  std::size_t start = paren;
  while (start > 0 && (is_word_char(header[start - 1]) || header[start - 1] == ':')) --start;
  return header.substr(start, paren - start);
}

struct Lambda {
  std::size_t start;
  std::size_t open;
  std::size_t close;
  bool is_capturing;
};

// The lambda whose introducer stands at `at`, if it is one: not a subscript, not an attribute.
std::optional<Lambda> lambda_at(std::string_view code, std::size_t at) {
  const std::string_view before = trimmed(code.substr(0, at));
  if (!before.empty()) {
    const char last = before.back();
    if (last == ')' || last == ']' || last == '[') return std::nullopt;
    if (is_word_char(last) && !before.ends_with("return")) return std::nullopt;
  }
  if (code.substr(at).starts_with("[[")) return std::nullopt;
  const std::size_t bracket = find_closing(code, at);
  if (bracket == std::string_view::npos) return std::nullopt;
  std::size_t next = code.find_first_not_of(" \t\n", bracket + 1);
  if (next != std::string_view::npos && code[next] == '(') {
    next = find_closing(code, next);
    if (next == std::string_view::npos) return std::nullopt;
    next = code.find_first_of("{;", next);
  }
  if (next == std::string_view::npos || code[next] != '{') return std::nullopt;
  const std::size_t close = find_closing(code, next);
  if (close == std::string_view::npos) return std::nullopt;
  return Lambda{at, next, close, !trimmed(code.substr(at + 1, bracket - at - 1)).empty()};
}

std::vector<Lambda> find_lambdas(std::string_view code) {
  std::vector<Lambda> all;
  for (std::size_t at = code.find('['); at != std::string_view::npos; at = code.find('[', at + 1)) {
    if (auto lambda = lambda_at(code, at)) all.push_back(*lambda);
  }
  return all;
}

// Rule 1: no coroutine that is a capturing lambda.
void check_lambdas(const SourceText& source, std::string_view code, Violations& found) {
  const auto lambdas = find_lambdas(code);
  for (const std::string_view word : kCoroutineWords) {
    for (std::size_t at = find_word(code, word); at != std::string_view::npos;
         at = find_word(code, word, at + 1)) {
      const Lambda* innermost = nullptr;
      for (const Lambda& lambda : lambdas) {
        if (lambda.open < at && at < lambda.close) innermost = &lambda;
      }
      if (innermost == nullptr || !innermost->is_capturing) continue;
      found.push_back({source.path, line_of(code, at), "coroutine rule 1",
                       "a capturing lambda is no coroutine; make it a named function"});
    }
  }
}

// Rule 2, as far as it shows: parameters that look at something of the caller's.
void check_parameters(const SourceText& source, std::string_view code, Violations& found) {
  static const std::regex declaration(R"(\bTask<[^;{}()]*>\s+[\w:]+\s*\()");
  const std::string text(code);
  for (std::sregex_iterator it(text.begin(), text.end(), declaration), end; it != end; ++it) {
    const std::size_t open = static_cast<std::size_t>(it->position() + it->length()) - 1;
    const std::size_t close = find_closing(code, open);
    if (close == std::string_view::npos) continue;
    const std::string_view parameters = code.substr(open, close - open);
    const bool is_view = find_word(parameters, "string_view") != std::string_view::npos ||
                         parameters.find("std::span<") != std::string_view::npos ||
                         parameters.find("&&") != std::string_view::npos;
    static const std::regex constant(R"(\bconst\s+[\w:<>]+\s*&)");
    if (!is_view && !std::regex_search(parameters.begin(), parameters.end(), constant)) continue;
    found.push_back({source.path, line_of(code, open), "coroutine rule 2",
                     "take parameters by value, or by reference to the owner of the task"});
  }
}

std::size_t statement_start(std::string_view code, std::size_t at) {
  const std::size_t before = code.find_last_of(";{}", at);
  std::size_t start = before == std::string_view::npos ? 0 : before + 1;
  static const std::regex label(
      R"(^\s*(case\b[^:]*(::[^:]*)*|default|public|private|protected):(?!:))");
  std::cmatch match;
  if (std::regex_search(code.data() + start, code.data() + at, match, label)) {
    start += static_cast<std::size_t>(match.length());
  }
  return start;
}

// Whether the brace at `open` starts an initialiser: "= {", "f({", "Type{". A block follows a
// bracket, a keyword, or the end of a statement.
bool is_initialiser(std::string_view code, std::size_t open) {
  const std::string_view before = trimmed(code.substr(0, open));
  if (before.empty()) return false;
  for (const std::string_view word :
       {"else", "do", "try", "const", "noexcept", "override", "mutable"}) {
    if (before.ends_with(word)) return false;
  }
  const char last = before.back();
  return last == '=' || last == '(' || last == ',' || is_word_char(last);
}

// The end of the statement that `at` stands in: the next semicolon outside brackets.
std::size_t statement_end(std::string_view code, std::size_t at) {
  int depth = 0;
  for (; at < code.size(); ++at) {
    const char c = code[at];
    if (c == '(' || c == '{' || c == '[') ++depth;
    if (c == ')' || c == '}' || c == ']') --depth;
    if (depth <= 0 && c == ';') return at;
  }
  return code.size();
}

// Rules 3 to 5: the words before and behind one co_await.
void check_await(const SourceText& source, std::string_view code, std::size_t at,
                 Violations& found) {
  const auto report = [&](const char* rule, const char* advice) {
    found.push_back({source.path, line_of(code, at), rule, advice});
  };
  static const std::regex local(R"((const\s+)?[\w:]+(<[^;=()]*>)?\s*[&*]*\s+[&*]*\w+\s*=)");
  static const std::regex binding(R"(\bauto\s*(const)?\s*&{0,2}\s*\[[^\]]*\]\s*=)");
  const std::size_t start = statement_start(code, at);
  const std::string before(trimmed(code.substr(start, at - start)));
  const std::string_view behind = code.substr(at, statement_end(code, at) - at);
  const bool is_in_braces = start > 0 && code[start - 1] == '{' && is_initialiser(code, start - 1);
  if (is_in_braces) {
    report("coroutine rule 4", "no co_await in an initialiser list; await into a variable first");
  } else if (std::regex_search(before, binding)) {
    report("coroutine rule 5", "await into a variable first, then take it apart");
  } else if (!before.empty() && before != "(void)" && !std::regex_match(before, local)) {
    report("coroutine rules 3 and 4",
           "co_await is a whole statement or the sole initialiser of a local");
  }
  if (behind.find('{') != std::string_view::npos) {
    report("coroutine rule 3",
           "no lambda, aggregate or braces in an awaited expression (GCC 12 destroys them twice); "
           "make the task in a statement of its own");
  }
  if (find_word(behind.substr(8), "co_await") != std::string_view::npos ||
      behind.find('?') != std::string_view::npos || behind.find("||") != std::string_view::npos ||
      behind.find("&&") != std::string_view::npos) {
    report("coroutine rule 4", "no ?:, && or || around co_await; use statements");
  }
}

// Rule 4: what waits may not stand in a handler.
void check_catch(const SourceText& source, std::string_view code, Violations& found) {
  for (std::size_t at = find_word(code, "catch"); at != std::string_view::npos;
       at = find_word(code, "catch", at + 1)) {
    const std::size_t open = code.find('{', at);
    if (open == std::string_view::npos) return;
    const std::size_t close = find_closing(code, open);
    const std::size_t await = find_word(code, "co_await", open);
    if (await == std::string_view::npos || await > close) continue;
    found.push_back({source.path, line_of(code, await), "coroutine rule 4",
                     "no co_await in catch; note the failure and go on behind it"});
  }
}

}  // namespace

Violations check_function_length(const SourceText& source, std::span<const LongFunction> allowed) {
  Violations found;
  const std::string code = without_preprocessor(source);
  std::vector<Block> open;  // the scopes around; functions are skipped as a whole
  std::size_t start = 0;    // of the statement
  for (std::size_t at = 0; at < code.size(); ++at) {
    if (code[at] == ';') start = at + 1;
    if (code[at] == '}') {
      if (!open.empty()) open.pop_back();
      start = at + 1;
    }
    if (code[at] != '{') continue;
    const Block block{at, start};
    const std::string_view header = header_of(code, block);
    const std::size_t close = find_closing(code, at);
    if (close == std::string_view::npos) break;
    const bool is_function =
        header.find('(') != std::string_view::npos && !is_scope(header) && !header.ends_with('=');
    if (!is_function && is_scope(header)) {
      open.push_back(block);
      start = at + 1;
      continue;
    }
    // A braced member initialiser ends in a name, the body does not: "X() : a_{1} {".
    if (is_function) {
      const std::size_t first = line_of(code, block.open - (header.size() - header.find('(')));
      const std::size_t lines = line_of(code, close) - first + 1;
      const std::string_view name = function_name(header);
      const bool is_allowed =
          std::any_of(allowed.begin(), allowed.end(), [&](const LongFunction& entry) {
            return entry.path == source.path && entry.name == name && !entry.reason.empty();
          });
      if (lines > kFunctionLinesMax && !is_allowed) {
        found.push_back({source.path, first,
                         std::string(name) + " of " + std::to_string(lines) + " lines",
                         "split it; 70 is the most"});
      }
    }
    at = close;
    if (code.find_first_not_of(" \t\n", close + 1) == std::string::npos) break;
    const char next = code[code.find_first_not_of(" \t\n", close + 1)];
    if (next != ',' && next != '{' && next != ';' && next != ')') start = close + 1;
  }
  return found;
}

Violations check_coroutines(const SourceText& source) {
  Violations found;
  const bool has_await = find_word(source.code, "co_await") != std::string_view::npos;
  const bool has_other = find_word(source.code, "co_return") != std::string_view::npos;
  if (!has_await && !has_other && source.code.find("Task<") == std::string::npos) return found;
  const std::string code = without_preprocessor(source);
  check_lambdas(source, code, found);
  check_parameters(source, code, found);
  for (std::size_t at = find_word(code, "co_await"); at != std::string::npos;
       at = find_word(code, "co_await", at + 1)) {
    if (trimmed(std::string_view(code).substr(0, at)).ends_with("operator")) continue;
    check_await(source, code, at, found);
  }
  check_catch(source, code, found);
  return found;
}

}  // namespace tidy
