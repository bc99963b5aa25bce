// The three profiles over ICU. ASCII that the tables know does not come here through Jid::parse,
// but may through a direct call.
#include "xmpp/core/prep.h"

#include <arpa/inet.h>
#include <unicode/bytestream.h>
#include <unicode/idna.h>
#include <unicode/locid.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/usprep.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/ascii.h"
#include "core/precis.h"
#include "xmpp/base/assert.h"
#include "xmpp/base/utf8.h"

namespace xmpp::prep {
namespace {

using Text = icu::UnicodeString;
using Prepared = Result<std::string, JidError>;

// Preparation may shrink text (decomposed, full-width, A-labels), but never so much; bounds the
// work that a hostile address costs.
constexpr std::size_t kRawBytesMax = Jid::kPartBytesMax * 4;
// RFC 8264 7: where a pass changes its own output, repeat; three repetitions must be enough.
constexpr int kPassesMax = 4;

const icu::Normalizer2& nfc() {
  static const icu::Normalizer2* const instance = [] {
    UErrorCode status = U_ZERO_ERROR;
    const auto* normalizer = icu::Normalizer2::getNFCInstance(status);
    XMPP_ASSERT(U_SUCCESS(status));
    return normalizer;
  }();
  return *instance;
}
const icu::Normalizer2& nfkc() {
  static const icu::Normalizer2* const instance = [] {
    UErrorCode status = U_ZERO_ERROR;
    const auto* normalizer = icu::Normalizer2::getNFKCInstance(status);
    XMPP_ASSERT(U_SUCCESS(status));
    return normalizer;
  }();
  return *instance;
}

bool normalize(Text& text) {
  UErrorCode status = U_ZERO_ERROR;
  if (nfc().isNormalized(text, status) && U_SUCCESS(status)) return true;
  status = U_ZERO_ERROR;
  Text out = nfc().normalize(text, status);
  text.swap(out);
  return U_SUCCESS(status);
}

// The decomposition mapping of a full-width or half-width code point (RFC 8264 5.2.1); others stay.
void map_width(Text& text) {
  Text out;
  bool changed = false;
  for (std::int32_t i = 0; i < text.length(); i = text.moveIndex32(i, 1)) {
    const UChar32 c = text.char32At(i);
    const int type = u_getIntPropertyValue(c, UCHAR_DECOMPOSITION_TYPE);
    Text mapped;
    if ((type == U_DT_WIDE || type == U_DT_NARROW) && nfkc().getRawDecomposition(c, mapped)) {
      out.append(mapped);
      changed = true;
    } else {
      out.append(c);
    }
  }
  if (changed) text.swap(out);
}

// RFC 8265 4.2.2: a space separator outside ASCII becomes U+0020.
void map_spaces(Text& text) {
  for (std::int32_t i = 0; i < text.length(); ++i) {
    // All space separators are in the BMP.
    if (text.charAt(i) > 0x7F && u_charType(text.charAt(i)) == U_SPACE_SEPARATOR) {
      text.setCharAt(i, u' ');
    }
  }
}

// RFC 8265 3.3 once: width, class, case, normalisation, direction.
bool apply_username(Text& text) {
  map_width(text);
  if (!is_identifier(text)) return false;
  text.toLower(icu::Locale::getRoot());
  return normalize(text) && passes_bidi_rule(text);
}

// RFC 8265 4.2 once.
bool apply_opaque(Text& text) {
  if (!is_freeform(text)) return false;
  map_spaces(text);
  return normalize(text);
}

// Repeats a profile until its output is stable; nullopt if it refuses or never is.
std::optional<std::string> enforce(std::string_view text, bool (*apply)(Text&)) {
  Text current = Text::fromUTF8(icu::StringPiece(text.data(), static_cast<int>(text.size())));
  for (int pass = 0; pass < kPassesMax; ++pass) {
    const Text previous = current;
    if (!apply(current)) return std::nullopt;
    if (current == previous) {
      std::string out;
      return current.toUTF8String(out);
    }
  }
  return std::nullopt;
}

Prepared check_length(std::string&& text) {
  if (text.empty()) return Err(JidError::empty);
  if (text.size() > Jid::kPartBytesMax) return Err(JidError::too_long);
  return std::move(text);
}

// RFC 7622 3.2: an IPv6 address stands in brackets. Canonical text makes equal addresses equal.
Prepared prepare_ipv6(std::string_view text) {
  if (text.size() < 4 || text.back() != ']') return Err(JidError::bad_domainpart);
  const std::string inner(text.substr(1, text.size() - 2));
  in6_addr address{};
  // inet_pton stops at a zero byte, which std::string may hold.
  if (inner.find('\0') != std::string::npos || inet_pton(AF_INET6, inner.c_str(), &address) != 1) {
    return Err(JidError::bad_domainpart);
  }
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  const char* canonical = inet_ntop(AF_INET6, &address, buffer.data(), buffer.size());
  XMPP_ASSERT(canonical != nullptr);
  return "[" + std::string(canonical) + "]";
}

const icu::IDNA& idna() {
  static const icu::IDNA* const instance = [] {
    UErrorCode status = U_ZERO_ERROR;
    const auto* created = icu::IDNA::createUTS46Instance(
        UIDNA_USE_STD3_RULES | UIDNA_CHECK_BIDI | UIDNA_CHECK_CONTEXTJ | UIDNA_CHECK_CONTEXTO |
            UIDNA_NONTRANSITIONAL_TO_ASCII | UIDNA_NONTRANSITIONAL_TO_UNICODE,
        status);
    XMPP_ASSERT(U_SUCCESS(status) && created != nullptr);
    return created;
  }();
  return *instance;
}

// RFC 5892 2.4: combining marks for symbols and musical notation, which PRECIS has no rule against.
bool is_in_ignorable_block(char32_t c) noexcept {
  return (c >= 0x20D0 && c <= 0x20FF) || (c >= 0x1D100 && c <= 0x1D24F);
}

// UTS 46 is laxer than IDNA2008 (symbols, emoji): U-labels consist of PVALID code points only.
bool has_idna2008_code_points(std::string_view domain) {
  for (std::size_t at = 0; at < domain.size();) {
    const char32_t c = utf8::decode(domain, at);
    if (c < 0x80) {
      if (kDomainTable[c] != static_cast<char>(c)) return false;
      continue;
    }
    if (is_in_ignorable_block(c)) return false;
    const CodePointClass kind = classify(static_cast<UChar32>(c));
    if (kind != CodePointClass::valid && kind != CodePointClass::context_join &&
        kind != CodePointClass::context_other) {
      return false;
    }
  }
  return true;
}

// Labels are bounded in their ASCII form; the whole by Jid::kPartBytesMax, not by the DNS.
bool has_short_labels(std::string_view domain) {
  icu::IDNAInfo info;
  UErrorCode status = U_ZERO_ERROR;
  std::string ascii;
  icu::StringByteSink<std::string> sink(&ascii);
  idna().nameToASCII_UTF8({domain.data(), static_cast<int>(domain.size())}, sink, info, status);
  return U_SUCCESS(status) && (info.getErrors() & ~UIDNA_ERROR_DOMAIN_NAME_TOO_LONG) == 0U;
}

std::optional<std::string> nodeprep(std::string_view text) {
  static const UStringPrepProfile* const profile = [] {
    UErrorCode status = U_ZERO_ERROR;
    const auto* opened = usprep_openByType(USPREP_RFC3920_NODEPREP, &status);
    XMPP_ASSERT(U_SUCCESS(status));
    return opened;
  }();
  const Text in = Text::fromUTF8(icu::StringPiece(text.data(), static_cast<int>(text.size())));
  // Mapping expands a code point to at most four, NFKC to 18.
  std::vector<char16_t> buffer(static_cast<std::size_t>(in.length()) * 18 + 16);
  UErrorCode status = U_ZERO_ERROR;
  // Code points newer than Unicode 3.2 pass unchanged in the peers that still use nodeprep.
  const std::int32_t size = usprep_prepare(profile, in.getBuffer(), in.length(), buffer.data(),
                                           static_cast<std::int32_t>(buffer.size()),
                                           USPREP_ALLOW_UNASSIGNED, nullptr, &status);
  if (U_FAILURE(status)) return std::nullopt;
  std::string out;
  return Text(buffer.data(), size).toUTF8String(out);
}

}  // namespace

Prepared prepare_local(std::string_view text) {
  if (text.empty()) return Err(JidError::empty);
  if (text.size() > kRawBytesMax) return Err(JidError::too_long);
  std::string out(text.size(), '\0');
  if (map_ascii(kLocalTable, text, out.data())) return check_length(std::move(out));
  if (!utf8::is_valid(text)) return Err(JidError::bad_localpart);
  auto prepared = enforce(text, apply_username);
  if (!prepared) return Err(JidError::bad_localpart);
  // RFC 7622 3.3.1, checked on the result: a full-width '@' maps to an excluded one.
  for (const char c : *prepared) {
    if (static_cast<unsigned char>(c) < 0x80 && kLocalTable[static_cast<unsigned char>(c)] == 0) {
      return Err(JidError::bad_localpart);
    }
  }
  return check_length(*std::move(prepared));
}

Prepared prepare_resource(std::string_view text) {
  if (text.empty()) return Err(JidError::empty);
  if (text.size() > kRawBytesMax) return Err(JidError::too_long);
  std::string out(text.size(), '\0');
  if (map_ascii(kResourceTable, text, out.data())) return check_length(std::move(out));
  if (!utf8::is_valid(text)) return Err(JidError::bad_resourcepart);
  auto prepared = enforce(text, apply_opaque);
  if (!prepared) return Err(JidError::bad_resourcepart);
  return check_length(*std::move(prepared));
}

Prepared prepare_domain(std::string_view text) {
  const bool had_dot = !text.empty() && text.back() == '.';
  if (had_dot) text.remove_suffix(1);
  if (text.empty()) return Err(JidError::empty);
  if (text.size() > kRawBytesMax) return Err(JidError::too_long);
  if (text.front() == '[') return prepare_ipv6(text);
  std::string out(text.size(), '\0');
  if (map_ascii(kDomainTable, text, out.data()) && has_plain_labels(out)) {
    return check_length(std::move(out));
  }
  if (!utf8::is_valid(text)) return Err(JidError::bad_domainpart);
  icu::IDNAInfo info;
  UErrorCode status = U_ZERO_ERROR;
  out.clear();
  icu::StringByteSink<std::string> sink(&out);
  idna().nameToUnicodeUTF8({text.data(), static_cast<int>(text.size())}, sink, info, status);
  if (!out.empty() && out.back() == '.') {
    // A dot of another script maps to '.' only now; one is dropped, not two.
    if (had_dot) return Err(JidError::bad_domainpart);
    out.pop_back();
  }
  if (U_FAILURE(status) || info.hasErrors() || !has_idna2008_code_points(out) ||
      !has_short_labels(out)) {
    return Err(JidError::bad_domainpart);
  }
  return check_length(std::move(out));
}

bool nodeprep_differs(std::string_view local) {
  const auto prepared = prepare_local(local);
  if (!prepared) return true;
  // Both the name as given and the name as we shall write it must mean this account to such a peer.
  return nodeprep(local) != *prepared || nodeprep(*prepared) != *prepared;
}

}  // namespace xmpp::prep
