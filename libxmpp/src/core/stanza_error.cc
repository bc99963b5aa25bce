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

// The new address may be told with these two only (RFC 6120 8.3.3.5, 8.3.3.14).
constexpr bool has_uri(StanzaCondition condition) noexcept {
  return condition == StanzaCondition::gone || condition == StanzaCondition::redirect;
}

// The markup of an element in a form that stands anywhere.
std::string standalone(xml::Element element) {
  std::string out;
  xml::Writer writer(out);
  writer.write(element);
  return out;
}

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

void write_stanza_error(std::string& out, const StanzaError& error) {
  out.append("<error type='").append(to_string(error.type)).append("'><");
  const std::string_view name = to_string(error.condition);
  out.append(name).append(" xmlns='").append(ns::stanza_errors);
  if (has_uri(error.condition) && !error.uri.empty()) {
    out.append("'>");
    xml::escape_text(out, error.uri);
    out.append("</").append(name).append(">");
  } else {
    out.append("'/>");
  }
  if (!error.text.empty()) {
    out.append("<text xmlns='").append(ns::stanza_errors).append("'");
    if (!error.lang.empty()) {
      out.append(" xml:lang='");
      xml::escape_attr(out, error.lang);
      out.append("'");
    }
    out.append(">");
    xml::escape_text(out, error.text);
    out.append("</text>");
  }
  out.append(error.application).append("</error>");
}

StanzaError parse_stanza_error(xml::Element element) {
  StanzaError error;
  bool has_condition = false;
  for (xml::Element child : element.children()) {
    if (child.ns() == ns::stanza_errors) {
      if (child.name() == "text") {
        if (!error.text.empty()) continue;
        error.text = child.text();
        error.lang = child.attr_ns({ns::xml, "lang"}).value_or("");
      } else if (const auto condition = parse_stanza_condition(child.name());
                 condition && !has_condition) {
        has_condition = true;
        error.condition = *condition;
        if (has_uri(*condition)) error.uri = child.text();
      }
    } else if (error.application.empty()) {
      error.application = standalone(child);
    }
  }
  std::string buffer;
  const auto type = element.attr("type", buffer);
  error.type =
      type
          ? find_by_name<StanzaErrorType>(kTypeNames, *type).value_or(default_type(error.condition))
          : default_type(error.condition);
  return error;
}

}  // namespace xmpp
