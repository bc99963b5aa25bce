// Stream limits: what we accept, advertised anew with every <stream:features/> since it grows with
// authentication. Spec: XEP-0478 0.2.0.
#include "stream/machine.h"
#include "stream/tables.h"
#include "xmpp/core/namespaces.h"

namespace xmpp::stream {
namespace {

void offer(const StreamMachine& machine, std::string& out) {
  const bool authenticated = has_any(machine.bits, StreamBits::authenticated);
  const xml::Limits& limits =
      authenticated ? machine.policy->limits : machine.policy->limits_unauthenticated;
  out += "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>";
  out += std::to_string(limits.stanza_bytes);
  out += "</max-bytes>";
  if (machine.policy->idle_seconds != 0) {
    out += "<idle-seconds>";
    out += std::to_string(machine.policy->idle_seconds);
    out += "</idle-seconds>";
  }
  out += "</limits>";
}

}  // namespace

const Feature kLimits{
    .name = {ns::stream_limits, "limits"},
    .required = kHeaders | StreamBits::tls_settled,
    .offer = offer,
};

}  // namespace xmpp::stream
