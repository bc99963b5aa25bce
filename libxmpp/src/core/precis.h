// PRECIS string classes (RFC 8264): the derived property of a code point, contextual rules, the
// bidi rule.
//
// Thread-safety: any thread.
#pragma once

#include <unicode/unistr.h>

#include <cstdint>

namespace xmpp::prep {

// RFC 8264 8: the derived property values.
enum class CodePointClass : std::uint8_t {
  valid,          // PVALID: both classes
  freeform_only,  // ID_DIS or FREE_PVAL
  context_join,   // CONTEXTJ
  context_other,  // CONTEXTO
  disallowed,     // DISALLOWED
  unassigned,     // UNASSIGNED
};
[[nodiscard]] CodePointClass classify(UChar32 c) noexcept;

// RFC 5892 appendix A: is the CONTEXTJ or CONTEXTO code point at `index` allowed there?
[[nodiscard]] bool context_allows(const icu::UnicodeString& text, std::int32_t index) noexcept;

// Does every code point belong to the IdentifierClass?
[[nodiscard]] bool is_identifier(const icu::UnicodeString& text) noexcept;
// Does every code point belong to the FreeformClass, or is unassigned?
[[nodiscard]] bool is_freeform(const icu::UnicodeString& text) noexcept;

// RFC 5893 2, which RFC 8264 5.2.5 applies to strings with a right-to-left code point.
[[nodiscard]] bool passes_bidi_rule(const icu::UnicodeString& text) noexcept;

}  // namespace xmpp::prep
