// Advice for failures.
#include "failure.h"

#include <string_view>

namespace xmppbench {
namespace {

using Stage = xmpp::ClientFailure::Stage;

std::string target_of(const Options& options) {
  return options.target.empty() ? options.domain : options.target;
}

std::string_view advise_stream(const xmpp::ClientFailure& failure) {
  constexpr std::string_view kNoXmpp = "is --target an XMPP client port, does --tls fit it?";
  if (!failure.stream_error) return kNoXmpp;
  switch (failure.stream_error->condition) {
    case xmpp::StreamCondition::bad_format:
    case xmpp::StreamCondition::invalid_namespace:
    case xmpp::StreamCondition::not_well_formed:
      return kNoXmpp;
    case xmpp::StreamCondition::host_unknown:
    case xmpp::StreamCondition::improper_addressing:
      return "the server does not serve --domain";
    case xmpp::StreamCondition::policy_violation:
    case xmpp::StreamCondition::resource_constraint:
      return "the server limits connections: raise its limits or lower --login-rate";
    default:
      return "does --tls fit what the server wants?";
  }
}

std::string_view advise_tls(const xmpp::ClientFailure& failure) {
  // OpenSSL's words for bytes that are no TLS.
  if (failure.text.find("wrong version number") != std::string::npos) {
    return "this port does not speak TLS at once: try --tls starttls";
  }
  if (failure.text.find("certificate") != std::string::npos) {
    return "trust it with --ca FILE, or do not verify: --insecure";
  }
  return "does the server offer TLS there? without it: --tls none";
}

std::string_view advise_sasl(const xmpp::ClientFailure& failure) {
  if (!failure.sasl) return "does the server offer --sasl over this --tls?";
  switch (*failure.sasl) {
    case xmpp::sasl::SaslCondition::not_authorized:
      return "do the accounts exist with this --password? --register makes them";
    case xmpp::sasl::SaslCondition::invalid_mechanism:
    case xmpp::sasl::SaslCondition::mechanism_too_weak:
      return "the server does not offer this: try another --sasl, or --tls starttls";
    case xmpp::sasl::SaslCondition::encryption_required:
      return "the server wants TLS: use --tls starttls";
    default:
      return "see the server's log";
  }
}

std::string_view advise(const xmpp::ClientFailure& failure) {
  switch (failure.stage) {
    case Stage::resolve:
      return "check --target";
    case Stage::connect:
      return "is the server running there? check --target";
    case Stage::tls:
      return advise_tls(failure);
    case Stage::stream:
      return advise_stream(failure);
    case Stage::sasl:
      return advise_sasl(failure);
    case Stage::bind:
    case Stage::none:
      break;
  }
  return "see the server's log";
}

}  // namespace

std::string describe_login_failure(const std::optional<xmpp::ClientFailure>& failure,
                                   const Options& options) {
  if (!failure) return target_of(options) + ": the server closed the stream during login";
  return target_of(options) + ": " + std::string(to_string(failure->stage)) +
         " failed: " + (failure->text.empty() ? std::string("no reason given") : failure->text) +
         " (" + std::string(advise(*failure)) + ")";
}

std::string describe_registration_failure(const std::optional<xmpp::StanzaError>& error) {
  std::string text = "in-band registration failed: ";
  text += error ? std::string(to_string(error->condition)) : std::string("no answer");
  if (error && !error->text.empty()) text += ": " + error->text;
  return text + " (does the server allow it, XEP-0077?)";
}

}  // namespace xmppbench
