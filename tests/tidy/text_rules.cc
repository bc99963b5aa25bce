// Rules that look at lines and words.
#include <algorithm>
#include <array>
#include <filesystem>
#include <regex>
#include <set>

#include "tidy/rules.h"

namespace tidy {
namespace {

constexpr std::size_t kColumnsMax = 100;
constexpr std::size_t kFileLinesMax = 600;
constexpr std::size_t kFileLinesRefused = 900;

// Where stanzas pass: no type erasure that allocates, no shared counts.
constexpr std::array<std::string_view, 14> kHotPath = {"libxmpp/include/xmpp/xml/",
                                                       "libxmpp/src/xml/",
                                                       "libxmpp/include/xmpp/core/",
                                                       "libxmpp/src/core/",
                                                       "libxmpp/include/xmpp/base/bytes",
                                                       "libxmpp/src/base/bytes",
                                                       "libxmpp/include/xmpp/net/mailbox.h",
                                                       "libxmpp/src/net/mailbox.cc",
                                                       "xmppd/include/xmppd/hooks.h",
                                                       "xmppd/include/xmppd/session.h",
                                                       "xmppd/include/xmppd/account.h",
                                                       "xmppd/core/hook_table",
                                                       "xmppd/core/session.cc",
                                                       "xmppd/core/outbox.h"};

// The text of the comment that a file starts with; empty if it starts with code.
std::string_view file_comment(std::string_view text) {
  std::size_t end = 0;
  while (text.substr(end).starts_with("//") || text.substr(end).starts_with("#")) {
    if (text.substr(end).starts_with("#pragma") || text.substr(end).starts_with("#include")) break;
    const std::size_t next = text.find('\n', end);
    if (next == std::string_view::npos) return text;
    end = next + 1;
  }
  return text.substr(0, end);
}

std::size_t count_columns(std::string_view line) {
  return static_cast<std::size_t>(std::count_if(line.begin(), line.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

void find_words(const SourceText& source, std::string_view view, std::string_view word,
                const std::string& rule, const std::string& advice, Violations& found) {
  for (std::size_t at = find_word(view, word); at != std::string_view::npos;
       at = find_word(view, word, at + 1)) {
    found.push_back({source.path, line_of(view, at), rule, advice});
  }
}

}  // namespace

std::string to_string(const Violation& violation) {
  return violation.path + ":" + std::to_string(violation.line) + ": " + violation.rule + ": " +
         violation.advice;
}

bool is_cpp(std::string_view path) {
  return path.ends_with(".h") || path.ends_with(".cc") || path.ends_with(".c") ||
         path.ends_with(".def");
}

Violations check_line_length(const SourceText& source) {
  Violations found;
  std::size_t number = 0;
  for (const std::string_view line : split_lines(source.text)) {
    ++number;
    const std::size_t columns = count_columns(line);
    if (columns <= kColumnsMax) continue;
    found.push_back({source.path, number, "line of " + std::to_string(columns) + " columns",
                     "break it at 100; scripts/format does it for C++"});
  }
  return found;
}

Violations check_file_size(const SourceText& source) {
  const std::size_t lines = split_lines(source.text).size();
  const std::string rule = "file of " + std::to_string(lines) + " lines";
  if (lines > kFileLinesRefused) return {{source.path, lines, rule, "split it; 900 is the most"}};
  if (lines <= kFileLinesMax) return {};
  if (file_comment(source.text).find("Length: ") != std::string_view::npos) return {};
  return {{source.path, lines, rule,
           "split it, or say in the file comment why it is one piece (\"Length: reason\")"}};
}

Violations check_tags(const SourceText& source) {
  Violations found;
  for (const std::string_view word : {"FIXME", "XXX", "HACK"}) {
    find_words(source, source.comments, word, "tag " + std::string(word),
               "do it, or open an issue and write TODO(#issue)", found);
  }
  static const std::regex todo(R"(\bTODO\b(?!\(#\d+\)))");
  static const std::regex compat(R"(\bCOMPAT\b(?!\([^)\n]))");
  const auto find_all = [&](const std::regex& pattern, const char* rule, const char* advice) {
    for (std::sregex_iterator it(source.comments.begin(), source.comments.end(), pattern), end;
         it != end; ++it) {
      found.push_back({source.path,
                       line_of(source.comments, static_cast<std::size_t>(it->position())), rule,
                       advice});
    }
  };
  if (source.comments.find("TODO") != std::string::npos) {
    find_all(todo, "TODO without issue", "write TODO(#issue)");
  }
  if (source.comments.find("COMPAT") != std::string::npos) {
    find_all(compat, "COMPAT without reason", "write COMPAT(client or date)");
  }
  return found;
}

Violations check_machine_names(const SourceText& source) {
  static const std::regex path(R"((^|[^\w.])/(home|root|work|Users)/\w)");
  static const std::regex host(
      R"(https?://[\w.-]*(registry|pypi|artifact|nexus|mirror|proxy)[\w-]*\.\w)");
  Violations found;
  std::size_t number = 0;
  for (const std::string_view line : split_lines(source.text)) {
    ++number;
    if (line.find('/') == std::string_view::npos || line.size() > 4'000) continue;
    if (std::regex_search(line.begin(), line.end(), path)) {
      found.push_back(
          {source.path, number, "path of one machine", "make it relative or an argument"});
    }
    if (std::regex_search(line.begin(), line.end(), host)) {
      found.push_back({source.path, number, "host of a package registry",
                       "leave it to the configuration of the machine"});
    }
  }
  return found;
}

Violations check_header_form(const SourceText& source) {
  if (!source.path.ends_with(".h")) return {};
  Violations found;
  if (trimmed(file_comment(source.text)).size() < 5) {
    found.push_back({source.path, 1, "header without file comment",
                     "start with its purpose, \"Thread-safety:\", \"Invariants:\""});
  }
  if (source.code.find("#pragma once") == std::string::npos) {
    found.push_back(
        {source.path, 1, "header without #pragma once", "add it after the file comment"});
  }
  return found;
}

Violations check_using_namespace(const SourceText& source) {
  Violations found;
  if (!source.path.ends_with(".h")) return found;
  // At the start of a line it holds for whoever includes the header; inside a function it does not.
  for (std::size_t at = source.code.find("using namespace"); at != std::string::npos;
       at = source.code.find("using namespace", at + 1)) {
    if (at > 0 && source.code[at - 1] != '\n') continue;
    found.push_back({source.path, line_of(source.code, at), "using namespace in a header",
                     "name what is used"});
  }
  return found;
}

Violations check_sleep(const SourceText& source) {
  Violations found;
  if (!source.path.starts_with("tests/unit/")) return found;
  for (const std::string_view word : {"sleep_for", "sleep_until", "usleep", "nanosleep", "sleep"}) {
    find_words(source, source.code, word, "sleep in a unit test",
               "advance virtual time, or wait for the event itself", found);
  }
  return found;
}

// Whoever knows the hash can choose keys that all fall into one bucket.
Violations check_keyed_hash(const SourceText& source) {
  Violations found;
  if (!source.path.starts_with("xmppd/") && !source.path.starts_with("libxmpp/")) return found;
  static const std::regex table(R"(\bunordered_(map|set)<std::string\b)");
  for (std::sregex_iterator it(source.code.begin(), source.code.end(), table), end; it != end;
       ++it) {
    const auto at = static_cast<std::size_t>(it->position());
    const std::string_view declaration =
        std::string_view(source.code).substr(at, source.code.find(';', at) - at);
    if (declaration.find("KeyedHash") != std::string_view::npos) continue;
    found.push_back({source.path, line_of(source.code, at), "table with a hash that is known",
                     "give it xmpp::KeyedHash and std::equal_to<>"});
  }
  return found;
}

Violations check_hot_path(const SourceText& source) {
  Violations found;
  if (std::none_of(kHotPath.begin(), kHotPath.end(),
                   [&](std::string_view prefix) { return source.path.starts_with(prefix); })) {
    return found;
  }
  for (const std::string_view word : {"std::function", "std::shared_ptr", "std::make_shared"}) {
    find_words(source, source.code, word, std::string(word) + " on the hot path",
               "use a plain function pointer, an interface, or one owner", found);
  }
  return found;
}

Violations check_core_knows_no_xep(const SourceText& source) {
  Violations found;
  if (!source.path.starts_with("xmppd/core/")) return found;
  static const std::regex number(R"(XEP-\d{4}|include [<"]xmpp/xep/)");
  for (std::sregex_iterator it(source.text.begin(), source.text.end(), number), end; it != end;
       ++it) {
    found.push_back({source.path, line_of(source.text, static_cast<std::size_t>(it->position())),
                     "the core names an extension",
                     "the core moves stanzas; what they mean belongs into a module"});
  }
  return found;
}

Violations check_links(const SourceText& source, std::span<const std::string> project_files) {
  namespace fs = std::filesystem;
  static const std::regex markdown(R"(\]\(([^)\s#]+)[^)\s]*\))");
  static const std::regex mention(R"(\bdocs/[\w/-]+\.md\b)");
  const auto exists = [&](const std::string& path) {
    return std::any_of(project_files.begin(), project_files.end(), [&](const std::string& file) {
      return file == path || file.starts_with(path.ends_with('/') ? path : path + "/");
    });
  };
  Violations found;
  const auto report = [&](const std::smatch& match, const std::string& target) {
    found.push_back({source.path, line_of(source.text, static_cast<std::size_t>(match.position())),
                     "dead link " + target, "correct it or write the page"});
  };
  if (source.path.ends_with(".md")) {
    for (std::sregex_iterator it(source.text.begin(), source.text.end(), markdown), end; it != end;
         ++it) {
      const std::string target = (*it)[1];
      if (target.find("://") != std::string::npos || target.starts_with("mailto:")) continue;
      const fs::path full = (fs::path(source.path).parent_path() / target).lexically_normal();
      if (!exists(full.generic_string())) report(*it, target);
    }
    return found;
  }
  if (source.comments.find("docs/") == std::string::npos) return found;
  for (std::sregex_iterator it(source.comments.begin(), source.comments.end(), mention), end;
       it != end; ++it) {
    if (!exists(it->str())) report(*it, it->str());
  }
  return found;
}

Violations check_executable(std::string_view path, std::string_view text, bool is_executable) {
  const bool is_script = text.starts_with("#!");
  const bool has_extension = path.substr(path.rfind('/') + 1).find('.') != std::string_view::npos;
  if (is_script && !is_executable) {
    return {{std::string(path), 1, "script without the executable bit", "chmod +x"}};
  }
  if (!is_script && path.starts_with("scripts/") && !has_extension) {
    return {{std::string(path), 1, "script without #!", "start it with #!/usr/bin/env bash"}};
  }
  return {};
}

Violations check_dead_headers(std::span<const SourceText> sources) {
  static const std::regex include(R"re(#\s*include\s*["<]([^">]+)[">])re");
  std::set<std::string> included;  // last components
  for (const SourceText& source : sources) {
    for (std::sregex_iterator it(source.text.begin(), source.text.end(), include), end; it != end;
         ++it) {
      included.insert(std::filesystem::path((*it)[1].str()).filename().string());
    }
  }
  Violations found;
  for (const SourceText& source : sources) {
    // Public headers are for others.
    if (!source.path.ends_with(".h") || source.path.find("/include/") != std::string::npos)
      continue;
    if (included.contains(std::filesystem::path(source.path).filename().string())) continue;
    found.push_back({source.path, 1, "header that nobody includes", "use it or remove it"});
  }
  return found;
}

}  // namespace tidy
