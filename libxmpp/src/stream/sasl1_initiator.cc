// SASL, the initiator's half: picks a mechanism, answers challenges, and tries the next mechanism
// where that cannot be a downgrade or a lock-out. See stream/sasl1.h. Spec: RFC 6120 6.3-6.5,
// XEP-0440.
#include <algorithm>

#include "stream/sasl1.h"
#include "xmpp/base/encoding.h"
#include "xmpp/core/namespaces.h"

namespace xmpp::stream {
namespace {

using sasl::SaslCondition;

constexpr xml::Name kMechanism{ns::sasl, "mechanism"};
constexpr xml::Name kMechanisms{ns::sasl, "mechanisms"};
constexpr xml::Name kText{ns::sasl, "text"};
constexpr xml::Name kBindings{ns::sasl_channel_binding, "sasl-channel-binding"};

Step give_up(StreamMachine& machine, std::string why, SaslCondition condition) {
  machine.end({.error = {StreamCondition::not_authorized, std::move(why)},
               .sasl_failure = machine.setup->failure.value_or(condition)});
  return {Step::Progress::ended};
}

std::vector<std::string> offered_names(const xml::Element& offered) {
  std::vector<std::string> names;
  for (const xml::Element child : offered.children()) {
    if (child.is(kMechanism)) names.push_back(child.text());
  }
  return names;
}

// XEP-0440: nullopt if the server does not say.
std::optional<std::vector<sasl::ChannelBindingType>> advertised_bindings(
    const StreamMachine& machine) {
  const xml::Element element = machine.features.root().find_child(kBindings);
  if (!element) return std::nullopt;
  std::vector<sasl::ChannelBindingType> types;
  for (const xml::Element child : element.children()) {
    const auto type = sasl::parse_channel_binding_type(child.attr("type").value_or(""));
    if (type) types.push_back(*type);
  }
  return types;
}

Step begin(StreamMachine& machine, const xml::Element& offered) {
  const StreamPolicy& policy = *machine.policy;
  Setup& setup = *machine.setup;
  if (!offered) {
    return give_up(machine, "no mechanisms were offered", SaslCondition::invalid_mechanism);
  }
  sasl::ClientPolicy choice_policy{.tls = has_any(machine.bits, StreamBits::secure),
                                   .channel_bindings = setup.tls,
                                   .use_channel_binding = policy.channel_binding,
                                   .allow_plain_without_tls = policy.plain_without_tls,
                                   .has_password = !policy.password.empty(),
                                   .external = policy.external,
                                   .anonymous = policy.jid.local().empty(),
                                   .only = {},
                                   .refused = setup.refused};
  if (policy.mechanism != "auto") {
    choice_policy.only = sasl::parse_mechanism(policy.mechanism);
    if (!choice_policy.only) {
      return give_up(machine, "unknown mechanism: " + policy.mechanism,
                     SaslCondition::invalid_mechanism);
    }
  }
  const auto choice =
      sasl::choose_mechanism(offered_names(offered), advertised_bindings(machine), choice_policy);
  if (!choice) {
    return give_up(machine, std::string(to_string(choice.error())),
                   SaslCondition::invalid_mechanism);
  }
  sasl::ClientCredentials credentials;
  credentials.username = policy.jid.local();
  credentials.password = policy.password;
  credentials.cache = policy.password_cache;
  setup.client =
      sasl::make_client_mechanism(*choice, std::move(credentials), setup.tls, *setup.rng);
  machine.mechanism = choice->id;
  const auto initial = setup.client->start();
  if (!initial) {
    return give_up(machine, std::string(to_string(initial.error().code)),
                   SaslCondition::malformed_request);
  }
  write_sasl(machine, "auth", initial->empty() ? "=" : base64_encode(*initial),
             " mechanism='" + machine.mechanism_name() + "'");
  return {Step::Progress::waiting};
}

Step on_challenge(StreamMachine& machine, const xml::Element& element) {
  const SaslData data = parse_sasl_data(element);
  if (!data.is_base64) {
    write_sasl(machine, "abort", {});
    return give_up(machine, "the challenge is not base64", SaslCondition::incorrect_encoding);
  }
  const auto response = machine.setup->client->receive(data.bytes.value_or(std::string()));
  if (!response) {
    write_sasl(machine, "abort", {});
    return give_up(machine, std::string(to_string(response.error().code)), SaslCondition::aborted);
  }
  write_sasl(machine, "response", base64_encode(*response));
  return {Step::Progress::waiting};
}

Step on_success(StreamMachine& machine, const xml::Element& element) {
  const SaslData data = parse_sasl_data(element);
  if (!data.is_base64) {
    return give_up(machine, "<success/> is not base64", SaslCondition::incorrect_encoding);
  }
  std::optional<std::string_view> additional;
  if (data.bytes) additional = *data.bytes;
  if (const auto proved = machine.setup->client->finish(additional); !proved) {
    return give_up(machine, std::string(to_string(proved.error().code)), SaslCondition::aborted);
  }
  machine.setup->client.reset();
  machine.jid = machine.policy->jid.is_empty() ? Jid() : machine.policy->jid.bare();
  machine.parser.set_limits(machine.policy->limits);
  machine.report(Authenticated{machine.jid, machine.mechanism_name()});
  return {Step::Progress::done, StreamBits::authenticated, true};
}

Step on_failure(StreamMachine& machine, const xml::Element& element) {
  Setup& setup = *machine.setup;
  SaslCondition condition = SaslCondition::not_authorized;
  std::string text;
  for (const xml::Element child : element.children()) {
    if (child.is(kText)) {
      text = child.text();
    } else if (const auto known = sasl::parse_sasl_condition(child.name())) {
      condition = *known;
    }
  }
  setup.failure = condition;
  setup.client.reset();
  // Only these say nothing about the password; trying on after any other could lock the account or
  // give the password to a mechanism that somebody in between prefers.
  const bool harmless = condition == SaslCondition::invalid_mechanism ||
                        condition == SaslCondition::temporary_auth_failure;
  const bool another = machine.policy->mechanism == "auto";
  if (!harmless || !another) return give_up(machine, std::move(text), condition);
  setup.refused.push_back(*machine.mechanism);
  return begin(machine, machine.features.root().find_child(kMechanisms));
}

}  // namespace

Step on_sasl_offered(StreamMachine& machine, xml::Element offered) {
  Setup& setup = *machine.setup;
  if (machine.policy->pause_before_authentication && !setup.authentication_started) {
    machine.report(ReadyToAuthenticate{});
    return {Step::Progress::waiting};
  }
  return begin(machine, offered);
}

Step on_sasl_answer(StreamMachine& machine, const xml::Element& element) {
  const std::string_view name = element.name();
  if (machine.setup->client == nullptr) {
    machine.fail({StreamCondition::unsupported_stanza_type, {}});
    return {Step::Progress::ended};
  }
  if (name == "challenge") return on_challenge(machine, element);
  if (name == "success") return on_success(machine, element);
  if (name == "failure") return on_failure(machine, element);
  machine.fail({StreamCondition::unsupported_stanza_type, {}});
  return {Step::Progress::ended};
}

}  // namespace xmpp::stream
