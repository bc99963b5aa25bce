// Resource binding, both sides. Spec: RFC 6120 7.
#include "stream/machine.h"
#include "stream/tables.h"
#include "xmpp/base/assert.h"
#include "xmpp/core/namespaces.h"
#include "xmpp/xml/writer.h"

namespace xmpp::stream {
namespace {

constexpr xml::Name kBindName{ns::bind, "bind"};
constexpr xml::Name kResource{ns::bind, "resource"};
constexpr xml::Name kJid{ns::bind, "jid"};
constexpr std::string_view kRequestId = "bind-1";
constexpr int kRefusedBindsMax = 10;  // RFC 6120 7.7.3: 5 to 10

void offer(const StreamMachine& machine, std::string& out) {
  if (machine.policy->content_ns == ns::client) {
    out += "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>";
  }
}

Step on_offered(StreamMachine& machine, xml::Element offered) {
  if (machine.policy->content_ns != ns::client) return {Step::Progress::declined};
  if (!offered) {
    machine.fail({StreamCondition::unsupported_feature, "no resource binding was offered"});
    return {Step::Progress::ended};
  }
  machine.setup->request_id = kRequestId;
  machine.write_with([&](std::string& out) {
    out += "<iq type='set' id='";
    out += kRequestId;
    out += "'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>";
    if (!machine.policy->resource.empty()) {
      out += "<resource>";
      xml::escape_text(out, machine.policy->resource);
      out += "</resource>";
    }
    out += "</bind></iq>";
  });
  return {Step::Progress::waiting};
}

// Receiver: the request.
Step on_request(StreamMachine& machine, const ParsedStanza& parsed) {
  if (parsed.problem || parsed.stanza.type() != StanzaType::set || parsed.stanza.id().empty()) {
    refuse_bind(machine, make_error(parsed.stanza, parsed.problem.value_or(
                                                       StanzaError(StanzaCondition::bad_request))));
    return {Step::Progress::waiting};
  }
  const Payload* payload = parsed.stanza.find(kBindName);
  const xml::Element resource =
      payload == nullptr ? xml::Element() : payload->element().find_child(kResource);
  machine.setup->request_id = parsed.stanza.id();
  machine.report(BindRequested{resource ? resource.text() : std::string()}, Awaiting::bind);
  return {Step::Progress::waiting};
}

// Initiator: the answer.
Step on_answer(StreamMachine& machine, const ParsedStanza& parsed) {
  machine.setup->request_id.clear();
  if (parsed.stanza.is_error()) {
    machine.end({.error = {StreamCondition::undefined_condition, "resource binding was refused"},
                 .bind_failure = parsed.stanza.error().value_or(StanzaError())});
    return {Step::Progress::ended};
  }
  const Payload* payload = parsed.stanza.find(kBindName);
  const xml::Element text =
      payload == nullptr ? xml::Element() : payload->element().find_child(kJid);
  auto address = Jid::parse(text ? text.text() : std::string());
  if (!address || !address->is_full()) {
    machine.end({.error = {StreamCondition::undefined_condition, "the bound address is malformed"},
                 .bind_failure = StanzaError(StanzaCondition::jid_malformed)});
    return {Step::Progress::ended};
  }
  machine.jid = std::move(*address);
  return {Step::Progress::done, StreamBits::bound};
}

Step on_element(StreamMachine& machine, const xml::Document& element) {
  const std::optional<ParsedStanza> parsed = parse_stanza(element, machine.policy->content_ns);
  XMPP_ASSERT(parsed);  // `uses_iq`: it was told from others by being one
  return machine.is_receiver() ? on_request(machine, *parsed) : on_answer(machine, *parsed);
}

// Receiver: before authentication, or a second time.
Step on_denied(StreamMachine& machine, const xml::Document& element) {
  const std::optional<ParsedStanza> parsed = parse_stanza(element, machine.policy->content_ns);
  XMPP_ASSERT(parsed);
  if (!has_any(machine.bits, StreamBits::bound)) {
    machine.fail({StreamCondition::not_authorized, {}});
  } else {
    machine.write(make_error(parsed->stanza, StanzaError(StanzaCondition::not_allowed)));
  }
  return {Step::Progress::waiting};
}

}  // namespace

void refuse_bind(StreamMachine& machine, const Stanza& answer) {
  machine.write(answer);
  if (++machine.setup->refused_binds >= kRefusedBindsMax) {
    machine.fail({StreamCondition::policy_violation, "too many refused binds"});
  }
}

const Feature kBind{
    .name = {ns::bind, "bind"},
    .uses_iq = true,
    .required = kHeaders | StreamBits::authenticated,
    .forbidden = StreamBits::bound,
    .offer = offer,
    .on_offered = on_offered,
    .on_element = on_element,
    .on_denied = on_denied,
};

}  // namespace xmpp::stream
