// The codec of XEP-0202 and time zone offsets.
#include "xmpp/xep/time.h"

#include <cstdint>

namespace xmpp::xml {
namespace {

void append_two_digits(std::string& out, std::int64_t value) {
  out.push_back(static_cast<char>('0' + value / 10));
  out.push_back(static_cast<char>('0' + value % 10));
}

// nullopt: not two digits, or more than `max`.
std::optional<int> parse_two_digits(std::string_view text, int max) noexcept {
  if (text.size() != 2) return std::nullopt;
  int value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  if (value > max) return std::nullopt;
  return value;
}

}  // namespace

std::optional<xep::UtcOffset> ValueCodec<xep::UtcOffset>::decode(std::string_view text) noexcept {
  text = trim_space(text);
  if (text == "Z") return xep::UtcOffset{};
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
  const auto hours = parse_two_digits(text.substr(1, 2), 23);
  const auto minutes = parse_two_digits(text.substr(4, 2), 59);
  if (!hours || !minutes) return std::nullopt;
  const int total = *hours * 60 + *minutes;
  return xep::UtcOffset{std::chrono::minutes(text[0] == '-' ? -total : total)};
}

void ValueCodec<xep::UtcOffset>::encode(std::string& out, xep::UtcOffset value) {
  const std::int64_t total = value.minutes.count();
  const std::int64_t distance = (total < 0 ? -total : total) % (24 * 60);
  out.push_back(total < 0 ? '-' : '+');
  append_two_digits(out, distance / 60);
  out.push_back(':');
  append_two_digits(out, distance % 60);
}

template struct Codec<xep::EntityTime>;

}  // namespace xmpp::xml
