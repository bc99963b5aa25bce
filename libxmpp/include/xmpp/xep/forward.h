// XEP-0297 1.0 complete
// A stanza inside another one, with the time when it was sent if that is known.
//
// Thread-safety: values.
#pragma once

#include <optional>

#include "xmpp/core/namespaces.h"
#include "xmpp/core/stanza.h"
#include "xmpp/xep/delay.h"
#include "xmpp/xml/codec.h"

namespace xmpp::xep {

struct Forwarded {
  std::optional<Delay> delay;
  Stanza stanza;
  static constexpr auto codec = xml::element(ns::forward, "forwarded");
};

}  // namespace xmpp::xep

// Not by a table of fields: a stanza is no payload. It is in jabber:client.
template <>
struct xmpp::xml::Codec<xmpp::xep::Forwarded> {
  static Result<xep::Forwarded, DecodeError> decode(Element element);
  static void encode(Writer& writer, const xep::Forwarded& value);
};
