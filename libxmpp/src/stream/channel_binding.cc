// The channel bindings that SASL may use, advertised beside <mechanisms/>. The initiator's half is
// in sasl1_initiator.cc, which reads it when it picks a mechanism. Spec: XEP-0440 1.0.0.
#include <algorithm>

#include "stream/machine.h"
#include "stream/tables.h"
#include "xmpp/core/namespaces.h"

namespace xmpp::stream {
namespace {

void offer(const StreamMachine& machine, std::string& out) {
  const Setup& setup = *machine.setup;
  // Types without a mechanism that uses them look like an attack (XEP-0440 3).
  if (std::ranges::none_of(setup.offer.mechanisms, sasl::is_plus)) return;
  std::string types;
  for (const sasl::ChannelBindingType type : setup.offer.binding_types) {
    if (!setup.tls.has(type)) continue;
    types += "<channel-binding type='";
    types += to_string(type);
    types += "'/>";
  }
  if (types.empty()) return;
  out += "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>" + types + "</sasl-channel-binding>";
}

}  // namespace

const Feature kChannelBinding{
    .name = {ns::sasl_channel_binding, "sasl-channel-binding"},
    .required = kHeaders | StreamBits::tls_settled | StreamBits::secure,
    .forbidden = StreamBits::authenticated,
    .offer = offer,
};

}  // namespace xmpp::stream
