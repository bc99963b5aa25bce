// See xmpp/base/utf8.h. The well-formed sequences are those of table 3-7 of the Unicode Standard
// (RFC 3629 section 4).
#include "xmpp/base/utf8.h"

#include <cstring>

#include "xmpp/base/assert.h"

namespace xmpp::utf8 {
namespace {

constexpr std::uint64_t kHighBits = 0x8080808080808080;

// The first position at or after `at` whose byte is not ASCII.
std::size_t skip_ascii(std::string_view bytes, std::size_t at) noexcept {
  while (at + 8 <= bytes.size()) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data() + at, sizeof word);
    if ((word & kHighBits) != 0) break;
    at += 8;
  }
  while (at < bytes.size() && static_cast<unsigned char>(bytes[at]) < 0x80) ++at;
  return at;
}

bool is_continuation(unsigned char byte) noexcept {
  return (byte & 0xc0) == 0x80;
}

// The length of the well-formed sequence that starts at `text`, 0 if there is none. The first byte
// is not ASCII.
std::size_t sequence_length(const unsigned char* text, std::size_t left) noexcept {
  const unsigned char lead = text[0];
  if (lead < 0xc2) return 0;  // a continuation, or an overlong form of ASCII
  if (lead < 0xe0) return left >= 2 && is_continuation(text[1]) ? 2 : 0;
  if (lead < 0xf0) {
    if (left < 3 || !is_continuation(text[1]) || !is_continuation(text[2])) return 0;
    if (lead == 0xe0 && text[1] < 0xa0) return 0;  // overlong
    if (lead == 0xed && text[1] > 0x9f) return 0;  // surrogates
    return 3;
  }
  if (lead > 0xf4 || left < 4) return 0;
  if (!is_continuation(text[1]) || !is_continuation(text[2]) || !is_continuation(text[3])) return 0;
  if (lead == 0xf0 && text[1] < 0x90) return 0;  // overlong
  if (lead == 0xf4 && text[1] > 0x8f) return 0;  // above U+10FFFF
  return 4;
}

}  // namespace

bool is_valid(std::string_view bytes) noexcept {
  std::size_t at = skip_ascii(bytes, 0);
  while (at < bytes.size()) {
    const auto* text = reinterpret_cast<const unsigned char*>(bytes.data()) + at;
    if (*text < 0x80) {
      at = skip_ascii(bytes, at);
      continue;
    }
    const std::size_t length = sequence_length(text, bytes.size() - at);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

bool is_ascii(std::string_view bytes) noexcept {
  return skip_ascii(bytes, 0) == bytes.size();
}

void append(std::string& out, char32_t code_point) {
  XMPP_ASSERT(code_point <= 0x10ffff && (code_point < 0xd800 || code_point > 0xdfff));
  const auto put = [&out](char32_t byte) { out += static_cast<char>(byte); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xc0 | code_point >> 6);
    put(0x80 | (code_point & 0x3f));
  } else if (code_point < 0x10000) {
    put(0xe0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3f));
    put(0x80 | (code_point & 0x3f));
  } else {
    put(0xf0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3f));
    put(0x80 | (code_point >> 6 & 0x3f));
    put(0x80 | (code_point & 0x3f));
  }
}

char32_t decode(std::string_view bytes, std::size_t& position) noexcept {
  XMPP_DCHECK(position < bytes.size());
  const auto* text = reinterpret_cast<const unsigned char*>(bytes.data()) + position;
  const unsigned char lead = *text;
  if (lead < 0x80) {
    ++position;
    return lead;
  }
  const std::size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  XMPP_ASSERT(bytes.size() - position >= length);
  char32_t code_point = lead & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) code_point = code_point << 6 | (text[i] & 0x3fU);
  position += length;
  return code_point;
}

std::size_t count(std::string_view bytes) noexcept {
  std::size_t continuations = 0;
  for (const char c : bytes)
    continuations += is_continuation(static_cast<unsigned char>(c)) ? 1 : 0;
  return bytes.size() - continuations;
}

}  // namespace xmpp::utf8
