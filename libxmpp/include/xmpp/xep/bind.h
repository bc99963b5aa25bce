// RFC 6120 7 complete
// Resource binding, and the session request of RFC 3921 that old clients still send.
//
// Thread-safety: values.
#pragma once

#include <optional>
#include <string>

#include "xmpp/core/jid.h"
#include "xmpp/core/namespaces.h"
#include "xmpp/xml/codec.h"

namespace xmpp::xep {

// A request names a resource or leaves it to the server; the result tells the full JID.
struct Bind {
  std::optional<std::string> resource;
  std::optional<Jid> jid;
  bool operator==(const Bind&) const = default;
  static constexpr auto codec =
      xml::element(ns::bind, "bind", xml::child_text("resource", &Bind::resource),
                   xml::child_text("jid", &Bind::jid));
};

struct SessionRequest {
  bool operator==(const SessionRequest&) const = default;
  static constexpr auto codec = xml::element(ns::session, "session");
};

}  // namespace xmpp::xep

extern template struct xmpp::xml::Codec<xmpp::xep::Bind>;
extern template struct xmpp::xml::Codec<xmpp::xep::SessionRequest>;
