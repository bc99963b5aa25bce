// Stream features as data: a name, the state in which a feature may be negotiated, and what is done
// with it. One loop (src/stream/negotiation.cc) serves both roles; STARTTLS, SASL and resource
// binding are entries of the same table (src/stream/tables.cc) that any further feature joins.
//
// To add a stream feature:
//  1. Purely advertised, with nothing to negotiate (roster versioning, pre-approval)? Then it is no
//  entry
//     here: the driver puts its markup into StreamOffer::after_auth_features or
//     before_auth_features.
//  2. Else write src/stream/<feature>.cc with `const Feature kMyFeature{...}` (starttls.cc is the
//  shortest
//     whole example; stream_limits.cc one that only offers), and declare it in src/stream/tables.h.
//  3. Put it into kFeatures in src/stream/tables.cc, at the place where the initiator should look
//  at it.
//  4. What it must remember during negotiation goes into Setup (src/stream/machine.h), which is
//  freed when
//     the stream is usable. A question to the driver is a new Event plus an answer in stream.h, and
//     a value of Awaiting.
//  5. tests/unit/stream/tables_test.cc holds every entry to the rules below; negotiation_test.cc
//  runs both
//     roles back to back: add a case.
//
// Thread-safety: constant data.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "xmpp/xml/atoms.h"
#include "xmpp/xml/document.h"

namespace xmpp {

// What has been reached on a stream. A feature requires some bits and is forbidden by others.
enum class StreamBits : std::uint16_t {
  none = 0,
  secure = 1,         // TLS is up
  authenticated = 2,  // SASL succeeded
  bound = 4,          // a resource is bound
  header_sent = 8,    // our stream header is out
  header_received = 16,
  closing = 32,           // we have sent </stream:stream>
  closed = 64,            // nothing more happens
  tls_settled = 128,      // TLS is up, or both sides do without
  session_settled = 256,  // RFC 3921 session requested
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
inline constexpr StreamBits kHeaders = StreamBits::header_sent | StreamBits::header_received;

class StreamMachine;  // src/stream/machine.h

// What a feature's function did.
struct Step {
  enum class Progress : std::uint8_t {
    declined,  // initiator: nothing was begun, look at the next feature
    waiting,   // an element or an answer of the driver continues it
    done,      // negotiated
    ended,     // the stream has been failed or closed
  };
  Progress progress = Progress::waiting;
  StreamBits gained = StreamBits::none;  // with declined and done
  bool restart = false;                  // with done: both sides begin anew with a stream header
};

struct Feature {
  // The child of <stream:features/>. Its namespace also claims the feature's first-level elements,
  // or, if it uses_iq, the iq requests with a payload in it.
  xml::Name name;
  bool uses_iq = false;
  StreamBits required = StreamBits::none;
  StreamBits forbidden = StreamBits::none;
  // Receiver: appends the feature's child of <stream:features/>, or nothing. Null: never offered.
  // Called if the bits fit.
  void (*offer)(const StreamMachine& machine, std::string& out) = nullptr;
  // Initiator: begins the feature, or declines. `offered` is invalid if the peer did not offer it.
  // Null: of no interest. Called if the bits fit.
  Step (*on_offered)(StreamMachine& machine, xml::Element offered) = nullptr;
  // Either side: an element of this feature arrived and the bits fit (initiator: after on_offered()
  // waited). Null: nobody's, so unsupported-stanza-type, or not-authorized for a stanza.
  Step (*on_element)(StreamMachine& machine, const xml::Document& element) = nullptr;
  // The same where the bits do not fit. Null: as above.
  Step (*on_denied)(StreamMachine& machine, const xml::Document& element) = nullptr;
};

[[nodiscard]] constexpr bool fits(const Feature& feature, StreamBits bits) noexcept {
  return has_all(bits, feature.required) && !has_any(bits, feature.forbidden);
}

}  // namespace xmpp
