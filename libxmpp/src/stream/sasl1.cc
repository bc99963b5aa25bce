// SASL as a stream feature (RFC 6120 6): what both sides share. The receiver's half is
// sasl1_receiver.cc, the initiator's sasl1_initiator.cc. See stream/sasl1.h.
#include "stream/sasl1.h"

#include "stream/tables.h"
#include "xmpp/base/encoding.h"
#include "xmpp/core/namespaces.h"

namespace xmpp::stream {
namespace {

Step on_element(StreamMachine& machine, const xml::Document& element) {
  return machine.is_receiver() ? on_sasl_request(machine, element.root())
                               : on_sasl_answer(machine, element.root());
}

}  // namespace

SaslData parse_sasl_data(const xml::Element& element) {
  std::string buffer;
  const std::string_view text = element.text(buffer);
  if (text.empty()) return {};
  if (text == "=") return {true, std::string()};
  std::optional<std::string> bytes = base64_decode(text);
  const bool is_base64 = bytes.has_value();
  return {is_base64, std::move(bytes)};
}

void write_sasl(StreamMachine& machine, std::string_view name, std::string_view base64,
                std::string_view attribute) {
  machine.write_with([&](std::string& out) {
    out += '<';
    out += name;
    out += " xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";
    out += attribute;
    if (base64.empty()) {
      out += "/>";
      return;
    }
    out += '>';
    out += base64;
    out += "</";
    out += name;
    out += '>';
  });
}

const Feature kSasl{
    .name = {ns::sasl, "mechanisms"},
    .required = kHeaders | StreamBits::tls_settled,
    .forbidden = StreamBits::authenticated,
    .offer = offer_sasl,
    .on_offered = on_sasl_offered,
    .on_element = on_element,
    .on_denied = on_sasl_denied,
};

}  // namespace xmpp::stream
