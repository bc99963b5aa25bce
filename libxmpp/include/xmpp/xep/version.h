// XEP-0092 1.1 complete
// Software version. A request is one without content.
//
// Thread-safety: values.
#pragma once

#include <optional>
#include <string>

#include "xmpp/core/namespaces.h"
#include "xmpp/xml/codec.h"

namespace xmpp::xep {

struct SoftwareVersion {
  std::optional<std::string> name;     // a result has it
  std::optional<std::string> version;  // a result has it
  std::optional<std::string> os;
  bool operator==(const SoftwareVersion&) const = default;
  static constexpr auto codec =
      xml::element(ns::version, "query", xml::child_text("name", &SoftwareVersion::name),
                   xml::child_text("version", &SoftwareVersion::version),
                   xml::child_text("os", &SoftwareVersion::os));
};

}  // namespace xmpp::xep

extern template struct xmpp::xml::Codec<xmpp::xep::SoftwareVersion>;
