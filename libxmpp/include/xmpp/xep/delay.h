// XEP-0203 2.0 complete
// Delayed delivery: when a stanza was sent, who held it back, why.
//
// Thread-safety: values.
#pragma once

#include <string>

#include "xmpp/base/time.h"
#include "xmpp/core/jid.h"
#include "xmpp/core/namespaces.h"
#include "xmpp/xml/codec.h"

namespace xmpp::xep {

struct Delay {
  Timestamp stamp{};
  Jid from;
  std::string reason;
  bool operator==(const Delay&) const = default;
  static constexpr auto codec =
      xml::element(ns::delay, "delay", xml::attr("stamp", &Delay::stamp, xml::required),
                   xml::attr("from", &Delay::from), xml::text(&Delay::reason));
};

}  // namespace xmpp::xep

extern template struct xmpp::xml::Codec<xmpp::xep::Delay>;
