// SASL, the receiver's half: <mechanisms/>, <auth/>, <response/>, <abort/>. See stream/sasl1.h.
// Spec: RFC 6120 6.3-6.5, XEP-0440.
#include <algorithm>

#include "stream/sasl1.h"
#include "xmpp/base/encoding.h"
#include "xmpp/core/namespaces.h"
#include "xmpp/xml/writer.h"

namespace xmpp::stream {
namespace {

using sasl::SaslCondition;

// Failures of any kind are limited too, less strictly: an honest client tries several mechanisms.
constexpr int kAttemptsPerFailure = 4;

// The bindings that may be used on this connection.
sasl::ChannelBindings usable_bindings(const Setup& setup) {
  sasl::ChannelBindings usable;
  for (const sasl::ChannelBindingType type : setup.offer.binding_types) {
    if (type == sasl::ChannelBindingType::tls_exporter)
      usable.tls_exporter = setup.tls.tls_exporter;
    if (type == sasl::ChannelBindingType::tls_server_end_point) {
      usable.tls_server_end_point = setup.tls.tls_server_end_point;
    }
  }
  return usable;
}

std::vector<sasl::MechanismId> usable_mechanisms(const Setup& setup) {
  std::vector<sasl::MechanismId> usable = setup.offer.mechanisms;
  if (usable_bindings(setup).is_empty()) std::erase_if(usable, sasl::is_plus);
  return usable;
}

Step fail_with(StreamMachine& machine, SaslCondition condition, bool counts) {
  return fail_sasl(machine, {condition, {}, counts});
}

void forget_exchange(StreamMachine& machine) {
  Setup& setup = *machine.setup;
  machine.mechanism.reset();
  setup.server.reset();
  setup.challenged = false;
  setup.username.clear();
  setup.additional_data.clear();
}

// RFC 6120 6.4.5: has the peer had all its retries? Then the stream has ended.
bool ends_for_attempts(StreamMachine& machine) {
  const Setup& setup = *machine.setup;
  const int most = machine.policy->auth_failures_max;
  if (setup.failures < most && setup.attempts < most * kAttemptsPerFailure) return false;
  machine.fail({StreamCondition::policy_violation, "too many failed authentications"});
  return true;
}

Step on_auth(StreamMachine& machine, const xml::Element& element) {
  Setup& setup = *machine.setup;
  if (setup.server != nullptr) {
    // RFC 6120 6.4.2: the new exchange takes the place of the one under way.
    forget_exchange(machine);
    ++setup.attempts;
    if (ends_for_attempts(machine)) return {Step::Progress::ended};
  }
  const std::vector<sasl::MechanismId> usable = usable_mechanisms(setup);
  const auto id = sasl::parse_mechanism(element.attr("mechanism").value_or(""));
  if (!id || std::ranges::find(usable, *id) == usable.end()) {
    // Nothing is offered without TLS: that is what the peer has to know.
    const bool needs_tls = usable.empty() && !has_any(machine.bits, StreamBits::secure);
    return fail_with(
        machine, needs_tls ? SaslCondition::encryption_required : SaslCondition::invalid_mechanism,
        false);
  }
  machine.mechanism = id;
  const SaslData data = parse_sasl_data(element);
  if (!data.is_base64) return fail_with(machine, SaslCondition::incorrect_encoding, true);
  setup.server =
      sasl::make_server_mechanism(*id, {.domain = setup.offer.domain,
                                        .channel_bindings = usable_bindings(setup),
                                        .plus_offered = std::ranges::any_of(usable, sasl::is_plus),
                                        .server_secret = setup.offer.scram_secret,
                                        .iterations = setup.offer.scram_iterations,
                                        .rng = setup.rng});
  return handle_sasl_step(machine, setup.server->start(data.bytes));
}

Step on_response(StreamMachine& machine, const xml::Element& element) {
  Setup& setup = *machine.setup;
  if (!std::exchange(setup.challenged, false)) {
    return fail_with(machine, SaslCondition::malformed_request, true);
  }
  const SaslData data = parse_sasl_data(element);
  if (!data.is_base64) return fail_with(machine, SaslCondition::incorrect_encoding, true);
  return handle_sasl_step(machine, setup.server->respond(data.bytes.value_or(std::string())));
}

Step on_success(StreamMachine& machine, sasl::ServerSuccess success) {
  Setup& setup = *machine.setup;
  // EXTERNAL may name a whole address, the others name a localpart.
  auto address = success.username.find('@') == std::string::npos
                     ? Jid::make(success.username, setup.offer.domain)
                     : Jid::parse(success.username);
  if (!address) return fail_with(machine, SaslCondition::not_authorized, true);
  // RFC 6120 6.4.6.
  if (machine.names_somebody_else(*address)) {
    machine.fail({StreamCondition::invalid_from, {}});
    return {Step::Progress::ended};
  }
  setup.additional_data = std::move(success.additional_data);
  machine.report(Authenticated{address->bare(), machine.mechanism_name()}, Awaiting::authenticated);
  return {Step::Progress::waiting};
}

}  // namespace

void offer_sasl(const StreamMachine& machine, std::string& out) {
  const std::vector<sasl::MechanismId> usable = usable_mechanisms(*machine.setup);
  if (usable.empty()) return;
  out += "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>";
  for (const sasl::MechanismId id : usable) {
    out += "<mechanism>";
    out += to_string(id);
    out += "</mechanism>";
  }
  out += "</mechanisms>";
}

Step on_sasl_request(StreamMachine& machine, const xml::Element& element) {
  const std::string_view name = element.name();
  if (name == "auth") return on_auth(machine, element);
  if (name == "response") return on_response(machine, element);
  if (name == "abort") return fail_with(machine, SaslCondition::aborted, false);
  machine.fail({StreamCondition::unsupported_stanza_type, {}});
  return {Step::Progress::ended};
}

Step on_sasl_denied(StreamMachine& machine, const xml::Document& /*element*/) {
  if (has_any(machine.bits, StreamBits::authenticated)) {
    machine.fail({StreamCondition::unsupported_stanza_type, {}});
    return {Step::Progress::ended};
  }
  return fail_with(machine, SaslCondition::encryption_required, false);
}

Step handle_sasl_step(StreamMachine& machine, sasl::ServerStep step) {
  Setup& setup = *machine.setup;
  if (auto* challenge = std::get_if<sasl::Challenge>(&step)) {
    setup.challenged = true;
    write_sasl(machine, "challenge", base64_encode(challenge->data));
  } else if (auto* keys = std::get_if<sasl::NeedScramKeys>(&step)) {
    setup.username = keys->username;
    machine.report(CredentialsWanted{std::move(keys->username), keys->hash}, Awaiting::keys);
  } else if (auto* password = std::get_if<sasl::NeedPassword>(&step)) {
    setup.username = password->username;
    machine.report(PasswordOffered{std::move(password->username), std::move(password->password)},
                   Awaiting::verdict);
  } else if (auto* identity = std::get_if<sasl::NeedIdentity>(&step)) {
    setup.username = identity->authzid;
    machine.report(IdentityWanted{std::move(identity->authzid)}, Awaiting::identity);
  } else if (auto* success = std::get_if<sasl::ServerSuccess>(&step)) {
    return on_success(machine, std::move(*success));
  } else {
    return fail_sasl(machine, std::get<sasl::SaslFailure>(step));
  }
  return {Step::Progress::waiting};
}

Step fail_sasl(StreamMachine& machine, const sasl::SaslFailure& failure) {
  Setup& setup = *machine.setup;
  machine.write_with([&](std::string& out) {
    out += "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><";
    out += to_string(failure.condition);
    out += "/>";
    if (!failure.text.empty()) {
      out += "<text xml:lang='en'>";
      xml::escape_text(out, failure.text);
      out += "</text>";
    }
    out += "</failure>";
  });
  machine.report(AuthenticationFailed{std::exchange(setup.username, {}), machine.mechanism_name(),
                                      failure.condition, failure.counts_as_failed_password});
  forget_exchange(machine);
  if (failure.counts_as_failed_password) ++setup.failures;
  ++setup.attempts;
  return {ends_for_attempts(machine) ? Step::Progress::ended : Step::Progress::waiting};
}

}  // namespace xmpp::stream
