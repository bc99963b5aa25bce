// STARTTLS, both sides. Bytes that come in the same read behind <starttls/> or <proceed/> were sent
// in the clear by whoever sits in between: they refuse the whole negotiation (CVE-2011-0411). Spec:
// RFC 6120 5, RFC 7590.
#include "stream/machine.h"
#include "stream/tables.h"
#include "xmpp/core/namespaces.h"

namespace xmpp::stream {
namespace {

constexpr std::string_view kRefusal = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
constexpr xml::Name kRequired{ns::tls, "required"};

Step give_up(StreamMachine& machine, StreamCondition condition, std::string why,
             std::string_view last_words = {}) {
  machine.end({.error = {condition, std::move(why)}}, last_words);
  return {Step::Progress::ended};
}

void offer(const StreamMachine& machine, std::string& out) {
  if (!machine.setup->offer.tls_available) return;
  out += "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>";
  out += machine.setup->offer.tls_required ? "<required/></starttls>" : "</starttls>";
}

Step on_offered(StreamMachine& machine, xml::Element offered) {
  using Tls = StreamPolicy::Tls;
  const Tls policy = machine.policy->tls;
  if (policy == Tls::none && offered && offered.find_child(kRequired)) {
    machine.fail({StreamCondition::unsupported_feature, "TLS is demanded, but not allowed here"});
    return {Step::Progress::ended};
  }
  // RFC 7590 3.1: the offer may have been cut out on the way; who insists on TLS asks all the same.
  const bool is_wanted = offered ? policy != Tls::none : policy == Tls::required;
  if (!is_wanted) return {Step::Progress::declined, StreamBits::tls_settled};
  machine.write("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
  return {Step::Progress::waiting};
}

Step on_element(StreamMachine& machine, const xml::Document& element) {
  const std::string_view name = element.root().name();
  if (machine.is_receiver()) {
    if (name != "starttls") {
      machine.fail({StreamCondition::unsupported_stanza_type, {}});
      return {Step::Progress::ended};
    }
    if (!machine.setup->offer.tls_available) {
      return give_up(machine, StreamCondition::policy_violation, "TLS was not offered", kRefusal);
    }
  } else if (name != "proceed") {
    const bool was_offered = machine.features.root().find_child(kStartTls.name).is_valid();
    return was_offered
               ? give_up(machine, StreamCondition::undefined_condition, "the peer refuses TLS")
               : give_up(machine, StreamCondition::policy_violation,
                         "TLS is required, but not offered");
  }
  if (machine.has_pipelined_bytes()) {
    return give_up(machine, StreamCondition::policy_violation, "data behind the start of TLS",
                   machine.is_receiver() ? kRefusal : std::string_view());
  }
  if (machine.is_receiver()) machine.write("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
  machine.report(StartTls{}, Awaiting::tls);
  return {Step::Progress::waiting};
}

Step on_denied(StreamMachine& machine, const xml::Document& /*element*/) {
  return give_up(machine, StreamCondition::policy_violation, "TLS is not to be had now", kRefusal);
}

}  // namespace

const Feature kStartTls{
    .name = {ns::tls, "starttls"},
    .required = kHeaders,
    .forbidden = StreamBits::secure | StreamBits::authenticated,
    .offer = offer,
    .on_offered = on_offered,
    .on_element = on_element,
    .on_denied = on_denied,
};

}  // namespace xmpp::stream
