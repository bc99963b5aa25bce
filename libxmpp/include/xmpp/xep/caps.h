// XEP-0115 1.6.0 partial: not the legacy format without a hash
// Entity capabilities: <c/>, and the text that its `ver` is the hash of.
//
// Thread-safety: values.
#pragma once

#include <string>
#include <string_view>

#include "xmpp/core/namespaces.h"
#include "xmpp/xep/disco.h"
#include "xmpp/xml/codec.h"

namespace xmpp::xep {

struct Caps {
  std::string hash;  // the function's name, e.g. "sha-1"
  std::string node;
  std::string ver;
  bool operator==(const Caps&) const = default;
  static constexpr auto codec = xml::element(ns::caps, "c", xml::attr("hash", &Caps::hash),
                                             xml::attr("node", &Caps::node, xml::required),
                                             xml::attr("ver", &Caps::ver, xml::required));
};

// What `ver` is the base64 of the hash of (section 5.1).
[[nodiscard]] std::string caps_text(const DiscoInfo& info);

}  // namespace xmpp::xep

extern template struct xmpp::xml::Codec<xmpp::xep::Caps>;
