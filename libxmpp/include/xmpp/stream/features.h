// Stream features as data: name, the state in which a feature may be negotiated, and what each side does.
// One loop (negotiation.cc) serves both roles; STARTTLS, SASL and resource binding are entries of the same
// table that any further feature joins.
//
// Thread-safety: constant data.
#pragma once

#include <cstdint>

namespace xmpp {

// What has been reached on a stream. A feature requires some bits and is forbidden by others.
enum class StreamBits : std::uint16_t {
  none = 0,
  secure = 1,          // TLS is up
  authenticated = 2,   // SASL succeeded
  bound = 4,           // a resource is bound
  header_sent = 8,     // our stream header is out
  header_received = 16,
  closing = 32,        // we have sent </stream:stream>
  closed = 64,
};
[[nodiscard]] constexpr StreamBits operator|(StreamBits a, StreamBits b) noexcept {
  return static_cast<StreamBits>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
[[nodiscard]] constexpr StreamBits operator&(StreamBits a, StreamBits b) noexcept {
  return static_cast<StreamBits>(static_cast<unsigned>(a) & static_cast<unsigned>(b));
}
[[nodiscard]] constexpr bool has_all(StreamBits have, StreamBits wanted) noexcept {
  return (have & wanted) == wanted;
}
[[nodiscard]] constexpr bool has_any(StreamBits have, StreamBits unwanted) noexcept {
  return (have & unwanted) != StreamBits::none;
}

}  // namespace xmpp
