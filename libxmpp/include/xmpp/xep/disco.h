// XEP-0030 2.5.0 complete
// Service discovery: what an entity is and can do, and what belongs to it.
//
// Thread-safety: values. Specifications: XEP-0030; XEP-0128 for the forms.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "xmpp/core/form.h"
#include "xmpp/core/jid.h"
#include "xmpp/core/namespaces.h"
#include "xmpp/xml/codec.h"

namespace xmpp::xep {

struct DiscoIdentity {
  std::string category;
  std::string type;
  std::string name;
  std::string lang;
  bool operator==(const DiscoIdentity&) const = default;
  static constexpr auto codec = xml::element(
      ns::disco_info, "identity", xml::attr("category", &DiscoIdentity::category, xml::required),
      xml::attr("type", &DiscoIdentity::type, xml::required),
      xml::attr("name", &DiscoIdentity::name), xml::attr("xml:lang", &DiscoIdentity::lang));
};

struct DiscoFeature {
  std::string var;
  bool operator==(const DiscoFeature&) const = default;
  static constexpr auto codec =
      xml::element(ns::disco_info, "feature", xml::attr("var", &DiscoFeature::var, xml::required));
};

// A request is one without identities and features.
struct DiscoInfo {
  std::string node;
  std::vector<DiscoIdentity> identities;
  std::vector<DiscoFeature> features;
  std::vector<form::Form> forms;

  [[nodiscard]] bool has_feature(std::string_view var) const noexcept;
  bool operator==(const DiscoInfo&) const = default;
  static constexpr auto codec =
      xml::element(ns::disco_info, "query", xml::attr("node", &DiscoInfo::node),
                   xml::children(&DiscoInfo::identities), xml::children(&DiscoInfo::features),
                   xml::children(&DiscoInfo::forms));
};

struct DiscoItem {
  Jid jid;
  std::string name;
  std::string node;
  bool operator==(const DiscoItem&) const = default;
  static constexpr auto codec =
      xml::element(ns::disco_items, "item", xml::attr("jid", &DiscoItem::jid, xml::required),
                   xml::attr("name", &DiscoItem::name), xml::attr("node", &DiscoItem::node));
};

struct DiscoItems {
  std::string node;
  std::vector<DiscoItem> items;
  bool operator==(const DiscoItems&) const = default;
  static constexpr auto codec =
      xml::element(ns::disco_items, "query", xml::attr("node", &DiscoItems::node),
                   xml::children(&DiscoItems::items));
};

}  // namespace xmpp::xep

extern template struct xmpp::xml::Codec<xmpp::xep::DiscoInfo>;
extern template struct xmpp::xml::Codec<xmpp::xep::DiscoItems>;
