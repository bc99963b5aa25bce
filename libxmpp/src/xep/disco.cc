// The codecs of XEP-0030.
#include "xmpp/xep/disco.h"

#include <algorithm>

namespace xmpp::xep {

bool DiscoInfo::has_feature(std::string_view var) const noexcept {
  return std::any_of(features.begin(), features.end(),
                     [var](const DiscoFeature& feature) { return feature.var == var; });
}

}  // namespace xmpp::xep

template struct xmpp::xml::Codec<xmpp::xep::DiscoIdentity>;
template struct xmpp::xml::Codec<xmpp::xep::DiscoFeature>;
template struct xmpp::xml::Codec<xmpp::xep::DiscoInfo>;
template struct xmpp::xml::Codec<xmpp::xep::DiscoItem>;
template struct xmpp::xml::Codec<xmpp::xep::DiscoItems>;
