// A file as the rules see it: its text, and two views of equal length in which either everything
// but the code or everything but the comments is blank. Positions mean the same in all three.
//
// Thread-safety: values.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tidy {

struct SourceText {
  std::string path;  // relative to the project, with slashes
  std::string text;
  std::string code;      // comments and what stands in literals blank; line breaks kept
  std::string comments;  // everything but comments blank; line breaks kept
};

// Splits C++ (comments, literals, raw strings). Other languages are text only: see make_plain().
[[nodiscard]] SourceText make_source(std::string path, std::string text);

// Everything counts as code and as comment.
[[nodiscard]] SourceText make_plain(std::string path, std::string text);

// The code without preprocessor lines, for rules that count braces.
[[nodiscard]] std::string without_preprocessor(const SourceText& source);

[[nodiscard]] std::size_t line_of(std::string_view text, std::size_t position);
[[nodiscard]] std::vector<std::string_view> split_lines(std::string_view text);
[[nodiscard]] std::string_view trimmed(std::string_view text);
[[nodiscard]] bool is_word_char(char c);

// The next whole word at or after `from`, npos if there is none.
[[nodiscard]] std::size_t find_word(std::string_view text, std::string_view word,
                                    std::size_t from = 0);

// The position of the bracket that closes the one at `open`, npos if there is none.
[[nodiscard]] std::size_t find_closing(std::string_view code, std::size_t open);

}  // namespace tidy
