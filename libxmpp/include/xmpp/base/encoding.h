// Base64 (RFC 4648, strict: no white space, right padding, no stray bits), hexadecimal, percent.
//
// Thread-safety: any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace xmpp {

[[nodiscard]] std::string base64_encode(std::string_view bytes);
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);
// Lower-case digits.
[[nodiscard]] std::string hex_encode(std::string_view bytes);
[[nodiscard]] std::optional<std::string> hex_decode(std::string_view text);

}  // namespace xmpp
