// XEP-0049 1.2 complete
// Private XML. What the query contains is anybody's markup: the element's children.
//
// Thread-safety: values.
#pragma once

#include "xmpp/core/namespaces.h"
#include "xmpp/xml/codec.h"

namespace xmpp::xep {

struct PrivateXml {
  bool operator==(const PrivateXml&) const = default;
  static constexpr auto codec = xml::element(ns::private_xml, "query");
};

}  // namespace xmpp::xep

extern template struct xmpp::xml::Codec<xmpp::xep::PrivateXml>;
