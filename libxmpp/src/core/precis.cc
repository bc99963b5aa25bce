// The PRECIS derived property from Unicode properties (ICU), so that it follows ICU's Unicode
// version.
#include "core/precis.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>

namespace xmpp::prep {
namespace {

using Text = icu::UnicodeString;

// RFC 8264 9.6 (RFC 5892 2.6).
bool find_exception(UChar32 c, CodePointClass& out) noexcept {
  switch (c) {
    case 0x00DF:
    case 0x03C2:
    case 0x06FD:
    case 0x06FE:
    case 0x0F0B:
    case 0x3007:
      out = CodePointClass::valid;
      return true;
    case 0x00B7:
    case 0x0375:
    case 0x05F3:
    case 0x05F4:
    case 0x30FB:
      out = CodePointClass::context_other;
      return true;
    case 0x0640:
    case 0x07FA:
    case 0x302E:
    case 0x302F:
    case 0x3031:
    case 0x3032:
    case 0x3033:
    case 0x3034:
    case 0x3035:
    case 0x303B:
      out = CodePointClass::disallowed;
      return true;
    default:
      break;
  }
  if ((c >= 0x0660 && c <= 0x0669) || (c >= 0x06F0 && c <= 0x06F9)) {
    out = CodePointClass::context_other;
    return true;
  }
  return false;
}

bool is_old_hangul_jamo(UChar32 c) noexcept {
  const int type = u_getIntPropertyValue(c, UCHAR_HANGUL_SYLLABLE_TYPE);
  return type == U_HST_LEADING_JAMO || type == U_HST_VOWEL_JAMO || type == U_HST_TRAILING_JAMO;
}

bool has_script(UChar32 c, UScriptCode script) noexcept {
  UErrorCode status = U_ZERO_ERROR;
  return uscript_getScript(c, &status) == script && U_SUCCESS(status);
}

UChar32 before(const Text& text, std::int32_t index) noexcept {
  return index == 0 ? U_SENTINEL : text.char32At(text.moveIndex32(index, -1));
}
UChar32 after(const Text& text, std::int32_t index) noexcept {
  const std::int32_t next = text.moveIndex32(index, 1);
  return next >= text.length() ? U_SENTINEL : text.char32At(next);
}

bool contains_range(const Text& text, UChar32 first, UChar32 last) noexcept {
  for (std::int32_t i = 0; i < text.length(); i = text.moveIndex32(i, 1)) {
    const UChar32 c = text.char32At(i);
    if (c >= first && c <= last) return true;
  }
  return false;
}

// RFC 5892 A.1: ZERO WIDTH NON-JOINER between joining letters (transparent ones skipped).
bool joins_around(const Text& text, std::int32_t index) noexcept {
  int type = U_JT_NON_JOINING;
  std::int32_t i = index;
  while (i > 0) {
    i = text.moveIndex32(i, -1);
    type = u_getIntPropertyValue(text.char32At(i), UCHAR_JOINING_TYPE);
    if (type != U_JT_TRANSPARENT) break;
  }
  if (type != U_JT_LEFT_JOINING && type != U_JT_DUAL_JOINING) return false;
  for (i = text.moveIndex32(index, 1); i < text.length(); i = text.moveIndex32(i, 1)) {
    type = u_getIntPropertyValue(text.char32At(i), UCHAR_JOINING_TYPE);
    if (type == U_JT_TRANSPARENT) continue;
    return type == U_JT_RIGHT_JOINING || type == U_JT_DUAL_JOINING;
  }
  return false;
}

constexpr int kViramaClass = 9;

}  // namespace

CodePointClass classify(UChar32 c) noexcept {
  if (c >= 0x21 && c <= 0x7E) return CodePointClass::valid;
  CodePointClass exception{};
  if (find_exception(c, exception)) return exception;
  const int category = u_charType(c);
  const bool is_noncharacter = u_hasBinaryProperty(c, UCHAR_NONCHARACTER_CODE_POINT) != 0;
  if (category == U_UNASSIGNED && !is_noncharacter) return CodePointClass::unassigned;
  if (u_hasBinaryProperty(c, UCHAR_JOIN_CONTROL) != 0) return CodePointClass::context_join;
  if (is_old_hangul_jamo(c) || is_noncharacter ||
      u_hasBinaryProperty(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT) != 0 ||
      category == U_CONTROL_CHAR) {
    return CodePointClass::disallowed;
  }
  // HasCompat: toNFKC(c) != c, which is what "no" means for a single code point.
  if (u_getIntPropertyValue(c, UCHAR_NFKC_QUICK_CHECK) == UNORM_NO) {
    return CodePointClass::freeform_only;
  }
  const std::uint32_t mask = U_MASK(category);
  constexpr std::uint32_t kLetterDigits = U_GC_LL_MASK | U_GC_LU_MASK | U_GC_LO_MASK |
                                          U_GC_ND_MASK | U_GC_LM_MASK | U_GC_MN_MASK | U_GC_MC_MASK;
  constexpr std::uint32_t kFreeform = U_GC_LT_MASK | U_GC_NL_MASK | U_GC_NO_MASK | U_GC_ME_MASK |
                                      U_GC_ZS_MASK | U_GC_S_MASK | U_GC_P_MASK;
  if ((mask & kLetterDigits) != 0) return CodePointClass::valid;
  if ((mask & kFreeform) != 0) return CodePointClass::freeform_only;
  return CodePointClass::disallowed;
}

bool context_allows(const Text& text, std::int32_t index) noexcept {
  const UChar32 c = text.char32At(index);
  const UChar32 previous = before(text, index);
  switch (c) {
    case 0x200C:  // A.1
    case 0x200D:  // A.2
      if (previous != U_SENTINEL && u_getCombiningClass(previous) == kViramaClass) return true;
      return c == 0x200C && joins_around(text, index);
    case 0x00B7:  // A.3 MIDDLE DOT, Catalan
      return previous == 'l' && after(text, index) == 'l';
    case 0x0375: {  // A.4 GREEK LOWER NUMERAL SIGN
      const UChar32 next = after(text, index);
      return next != U_SENTINEL && has_script(next, USCRIPT_GREEK);
    }
    case 0x05F3:  // A.5 HEBREW GERESH
    case 0x05F4:  // A.6 HEBREW GERSHAYIM
      return previous != U_SENTINEL && has_script(previous, USCRIPT_HEBREW);
    case 0x30FB:  // A.7 KATAKANA MIDDLE DOT
      for (std::int32_t i = 0; i < text.length(); i = text.moveIndex32(i, 1)) {
        const UChar32 other = text.char32At(i);
        if (has_script(other, USCRIPT_HIRAGANA) || has_script(other, USCRIPT_KATAKANA) ||
            has_script(other, USCRIPT_HAN)) {
          return true;
        }
      }
      return false;
    default:
      break;
  }
  if (c >= 0x0660 && c <= 0x0669) return !contains_range(text, 0x06F0, 0x06F9);  // A.8
  if (c >= 0x06F0 && c <= 0x06F9) return !contains_range(text, 0x0660, 0x0669);  // A.9
  return false;
}

namespace {

enum class StringClass : std::uint8_t { identifier, freeform };

bool belongs_to(const Text& text, StringClass string_class) noexcept {
  for (std::int32_t i = 0; i < text.length(); i = text.moveIndex32(i, 1)) {
    const UChar32 c = text.char32At(i);
    switch (classify(c)) {
      case CodePointClass::valid:
        break;
      case CodePointClass::freeform_only:
        if (string_class != StringClass::freeform) return false;
        break;
      case CodePointClass::context_join:
      case CodePointClass::context_other:
        if (!context_allows(text, i)) return false;
        break;
      case CodePointClass::disallowed:
        return false;
      case CodePointClass::unassigned:
        // Invisible whatever they will be assigned to: not even a newer Unicode makes them valid.
        if (string_class != StringClass::freeform ||
            u_hasBinaryProperty(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT) != 0) {
          return false;
        }
        break;
    }
  }
  return true;
}

constexpr std::uint32_t bidi_mask(int direction) noexcept {
  return std::uint32_t{1} << direction;
}

}  // namespace

bool is_identifier(const Text& text) noexcept {
  return belongs_to(text, StringClass::identifier);
}
bool is_freeform(const Text& text) noexcept {
  return belongs_to(text, StringClass::freeform);
}

bool passes_bidi_rule(const Text& text) noexcept {
  constexpr std::uint32_t kL = bidi_mask(U_LEFT_TO_RIGHT);
  constexpr std::uint32_t kRtl = bidi_mask(U_RIGHT_TO_LEFT) | bidi_mask(U_RIGHT_TO_LEFT_ARABIC);
  constexpr std::uint32_t kAn = bidi_mask(U_ARABIC_NUMBER);
  constexpr std::uint32_t kEn = bidi_mask(U_EUROPEAN_NUMBER);
  constexpr std::uint32_t kNsm = bidi_mask(U_DIR_NON_SPACING_MARK);
  constexpr std::uint32_t kNeutral = kEn | kNsm | bidi_mask(U_EUROPEAN_NUMBER_SEPARATOR) |
                                     bidi_mask(U_COMMON_NUMBER_SEPARATOR) |
                                     bidi_mask(U_EUROPEAN_NUMBER_TERMINATOR) |
                                     bidi_mask(U_OTHER_NEUTRAL) | bidi_mask(U_BOUNDARY_NEUTRAL);

  std::uint32_t seen = 0;
  std::uint32_t first = 0;
  std::uint32_t last = 0;  // the last that is no non-spacing mark
  for (std::int32_t i = 0; i < text.length(); i = text.moveIndex32(i, 1)) {
    const std::uint32_t mask = bidi_mask(u_charDirection(text.char32At(i)));
    if (i == 0) first = mask;
    if (mask != kNsm) last = mask;
    seen |= mask;
  }
  if ((seen & (kRtl | kAn)) == 0) return true;
  if ((first & kRtl) != 0) {
    return (seen & ~(kRtl | kAn | kNeutral)) == 0 && (last & (kRtl | kEn | kAn)) != 0 &&
           (seen & (kEn | kAn)) != (kEn | kAn);
  }
  if (first != kL) return false;
  return (seen & ~(kL | kNeutral)) == 0 && (last & (kL | kEn)) != 0;
}

}  // namespace xmpp::prep
