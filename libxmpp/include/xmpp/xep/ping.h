// XEP-0199 2.0.1 complete
// Ping: an empty request that is answered with an empty result.
//
// Thread-safety: values.
#pragma once

#include "xmpp/core/namespaces.h"
#include "xmpp/xml/codec.h"

namespace xmpp::xep {

struct Ping {
  bool operator==(const Ping&) const = default;
  static constexpr auto codec = xml::element(ns::ping, "ping");
};

}  // namespace xmpp::xep

extern template struct xmpp::xml::Codec<xmpp::xep::Ping>;
