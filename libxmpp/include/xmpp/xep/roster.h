// RFC 6121 2.1 complete
// The roster: contacts with their subscription states and groups.
//
// A server ignores what a client may not set: unknown values of subscription and ask read as none
// (RFC 6121 2.1.2). What the server says of an item always has its subscription, also "none"
// (2.1.4).
//
// Thread-safety: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "xmpp/core/jid.h"
#include "xmpp/core/namespaces.h"
#include "xmpp/xml/codec.h"

namespace xmpp::xep {

enum class Subscription : std::uint8_t { none, to, from, both, remove };
[[nodiscard]] std::string_view to_string(Subscription subscription) noexcept;

enum class Ask : std::uint8_t { none, subscribe };

}  // namespace xmpp::xep

template <>
struct xmpp::xml::ValueCodec<xmpp::xep::Subscription> {
  static std::optional<xep::Subscription> decode(std::string_view text) noexcept;
  static void encode(std::string& out, xep::Subscription value) { out += xep::to_string(value); }
};
template <>
struct xmpp::xml::ValueCodec<xmpp::xep::Ask> {
  static std::optional<xep::Ask> decode(std::string_view text) noexcept;
  static void encode(std::string& out, xep::Ask value) {
    if (value == xep::Ask::subscribe) out += "subscribe";
  }
};

namespace xmpp::xep {

struct RosterItem {
  Jid jid;
  std::string name;
  std::optional<Subscription> subscription;
  Ask ask = Ask::none;
  bool approved = false;
  std::vector<std::string> groups;
  bool operator==(const RosterItem&) const = default;
  static constexpr auto codec = xml::element(
      ns::roster, "item", xml::attr("jid", &RosterItem::jid, xml::required),
      xml::attr("name", &RosterItem::name), xml::attr("subscription", &RosterItem::subscription),
      xml::attr("ask", &RosterItem::ask), xml::attr("approved", &RosterItem::approved),
      xml::child_texts("group", &RosterItem::groups));
};

struct Roster {
  std::optional<std::string> version;  // present but empty: versioning is wanted, nothing is cached
  std::vector<RosterItem> items;
  bool operator==(const Roster&) const = default;
  static constexpr auto codec = xml::element(
      ns::roster, "query", xml::attr("ver", &Roster::version), xml::children(&Roster::items));
};

}  // namespace xmpp::xep

extern template struct xmpp::xml::Codec<xmpp::xep::Roster>;
extern template struct xmpp::xml::Codec<xmpp::xep::RosterItem>;
