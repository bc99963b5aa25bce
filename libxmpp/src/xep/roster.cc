// The codecs of the roster.
#include "xmpp/xep/roster.h"

#include <array>
#include <cstddef>

namespace xmpp::xep {
namespace {

constexpr auto kSubscriptions =
    std::to_array<std::string_view>({"none", "to", "from", "both", "remove"});

}  // namespace

std::string_view to_string(Subscription subscription) noexcept {
  return kSubscriptions[static_cast<std::size_t>(subscription)];
}

}  // namespace xmpp::xep

namespace xmpp::xml {

std::optional<xep::Subscription> ValueCodec<xep::Subscription>::decode(
    std::string_view text) noexcept {
  for (std::size_t i = 0; i < xep::kSubscriptions.size(); ++i) {
    if (xep::kSubscriptions[i] == text) return static_cast<xep::Subscription>(i);
  }
  return xep::Subscription::none;
}

std::optional<xep::Ask> ValueCodec<xep::Ask>::decode(std::string_view text) noexcept {
  return text == "subscribe" ? xep::Ask::subscribe : xep::Ask::none;
}

template struct Codec<xep::RosterItem>;
template struct Codec<xep::Roster>;

}  // namespace xmpp::xml
