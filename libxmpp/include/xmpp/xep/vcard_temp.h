// XEP-0054 1.3.0 partial: the card's fields are not decoded
// vcard-temp. A request is one without content; a card is passed through as it is.
//
// Thread-safety: values.
#pragma once

#include "xmpp/core/namespaces.h"
#include "xmpp/xml/codec.h"

namespace xmpp::xep {

struct VcardTemp {
  bool operator==(const VcardTemp&) const = default;
  static constexpr auto codec = xml::element(ns::vcard, "vCard");
};

}  // namespace xmpp::xep

extern template struct xmpp::xml::Codec<xmpp::xep::VcardTemp>;
