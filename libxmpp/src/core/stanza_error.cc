// Names and default types of the stanza error conditions, in the order of the enum; <error/> to and
// from markup. RFC 6120 8.3.
#include "xmpp/core/stanza_error.h"

#include "core/error_names.h"
#include "xmpp/core/namespaces.h"
#include "xmpp/xml/writer.h"

namespace xmpp {
namespace {

constexpr auto kNames = std::to_array<std::string_view>({
    "bad-request",
    "conflict",
    "feature-not-implemented",
    "forbidden",
    "gone",
    "internal-server-error",
    "item-not-found",
    "jid-malformed",
    "not-acceptable",
    "not-allowed",
    "not-authorized",
    "policy-violation",
    "recipient-unavailable",
    "redirect",
    "registration-required",
    "remote-server-not-found",
    "remote-server-timeout",
    "resource-constraint",
    "service-unavailable",
    "subscription-required",
    "undefined-condition",
    "unexpected-request",
});
static_assert(kNames.size() == static_cast<std::size_t>(StanzaCondition::unexpected_request) + 1);

using enum StanzaErrorType;
constexpr auto kTypes = std::to_array<StanzaErrorType>({
    modify,  // bad-request
    cancel,  // conflict
    cancel,  // feature-not-implemented
    auth,    // forbidden
    cancel,  // gone
    cancel,  // internal-server-error
    cancel,  // item-not-found
    modify,  // jid-malformed
    modify,  // not-acceptable
    cancel,  // not-allowed
    auth,    // not-authorized
    modify,  // policy-violation
    wait,    // recipient-unavailable
    modify,  // redirect
    auth,    // registration-required
    cancel,  // remote-server-not-found
    wait,    // remote-server-timeout
    wait,    // resource-constraint
    cancel,  // service-unavailable
    auth,    // subscription-required
    cancel,  // undefined-condition
    wait,    // unexpected-request
});
static_assert(kTypes.size() == kNames.size());

constexpr auto kTypeNames =
    std::to_array<std::string_view>({"auth", "cancel", "continue", "modify", "wait"});

constexpr xml::Name kText{ns::stanza_errors, "text"};

}  // namespace

std::string_view to_string(StanzaCondition condition) noexcept {
  return kNames[static_cast<std::size_t>(condition)];
}

std::optional<StanzaCondition> parse_stanza_condition(std::string_view text) noexcept {
  return find_by_name<StanzaCondition>(kNames, text);
}

StanzaErrorType default_type(StanzaCondition condition) noexcept {
  return kTypes[static_cast<std::size_t>(condition)];
}

std::string_view to_string(StanzaErrorType type) noexcept {
  return kTypeNames[static_cast<std::size_t>(type)];
}

}  // namespace xmpp
