// UTF-8: strict validation (no surrogates, no overlong forms, at most U+10FFFF) and code points.
//
// Thread-safety: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace xmpp::utf8 {

[[nodiscard]] bool is_valid(std::string_view bytes) noexcept;
[[nodiscard]] bool is_ascii(std::string_view bytes) noexcept;
// Appends the encoding of `code_point`. REQUIRES: a Unicode scalar value.
void append(std::string& out, char32_t code_point);
// Decodes the code point at `position` and moves past it. REQUIRES: valid UTF-8, position < size.
[[nodiscard]] char32_t decode(std::string_view bytes, std::size_t& position) noexcept;
// Code points. REQUIRES: valid UTF-8.
[[nodiscard]] std::size_t count(std::string_view bytes) noexcept;

}  // namespace xmpp::utf8
