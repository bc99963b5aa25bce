// What a host is and can do, as disco#info (XEP-0030) and entity capabilities (XEP-0115) say it.
//
// Thread-safety: the host's worker.
#pragma once

#include <string>

#include "xmpp/base/encoding.h"
#include "xmpp/sasl/digest.h"
#include "xmpp/xep/caps.h"
#include "xmpp/xep/disco.h"
#include "xmppd/host.h"

namespace xmppd {

[[nodiscard]] inline xmpp::xep::DiscoInfo make_disco_info(const Host& host) {
  xmpp::xep::DiscoInfo info;
  for (const Identity& one : host.identities()) {
    info.identities.push_back({one.category, one.type, one.name, ""});
  }
  for (const std::string& feature : host.features()) info.features.push_back({feature});
  info.forms = host.forms();
  return info;
}

// <c/> for an entity that answers so.
[[nodiscard]] inline xmpp::xep::Caps make_caps(const xmpp::xep::DiscoInfo& info) {
  xmpp::xep::Caps caps;
  caps.hash = "sha-1";
  caps.node = "xmppd";
  caps.ver = xmpp::base64_encode(
      xmpp::sasl::digest(xmpp::sasl::ScramHash::sha1, xmpp::xep::caps_text(info)));
  return caps;
}

}  // namespace xmppd
