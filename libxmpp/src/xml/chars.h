// Characters of XML 1.0: which bytes and code points may stand where, and references.
//
// Thread-safety: constant data. Spec: XML 1.0 (fifth edition) 2.2, 2.3, 4.1; Namespaces in XML 1.0.
#pragma once

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "xmpp/xml/document.h"

namespace xmpp::xml {

// Classes of ASCII bytes.
constexpr std::uint8_t kNameStart = 1;  // may begin an NCName
constexpr std::uint8_t kNameChar = 2;   // may continue one
constexpr std::uint8_t kSpace = 4;      // white space
constexpr std::uint8_t kValueStop =
    8;  // needs a look inside an attribute value, or an escape there (all but plain ASCII)
constexpr std::uint8_t kTextStop = 16;  // needs a look inside text

constexpr std::array<std::uint8_t, 256> make_char_classes() {
  std::array<std::uint8_t, 256> table{};
  for (unsigned c = 0; c < 256; ++c) {
    std::uint8_t bits = 0;
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (letter) bits |= kNameStart | kNameChar;
    if ((c >= '0' && c <= '9') || c == '-' || c == '.') bits |= kNameChar;
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') bits |= kSpace;
    if (c < 0x20 || c >= 0x80 || c == '<' || c == '&') bits |= kValueStop | kTextStop;
    if (c == '"' || c == '\'' || c == '>') bits |= kValueStop;
    if (c == ']') bits |= kTextStop;
    table[c] = bits;
  }
  return table;
}
inline constexpr std::array<std::uint8_t, 256> kCharClass = make_char_classes();

inline bool has_class(char c, std::uint8_t bits) noexcept {
  return (kCharClass[static_cast<unsigned char>(c)] & bits) != 0;
}

// The first byte of [at, end) that is kValueStop.
inline const char* skip_plain_value(const char* at, const char* end) noexcept {
#ifdef __SSE2__
  const __m128i space = _mm_set1_epi8(0x20);
  const __m128i double_quote = _mm_set1_epi8('"');
  const __m128i quote = _mm_set1_epi8('\'');
  const __m128i ampersand = _mm_set1_epi8('&');
  const __m128i less = _mm_set1_epi8('<');
  const __m128i greater = _mm_set1_epi8('>');
  while (end - at >= 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    // A signed comparison: bytes from 0x80 on are below the space, too.
    const __m128i stops = _mm_or_si128(
        _mm_or_si128(
            _mm_or_si128(_mm_cmplt_epi8(block, space), _mm_cmpeq_epi8(block, double_quote)),
            _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, ampersand))),
        _mm_or_si128(_mm_cmpeq_epi8(block, less), _mm_cmpeq_epi8(block, greater)));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(stops));
    if (mask != 0) return at + std::countr_zero(mask);
    at += 16;
  }
#endif
  while (at != end && !has_class(*at, kValueStop)) ++at;
  return at;
}

// What a scan at one place found.
enum class Scan : std::uint8_t { ok, incomplete, failed };

struct Scanned {
  Scan scan = Scan::ok;
  ParseError error = ParseError::not_well_formed;
  std::uint32_t size = 0;  // bytes, if ok
  char32_t code_point = 0;
};

// A multi-byte UTF-8 sequence that encodes an XML character. REQUIRES: begin < end, *begin >= 0x80.
[[nodiscard]] Scanned scan_multibyte(const char* begin, const char* end) noexcept;
// A reference. REQUIRES: begin < end, *begin == '&'. References of more than kMaxReference bytes
// (leading zeros) exceed a limit, so that an unfinished one need not be remembered.
constexpr std::size_t kMaxReference = 32;
[[nodiscard]] Scanned scan_reference(const char* begin, const char* end) noexcept;

// May a non-ASCII code point begin or continue a name?
[[nodiscard]] bool is_name_start(char32_t code_point) noexcept;
[[nodiscard]] bool is_name_char(char32_t code_point) noexcept;

}  // namespace xmpp::xml
