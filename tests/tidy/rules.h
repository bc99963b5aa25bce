// The conventions of docs/style.md as functions from text to violations; tidy_test.cc applies them
// to the project, rules_test.cc proves on small texts that each of them can fail.
//
// They read text, not a syntax tree: a rule sees what its regular layout shows (clang-format
// governs) and prefers to miss an oddity over refusing good code.
//
// Thread-safety: pure functions.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tidy/source_text.h"

namespace tidy {

struct Violation {
  std::string path;
  std::size_t line = 0;
  std::string rule;
  std::string advice;  // what to do
};
using Violations = std::vector<Violation>;
// "path:line: rule: advice"
[[nodiscard]] std::string to_string(const Violation& violation);

// include_rules.cc: which file may include what, by docs/style.md "Dependencies".
[[nodiscard]] Violations check_includes(const SourceText& source);

// text_rules.cc
[[nodiscard]] Violations check_line_length(const SourceText& source);
[[nodiscard]] Violations check_file_size(const SourceText& source);
[[nodiscard]] Violations check_tags(const SourceText& source);
[[nodiscard]] Violations check_machine_names(const SourceText& source);
[[nodiscard]] Violations check_header_form(const SourceText& source);
[[nodiscard]] Violations check_using_namespace(const SourceText& source);
[[nodiscard]] Violations check_sleep(const SourceText& source);
[[nodiscard]] Violations check_keyed_hash(const SourceText& source);
[[nodiscard]] Violations check_hot_path(const SourceText& source);
[[nodiscard]] Violations check_core_knows_no_xep(const SourceText& source);
[[nodiscard]] Violations check_links(const SourceText& source,
                                     std::span<const std::string> project_files);
[[nodiscard]] Violations check_executable(std::string_view path, std::string_view text,
                                          bool is_executable);
[[nodiscard]] Violations check_dead_headers(std::span<const SourceText> sources);

// code_rules.cc: by counting brackets.
struct LongFunction {
  std::string_view path;
  std::string_view name;
  std::string_view reason;
};
[[nodiscard]] Violations check_function_length(const SourceText& source,
                                               std::span<const LongFunction> allowed);
[[nodiscard]] Violations check_coroutines(const SourceText& source);

// declaration_rules.cc: what must be said where something is declared.
[[nodiscard]] Violations check_hooks_documented(const SourceText& source);
[[nodiscard]] Violations check_specification_marker(const SourceText& source);
[[nodiscard]] Violations check_limits_documented(const SourceText& source);
[[nodiscard]] Violations check_options_documented(const SourceText& source);

// Whether the rules for C++ apply.
[[nodiscard]] bool is_cpp(std::string_view path);

}  // namespace tidy
