// What may stand before a stream's start tag: a byte order mark and an XML declaration.
//
// Thread-safety: any thread. Spec: XML 1.0 2.8; RFC 6120 11.5, 11.6.
#pragma once

#include <cstddef>
#include <string_view>

#include "xml/chars.h"

namespace xmpp::xml {

struct Prolog {
  Scan scan = Scan::ok;
  ParseError error = ParseError::not_well_formed;
  std::size_t size = 0;  // bytes of mark and declaration, if ok
};

// A longer declaration is refused; a real one has some 40 bytes.
constexpr std::size_t kMaxDeclaration = 256;

// Looks at the first bytes of a stream. ok with size 0: there is neither.
[[nodiscard]] Prolog scan_prolog(std::string_view bytes) noexcept;

}  // namespace xmpp::xml
