// Characters of XML 1.0: multi-byte sequences, names, references.
//
// Thread-safety: any thread.
#include "xml/chars.h"

namespace xmpp::xml {
namespace {

Scanned fail(ParseError error) noexcept {
  return {Scan::failed, error, 0, 0};
}

bool is_xml_char(char32_t c) noexcept {
  if (c < 0x20) return c == '\t' || c == '\n' || c == '\r';
  return c < 0xD800 || (c >= 0xE000 && c < 0xFFFE) || (c >= 0x10000 && c <= 0x10FFFF);
}

// "&#...;". REQUIRES: begin[1] == '#'.
Scanned scan_character_reference(const char* begin, const char* end) noexcept {
  const char* at = begin + 2;
  if (at == end) return {Scan::incomplete};
  const bool hex = *at == 'x';
  if (hex) ++at;
  const char* digits = at;
  char32_t value = 0;
  for (; at != end; ++at) {
    if (static_cast<std::size_t>(at - begin) >= kMaxReference) {
      return fail(ParseError::limit_exceeded);
    }
    unsigned digit = 16;
    if (*at >= '0' && *at <= '9') {
      digit = static_cast<unsigned>(*at - '0');
    } else if (hex && *at >= 'a' && *at <= 'f') {
      digit = static_cast<unsigned>(*at - 'a') + 10;
    } else if (hex && *at >= 'A' && *at <= 'F') {
      digit = static_cast<unsigned>(*at - 'A') + 10;
    } else if (*at == ';' && at != digits && is_xml_char(value)) {
      return {Scan::ok, {}, static_cast<std::uint32_t>(at + 1 - begin), value};
    } else {
      return fail(ParseError::not_well_formed);
    }
    value = value * (hex ? 16 : 10) + digit;
    if (value > 0x10FFFF) return fail(ParseError::not_well_formed);
  }
  return {Scan::incomplete};
}

struct Range {
  char32_t first;
  char32_t last;
};
// XML 1.0, NameStartChar beyond ASCII.
constexpr Range kNameStarts[] = {
    {0xC0, 0xD6},     {0xD8, 0xF6},     {0xF8, 0x2FF},    {0x370, 0x37D},
    {0x37F, 0x1FFF},  {0x200C, 0x200D}, {0x2070, 0x218F}, {0x2C00, 0x2FEF},
    {0x3001, 0xD7FF}, {0xF900, 0xFDCF}, {0xFDF0, 0xFFFD}, {0x10000, 0xEFFFF},
};

}  // namespace

Scanned scan_multibyte(const char* begin, const char* end) noexcept {
  const auto byte = [begin](std::size_t i) { return static_cast<unsigned char>(begin[i]); };
  const unsigned char lead = byte(0);
  std::uint32_t size = 0;
  unsigned low = 0x80;  // bounds of the second byte
  unsigned high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    size = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    size = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    size = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return fail(ParseError::unsupported_encoding);
  }
  char32_t value = lead & (0x7FU >> size);
  for (std::uint32_t i = 1; i < size; ++i) {
    if (begin + i == end) return {Scan::incomplete};
    if (byte(i) < low || byte(i) > high) return fail(ParseError::unsupported_encoding);
    low = 0x80;
    high = 0xBF;
    value = value << 6 | (byte(i) & 0x3FU);
  }
  if (value == 0xFFFE || value == 0xFFFF) return fail(ParseError::not_well_formed);
  return {Scan::ok, {}, size, value};
}

Scanned scan_reference(const char* begin, const char* end) noexcept {
  if (begin + 1 == end) return {Scan::incomplete};
  if (begin[1] == '#') return scan_character_reference(begin, end);
  const auto start = static_cast<unsigned char>(begin[1]);
  if (start < 0x80 && !has_class(begin[1], kNameStart)) return fail(ParseError::not_well_formed);
  // The five names have at most four letters; anything longer is an entity that nobody may declare.
  for (std::size_t i = 1; i <= 5; ++i) {
    if (begin + 1 + i == end) return {Scan::incomplete};
    const char c = begin[1 + i];
    if (c == ';') {
      const std::string_view name(begin + 1, i);
      const char32_t value = name == "lt"     ? U'<'
                             : name == "gt"   ? U'>'
                             : name == "amp"  ? U'&'
                             : name == "quot" ? U'"'
                             : name == "apos" ? U'\''
                                              : U'\0';
      if (value == 0) return fail(ParseError::restricted_xml);
      return {Scan::ok, {}, static_cast<std::uint32_t>(i + 2), value};
    }
    if (static_cast<unsigned char>(c) < 0x80 && !has_class(c, kNameChar) && c != ':') {
      return fail(ParseError::not_well_formed);
    }
  }
  return fail(ParseError::restricted_xml);
}

bool is_name_start(char32_t code_point) noexcept {
  for (const Range& range : kNameStarts) {
    if (code_point <= range.last) return code_point >= range.first;
  }
  return false;
}

bool is_name_char(char32_t code_point) noexcept {
  return code_point == 0xB7 || (code_point >= 0x300 && code_point <= 0x36F) ||
         code_point == 0x203F || code_point == 0x2040 || is_name_start(code_point);
}

}  // namespace xmpp::xml
