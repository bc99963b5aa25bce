// The XML declaration, taken apart by hand: version, encoding, standalone, in that order.
//
// Thread-safety: any thread.
#include "xml/prolog.h"

#include <algorithm>
#include <optional>

namespace xmpp::xml {
namespace {

constexpr std::string_view kMark = "\xEF\xBB\xBF";
constexpr std::string_view kOpening = "<?xml";

// The next ` name = "value"` of a declaration.
struct Cursor {
  std::string_view rest;

  bool skip_space() noexcept {
    const std::size_t before = rest.size();
    while (!rest.empty() && has_class(rest.front(), kSpace)) rest.remove_prefix(1);
    return rest.size() != before;
  }

  // The value of pseudo-attribute `name`, if it is what comes next.
  std::optional<std::string_view> take(std::string_view name) noexcept {
    Cursor ahead = *this;
    if (!ahead.skip_space() || !ahead.rest.starts_with(name)) return std::nullopt;
    ahead.rest.remove_prefix(name.size());
    ahead.skip_space();
    if (!ahead.rest.starts_with('=')) return std::nullopt;
    ahead.rest.remove_prefix(1);
    ahead.skip_space();
    if (ahead.rest.empty()) return std::nullopt;
    const char quote = ahead.rest.front();
    if (quote != '"' && quote != '\'') return std::nullopt;
    const std::size_t end = ahead.rest.find(quote, 1);
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view value = ahead.rest.substr(1, end - 1);
    ahead.rest.remove_prefix(end + 1);
    *this = ahead;
    return value;
  }
};

bool is_utf8_name(std::string_view encoding) noexcept {
  constexpr std::string_view kName = "UTF-8";
  return std::equal(encoding.begin(), encoding.end(), kName.begin(), kName.end(),
                    [](char a, char b) { return a == b || (a >= 'a' && a - 'a' + 'A' == b); });
}

bool is_encoding_name(std::string_view name) noexcept {
  return !name.empty() && has_class(name.front(), kNameStart) && name.front() != '_' &&
         std::all_of(name.begin(), name.end(), [](char c) { return has_class(c, kNameChar); });
}

bool is_version(std::string_view version) noexcept {
  return version.size() > 2 && version.starts_with("1.") &&
         std::all_of(version.begin() + 2, version.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

// `inside` is what stands between "<?xml" and "?>".
std::optional<ParseError> check_declaration(std::string_view inside) noexcept {
  Cursor cursor{inside};
  const auto version = cursor.take("version");
  if (!version || !is_version(*version)) return ParseError::not_well_formed;
  const auto encoding = cursor.take("encoding");
  if (encoding && !is_encoding_name(*encoding)) return ParseError::not_well_formed;
  const auto standalone = cursor.take("standalone");
  if (standalone && *standalone != "yes" && *standalone != "no") return ParseError::not_well_formed;
  cursor.skip_space();
  if (!cursor.rest.empty()) return ParseError::not_well_formed;
  if (encoding && !is_utf8_name(*encoding)) return ParseError::unsupported_encoding;
  return std::nullopt;
}

// UTF-16 or UTF-32, by its byte order mark or by the zeros beside its "<" (XML 1.0 F.1). Nothing
// else with a zero: one byte alone must not mean anything that the second takes back.
bool is_wide_encoding(std::string_view bytes) noexcept {
  using namespace std::string_view_literals;
  return bytes.starts_with('\xFF') || bytes.starts_with('\xFE') || bytes.starts_with('\0') ||
         bytes.starts_with("<\0"sv);
}

}  // namespace

Prolog scan_prolog(std::string_view bytes) noexcept {
  if (is_wide_encoding(bytes)) return {Scan::failed, ParseError::unsupported_encoding};
  std::size_t mark = 0;
  if (bytes.starts_with(kMark)) {
    mark = kMark.size();
  } else if (!bytes.empty() && kMark.starts_with(bytes)) {
    return {Scan::incomplete};
  }
  bytes.remove_prefix(mark);
  if (kOpening.starts_with(bytes)) return {Scan::incomplete};
  if (!bytes.starts_with(kOpening)) return {Scan::ok, {}, mark};
  const std::size_t end = bytes.substr(0, kMaxDeclaration).find('>');
  if (end == std::string_view::npos) {
    if (bytes.size() >= kMaxDeclaration) return {Scan::failed, ParseError::limit_exceeded};
    return {Scan::incomplete};
  }
  const std::string_view inside = bytes.substr(kOpening.size(), end - kOpening.size());
  if (!inside.ends_with('?') || !has_class(inside.front(), kSpace)) {
    // <?xml-stylesheet ...?> and the like are processing instructions.
    return {Scan::failed, !inside.empty() && has_class(inside.front(), kNameChar)
                              ? ParseError::restricted_xml
                              : ParseError::not_well_formed};
  }
  if (const auto error = check_declaration(inside.substr(0, inside.size() - 1))) {
    return {Scan::failed, *error};
  }
  return {Scan::ok, {}, mark + end + 1};
}

}  // namespace xmpp::xml
