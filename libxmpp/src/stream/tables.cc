// See stream/tables.h.
#include "stream/tables.h"

#include <array>

#include "xmpp/core/namespaces.h"

namespace xmpp::stream {
namespace {

constexpr std::array<const Feature*, 7> kFeatures = {
    &kStartTls, &kChannelBinding, &kSasl, &kResume, &kBind, &kSession, &kLimits,
};

struct ConditionOf {
  xml::ParseError error;
  StreamCondition condition;
};
constexpr std::array kConditions = {
    ConditionOf{xml::ParseError::not_well_formed, StreamCondition::not_well_formed},
    ConditionOf{xml::ParseError::restricted_xml, StreamCondition::restricted_xml},
    ConditionOf{xml::ParseError::unsupported_encoding, StreamCondition::unsupported_encoding},
    ConditionOf{xml::ParseError::limit_exceeded, StreamCondition::policy_violation},
    // RFC 6120 4.9.3.1: XML, but none that can be processed; invalid-xml is for who validates.
    ConditionOf{xml::ParseError::stray_text, StreamCondition::bad_format},
};

}  // namespace

std::span<const Feature* const> features() noexcept {
  return kFeatures;
}

const Feature* find_feature(std::string_view ns) noexcept {
  for (const Feature* feature : kFeatures) {
    if (feature->name.ns == ns) return feature;
  }
  return nullptr;
}

StreamCondition condition_of(xml::ParseError error) noexcept {
  for (const ConditionOf& row : kConditions) {
    if (row.error == error) return row.condition;
  }
  return StreamCondition::undefined_condition;
}

bool is_content_ns(std::string_view ns) noexcept {
  return ns.empty() || ns == ns::client || ns == ns::server || ns == ns::component ||
         ns == ns::streams;
}

}  // namespace xmpp::stream
