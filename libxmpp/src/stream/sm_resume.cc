// Taking up an earlier stream instead of binding a resource, initiator. Spec: XEP-0198 5.
#include <charconv>

#include "stream/machine.h"
#include "stream/tables.h"
#include "xmpp/core/namespaces.h"
#include "xmpp/xml/writer.h"

namespace xmpp::stream {
namespace {

constexpr xml::Name kResumed{ns::sm, "resumed"};
constexpr xml::Name kFailed{ns::sm, "failed"};

std::optional<std::uint32_t> handled_of(const xml::Element& element) {
  const auto text = element.attr("h");
  if (!text) return std::nullopt;
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (error != std::errc() || end != text->data() + text->size()) return std::nullopt;
  return value;
}

Step on_offered(StreamMachine& machine, xml::Element offered) {
  const auto& wanted = machine.policy->resumption;
  if (!offered || !wanted || machine.setup->resumption_tried) return {Step::Progress::declined};
  machine.setup->resumption_tried = true;
  machine.write_with([&](std::string& out) {
    out += "<resume xmlns='urn:xmpp:sm:3' h='" + std::to_string(wanted->handled) + "' previd='";
    xml::escape_attr(out, wanted->id);
    out += "'/>";
  });
  return {Step::Progress::waiting};
}

Step on_element(StreamMachine& machine, const xml::Document& element) {
  const xml::Element root = element.root();
  if (!machine.is_receiver() && root.is(kResumed)) {
    const auto handled = handled_of(root);
    if (!handled) {
      machine.fail({StreamCondition::invalid_xml, {}});
      return {Step::Progress::ended};
    }
    machine.jid = machine.policy->resumption->jid;
    machine.report(Resumed{*handled});
    return {Step::Progress::done, StreamBits::bound};
  }
  if (!machine.is_receiver() && root.is(kFailed)) {
    machine.report(ResumptionFailed{handled_of(root)});
    return {Step::Progress::done};
  }
  machine.fail({StreamCondition::unsupported_stanza_type, {}});
  return {Step::Progress::ended};
}

}  // namespace

const Feature kResume{
    .name = {ns::sm, "sm"},
    .required = kHeaders | StreamBits::authenticated,
    .forbidden = StreamBits::bound,
    .on_offered = on_offered,
    .on_element = on_element,
};

}  // namespace xmpp::stream
