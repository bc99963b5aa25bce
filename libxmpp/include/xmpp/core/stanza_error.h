// The stanza error conditions of RFC 6120 8.3.3, as data; <error/> to and from markup.
//
// Thread-safety: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "xmpp/xml/document.h"

namespace xmpp {

enum class StanzaErrorType : std::uint8_t { auth, cancel, continue_, modify, wait };

enum class StanzaCondition : std::uint8_t {
  bad_request,
  conflict,
  feature_not_implemented,
  forbidden,
  gone,
  internal_server_error,
  item_not_found,
  jid_malformed,
  not_acceptable,
  not_allowed,
  not_authorized,
  policy_violation,
  recipient_unavailable,
  redirect,
  registration_required,
  remote_server_not_found,
  remote_server_timeout,
  resource_constraint,
  service_unavailable,
  subscription_required,
  undefined_condition,
  unexpected_request,
};

[[nodiscard]] std::string_view to_string(StanzaCondition condition) noexcept;
[[nodiscard]] std::optional<StanzaCondition> parse_stanza_condition(std::string_view text) noexcept;
// The error type that RFC 6120 8.3.3 associates with a condition.
[[nodiscard]] StanzaErrorType default_type(StanzaCondition condition) noexcept;
[[nodiscard]] std::string_view to_string(StanzaErrorType type) noexcept;

struct StanzaError {
  StanzaCondition condition = StanzaCondition::undefined_condition;
  StanzaErrorType type = StanzaErrorType::cancel;
  std::string text;         // optional, for people
  std::string lang = "en";  // of the text; empty: unknown
  std::string uri;          // of gone and redirect: the new address; else empty
  std::string
      application;  // optional: markup of one application-specific element, namespace declared

  StanzaError() = default;
  StanzaError(StanzaCondition c,
              std::string for_people = {})  // NOLINT(google-explicit-constructor)
      : condition(c), type(default_type(c)), text(std::move(for_people)) {}
};

// Appends <error/> without xmlns: it stands in the content namespace, whichever that is.
void write_stanza_error(std::string& out, const StanzaError& error);
// Reads an <error/> leniently: an unknown condition is undefined-condition, a missing or unknown
// type the condition's default. REQUIRES: element.is_valid().
[[nodiscard]] StanzaError parse_stanza_error(xml::Element element);

}  // namespace xmpp
