// XEP-0012 2.0 complete
// Last activity. A request is one without content; what the seconds mean depends on who was asked:
// since logout (account), idle time (resource), uptime (server).
//
// Thread-safety: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "xmpp/core/namespaces.h"
#include "xmpp/xml/codec.h"

namespace xmpp::xep {

struct LastActivity {
  std::optional<std::uint64_t> seconds;
  std::string status;  // of the last unavailable presence
  bool operator==(const LastActivity&) const = default;
  static constexpr auto codec =
      xml::element(ns::last_activity, "query", xml::attr("seconds", &LastActivity::seconds),
                   xml::text(&LastActivity::status));
};

}  // namespace xmpp::xep

extern template struct xmpp::xml::Codec<xmpp::xep::LastActivity>;
