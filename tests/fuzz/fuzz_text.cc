// Small texts: what is parsed and formatted again means the same, and nothing else is accepted.
// Times, durations and sizes of the configuration, numbers, base64, hexadecimal, UTF-8, connection
// strings.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/config.h"
#include "storage/connection_string.h"
#include "xmpp/base/assert.h"
#include "xmpp/base/encoding.h"
#include "xmpp/base/time.h"
#include "xmpp/base/utf8.h"
#include "xmpp/core/form.h"
#include "xmpp/xep/time.h"
#include "xmpp/xml/value_codec.h"

namespace {

template <typename T>
void check_value(std::string_view text) {
  const auto value = xmpp::xml::ValueCodec<T>::decode(text);
  if (!value) return;
  std::string out;
  xmpp::xml::ValueCodec<T>::encode(out, *value);
  const auto again = xmpp::xml::ValueCodec<T>::decode(out);
  XMPP_ASSERT(again && *again == *value);
}

void check_times(std::string_view text) {
  if (const auto at = xmpp::parse_timestamp(text)) {
    // Written in milliseconds, with four digits for the year.
    const std::string out = xmpp::format_timestamp(*at);
    const auto again = xmpp::parse_timestamp(out);
    XMPP_ASSERT(again && xmpp::format_timestamp(*again) == out);
  }
  if (const auto duration = xmpp::parse_duration(text)) {
    const std::string out = xmpp::format_duration(*duration);
    XMPP_ASSERT(xmpp::parse_duration(out) == duration);
  }
  check_value<xmpp::xep::UtcOffset>(text);
}

void check_encodings(std::string_view text) {
  if (const auto bytes = xmpp::base64_decode(text))
    XMPP_ASSERT(xmpp::base64_encode(*bytes) == text);
  XMPP_ASSERT(xmpp::base64_decode(xmpp::base64_encode(text)) == text);
  if (const auto bytes = xmpp::hex_decode(text)) {
    XMPP_ASSERT(xmpp::hex_decode(xmpp::hex_encode(*bytes)) == bytes);
  }
  XMPP_ASSERT(xmpp::hex_decode(xmpp::hex_encode(text)) == text);
}

void check_utf8(std::string_view text) {
  if (xmpp::utf8::is_ascii(text)) XMPP_ASSERT(xmpp::utf8::is_valid(text));
  if (!xmpp::utf8::is_valid(text)) return;
  std::string copy;
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); ++count) {
    xmpp::utf8::append(copy, xmpp::utf8::decode(text, at));
  }
  XMPP_ASSERT(copy == text && xmpp::utf8::count(text) == count);
}

// libpq's own words, so NUL ends the text.
void check_connection(std::string_view text) {
  constexpr std::string_view kPassword = "pAssw0rd-never-shown";
  std::string connection(text);
  if (connection.find('\0') != std::string::npos) return;
  (void)xmppd::sql::describe_connection(xmpp::Secret(connection));
  if (connection.find("://") != std::string::npos) return;
  const auto described = xmppd::sql::describe_connection(
      xmpp::Secret(connection + " password=" + std::string(kPassword)));
  if (described && connection.find_first_of("'\\=") == std::string::npos) {
    XMPP_ASSERT(described->find(kPassword) == std::string::npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_times(text);
  check_encodings(text);
  check_utf8(text);
  check_value<bool>(text);
  check_value<std::int8_t>(text);
  check_value<std::uint32_t>(text);
  check_value<std::int64_t>(text);
  (void)xmpp::form::parse_boolean(text);
  if (const auto bytes = xmppd::parse_size(text)) {
    XMPP_ASSERT(xmppd::parse_size(std::to_string(*bytes)) == bytes);
  }
  check_connection(text);
  return 0;
}
