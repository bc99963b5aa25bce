// How a stanza comes back from a store: what xmpp::to_xml() made of it is read with bounds of its
// own.
//
// What was accepted from a client must not be lost when it is read again: stored, a stanza is some
// bytes longer (`from`), and the limits of streams may be higher, or may have been when it came.
//
// Thread-safety: any thread.
#pragma once

#include <optional>
#include <string_view>
#include <utility>

#include "xmpp/core/namespaces.h"
#include "xmpp/core/stanza.h"
#include "xmpp/xml/document.h"

namespace xmppd {

// Above all that [limits] allows.
inline constexpr xmpp::xml::Limits kStoredLimits{.stanza_bytes = 1 << 27,
                                                 .depth = 2'000,
                                                 .attributes = 10'000,
                                                 .prefixes = 10'000,
                                                 .nodes = 1 << 22};

// nullopt: it is no stanza of a client's stream.
[[nodiscard]] inline std::optional<xmpp::Stanza> parse_stored_stanza(std::string_view text) {
  auto document = xmpp::xml::Document::parse(text, xmpp::ns::client, kStoredLimits);
  if (!document) return std::nullopt;
  auto parsed = xmpp::parse_stanza(*document, xmpp::ns::client);
  if (!parsed) return std::nullopt;
  return std::move(parsed->stanza);
}

}  // namespace xmppd
