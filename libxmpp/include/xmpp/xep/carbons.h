// XEP-0280 1.0.1 complete
// Message carbons: switching them on and off, the copies, and how a message asks for none.
//
// Thread-safety: values.
#pragma once

#include "xmpp/core/namespaces.h"
#include "xmpp/xep/forward.h"
#include "xmpp/xml/codec.h"

namespace xmpp::xep {

struct CarbonsEnable {
  bool operator==(const CarbonsEnable&) const = default;
  static constexpr auto codec = xml::element(ns::carbons, "enable");
};

struct CarbonsDisable {
  bool operator==(const CarbonsDisable&) const = default;
  static constexpr auto codec = xml::element(ns::carbons, "disable");
};

// A copy of what another resource got.
struct CarbonsReceived {
  Forwarded forwarded;
  static constexpr auto codec =
      xml::element(ns::carbons, "received", xml::child(&CarbonsReceived::forwarded, xml::required));
};

// A copy of what another resource sent.
struct CarbonsSent {
  Forwarded forwarded;
  static constexpr auto codec =
      xml::element(ns::carbons, "sent", xml::child(&CarbonsSent::forwarded, xml::required));
};

// In a message that is not to be copied.
struct CarbonsPrivate {
  bool operator==(const CarbonsPrivate&) const = default;
  static constexpr auto codec = xml::element(ns::carbons, "private");
};

}  // namespace xmpp::xep

extern template struct xmpp::xml::Codec<xmpp::xep::CarbonsEnable>;
extern template struct xmpp::xml::Codec<xmpp::xep::CarbonsDisable>;
extern template struct xmpp::xml::Codec<xmpp::xep::CarbonsReceived>;
extern template struct xmpp::xml::Codec<xmpp::xep::CarbonsSent>;
extern template struct xmpp::xml::Codec<xmpp::xep::CarbonsPrivate>;
