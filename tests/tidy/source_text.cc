// See source_text.h.
#include "tidy/source_text.h"

#include <algorithm>
#include <utility>

namespace tidy {
namespace {

// Walks over C++ and copies each character to the view that it belongs to.
class Splitter {
 public:
  explicit Splitter(SourceText& source) : source_(source), text_(source.text) {
    source.code.assign(text_.size(), ' ');
    source.comments.assign(text_.size(), ' ');
  }

  void run() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (starts_with("//")) {
        take_line_comment();
      } else if (starts_with("/*")) {
        const std::size_t end = text_.find("*/", at_ + 2);
        take(source_.comments, end == std::string_view::npos ? text_.size() : end + 2);
      } else if (c == '"' && at_ > 0 && text_[at_ - 1] == 'R') {
        take_raw_string();
      } else if (c == '"' || (c == '\'' && !is_digit_separator())) {
        take_literal(c);
      } else {
        take(source_.code, at_ + 1);
      }
    }
  }

 private:
  [[nodiscard]] bool starts_with(std::string_view what) const {
    return text_.substr(at_).substr(0, what.size()) == what;
  }
  [[nodiscard]] bool is_digit_separator() const { return at_ > 0 && is_word_char(text_[at_ - 1]); }

  // Copies up to `end` into the view, and line breaks into both.
  void take(std::string& view, std::size_t end) {
    for (; at_ < end; ++at_) {
      view[at_] = text_[at_];
      if (text_[at_] == '\n') source_.code[at_] = source_.comments[at_] = '\n';
    }
  }
  void skip(std::size_t end) {
    for (; at_ < std::min(end, text_.size()); ++at_) {
      if (text_[at_] == '\n') source_.code[at_] = source_.comments[at_] = '\n';
    }
  }

  void take_line_comment() {
    const std::size_t end = text_.find('\n', at_);
    take(source_.comments, end == std::string_view::npos ? text_.size() : end);
  }

  // The quotes stay in the code, so that it is seen that there is something.
  void take_literal(char quote) {
    take(source_.code, at_ + 1);
    while (at_ < text_.size() && text_[at_] != quote && text_[at_] != '\n') {
      skip(at_ + (text_[at_] == '\\' ? 2 : 1));
    }
    if (at_ < text_.size()) take(source_.code, at_ + 1);
  }

  void take_raw_string() {
    const std::size_t open = text_.find('(', at_);
    if (open == std::string_view::npos) return skip(text_.size());
    const std::string closing = ")" + std::string(text_.substr(at_ + 1, open - at_ - 1)) + "\"";
    const std::size_t end = text_.find(closing, open);
    take(source_.code, at_ + 1);
    skip(end == std::string_view::npos ? text_.size() : end + closing.size() - 1);
    if (at_ < text_.size()) take(source_.code, at_ + 1);
  }

  SourceText& source_;
  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

SourceText make_source(std::string path, std::string text) {
  SourceText source{std::move(path), std::move(text), {}, {}};
  Splitter(source).run();
  return source;
}

SourceText make_plain(std::string path, std::string text) {
  SourceText source{std::move(path), std::move(text), {}, {}};
  source.code = source.comments = source.text;
  return source;
}

std::string without_preprocessor(const SourceText& source) {
  std::string code = source.code;
  bool is_continued = false;
  std::size_t start = 0;
  for (const std::string_view line : split_lines(source.code)) {
    const std::string_view content = trimmed(line);
    const bool is_directive = is_continued || content.starts_with('#');
    is_continued = is_directive && content.ends_with('\\');
    if (is_directive) {
      std::fill_n(code.begin() + static_cast<std::ptrdiff_t>(start), line.size(), ' ');
    }
    start += line.size() + 1;
  }
  return code;
}

std::size_t line_of(std::string_view text, std::size_t position) {
  const std::string_view before = text.substr(0, position);
  return 1 + static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return lines;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

bool is_word_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

std::size_t find_word(std::string_view text, std::string_view word, std::size_t from) {
  for (std::size_t at = text.find(word, from); at != std::string_view::npos;
       at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    const bool starts = at == 0 || !is_word_char(text[at - 1]) || !is_word_char(word.front());
    const bool ends = end == text.size() || !is_word_char(text[end]) || !is_word_char(word.back());
    if (starts && ends) return at;
  }
  return std::string_view::npos;
}

std::size_t find_closing(std::string_view code, std::size_t open) {
  const char opening = code[open];
  const char closing = opening == '(' ? ')' : opening == '[' ? ']' : '}';
  std::size_t depth = 0;
  for (std::size_t at = open; at < code.size(); ++at) {
    if (code[at] == opening) ++depth;
    if (code[at] == closing && --depth == 0) return at;
  }
  return std::string_view::npos;
}

}  // namespace tidy
