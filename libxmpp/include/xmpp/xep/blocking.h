// XEP-0191 1.3 complete
// The blocking command: the list of blocked addresses, and changes to it.
//
// Thread-safety: values.
#pragma once

#include <vector>

#include "xmpp/core/jid.h"
#include "xmpp/core/namespaces.h"
#include "xmpp/xml/codec.h"

namespace xmpp::xep {

struct BlockItem {
  Jid jid;
  bool operator==(const BlockItem&) const = default;
  static constexpr auto codec =
      xml::element(ns::blocking, "item", xml::attr("jid", &BlockItem::jid, xml::required));
};

struct BlockList {
  std::vector<BlockItem> items;
  bool operator==(const BlockList&) const = default;
  static constexpr auto codec =
      xml::element(ns::blocking, "blocklist", xml::children(&BlockList::items));
};

struct Block {
  std::vector<BlockItem> items;
  bool operator==(const Block&) const = default;
  static constexpr auto codec = xml::element(ns::blocking, "block", xml::children(&Block::items));
};

// Without items: everybody.
struct Unblock {
  std::vector<BlockItem> items;
  bool operator==(const Unblock&) const = default;
  static constexpr auto codec =
      xml::element(ns::blocking, "unblock", xml::children(&Unblock::items));
};

}  // namespace xmpp::xep

extern template struct xmpp::xml::Codec<xmpp::xep::BlockItem>;
extern template struct xmpp::xml::Codec<xmpp::xep::BlockList>;
extern template struct xmpp::xml::Codec<xmpp::xep::Block>;
extern template struct xmpp::xml::Codec<xmpp::xep::Unblock>;
