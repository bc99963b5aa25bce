// Values that need more than a line.
//
// Thread-safety: any thread.
#include "xmpp/xml/value_codec.h"

#include "xml/chars.h"

namespace xmpp::xml {

std::string_view trim_space(std::string_view text) noexcept {
  while (!text.empty() && has_class(text.front(), kSpace)) text.remove_prefix(1);
  while (!text.empty() && has_class(text.back(), kSpace)) text.remove_suffix(1);
  return text;
}

std::optional<bool> ValueCodec<bool>::decode(std::string_view text) noexcept {
  text = trim_space(text);
  if (text == "true" || text == "1") return true;
  if (text == "false" || text == "0") return false;
  return std::nullopt;
}

std::optional<Timestamp> ValueCodec<Timestamp>::decode(std::string_view text) {
  return parse_timestamp(trim_space(text));
}

void ValueCodec<Timestamp>::encode(std::string& out, Timestamp value) {
  out += format_timestamp(value);
}

}  // namespace xmpp::xml
