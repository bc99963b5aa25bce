// The session request of RFC 3921: we do not offer it, and as initiator send it only to a server
// that offers it without <optional/>, so to one that would not go on without it. Spec: RFC 3921 3,
// draft-cridland-xmpp-session (<optional/>).
#include "stream/machine.h"
#include "stream/tables.h"
#include "xmpp/core/namespaces.h"

namespace xmpp::stream {
namespace {

constexpr xml::Name kOptional{ns::session, "optional"};
constexpr std::string_view kRequestId = "session-1";

Step on_offered(StreamMachine& machine, xml::Element offered) {
  if (!offered || offered.find_child(kOptional)) return {Step::Progress::declined};
  machine.setup->request_id = kRequestId;
  machine.write_with([](std::string& out) {
    out += "<iq type='set' id='";
    out += kRequestId;
    out += "'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>";
  });
  return {Step::Progress::waiting};
}

Step on_element(StreamMachine& machine, const xml::Document& element) {
  // The answer is of no consequence: the resource is bound.
  static_cast<void>(element);
  machine.setup->request_id.clear();
  return {Step::Progress::done, StreamBits::session_settled};
}

}  // namespace

const Feature kSession{
    .name = {ns::session, "session"},
    .uses_iq = true,
    .required = kHeaders | StreamBits::authenticated | StreamBits::bound,
    .forbidden = StreamBits::session_settled,
    .on_offered = on_offered,
    .on_element = on_element,
};

}  // namespace xmpp::stream
