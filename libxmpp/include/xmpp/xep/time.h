// XEP-0202 2.0 complete
// Entity time. A request is one without content; a result has both.
//
// Thread-safety: values. Specification of the texts: XEP-0082.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "xmpp/base/time.h"
#include "xmpp/core/namespaces.h"
#include "xmpp/xml/codec.h"

namespace xmpp::xep {

// The difference of local time to UTC, within a day.
struct UtcOffset {
  std::chrono::minutes minutes{0};
  bool operator==(const UtcOffset&) const = default;
};

}  // namespace xmpp::xep

// "Z", "+hh:mm" or "-hh:mm".
template <>
struct xmpp::xml::ValueCodec<xmpp::xep::UtcOffset> {
  static std::optional<xep::UtcOffset> decode(std::string_view text) noexcept;
  static void encode(std::string& out, xep::UtcOffset value);
};

namespace xmpp::xep {

struct EntityTime {
  std::optional<UtcOffset> offset;
  std::optional<Timestamp> utc;
  bool operator==(const EntityTime&) const = default;
  static constexpr auto codec =
      xml::element(ns::time, "time", xml::child_text("tzo", &EntityTime::offset),
                   xml::child_text("utc", &EntityTime::utc));
};

}  // namespace xmpp::xep

extern template struct xmpp::xml::Codec<xmpp::xep::EntityTime>;
