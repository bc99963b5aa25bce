// The SASL error conditions of RFC 6120 6.5, as data.
//
// Thread-safety: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace xmpp::sasl {

enum class SaslCondition : std::uint8_t {
  aborted,
  account_disabled,
  credentials_expired,
  encryption_required,
  incorrect_encoding,
  invalid_authzid,
  invalid_mechanism,
  malformed_request,
  mechanism_too_weak,
  not_authorized,
  temporary_auth_failure,
};
[[nodiscard]] std::string_view to_string(SaslCondition condition) noexcept;
[[nodiscard]] std::optional<SaslCondition> parse_sasl_condition(std::string_view text) noexcept;

// Why an authentication failed.
struct SaslFailure {
  SaslCondition condition = SaslCondition::not_authorized;
  std::string text;  // optional, for people
  // False if no password was tried (unusable channel binding, storage failure): such a failure must
  // not bring an account or an address nearer to a lock-out.
  bool counts_as_failed_password = true;
};

}  // namespace xmpp::sasl
