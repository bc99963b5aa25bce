// The two halves of SASL (RFC 6120 6), and what both need. See sasl1.cc.
//
// Thread-safety: as StreamMachine.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "stream/machine.h"

namespace xmpp::stream {

// The content of <auth/>, <challenge/>, <response/>, <success/>: absent, decoded, or not base64.
struct SaslData {
  bool is_base64 = true;
  std::optional<std::string> bytes;  // nullopt: the element is empty; "=" is an empty message
};
[[nodiscard]] SaslData parse_sasl_data(const xml::Element& element);
// Writes <name xmlns='...'>base64</name>; `attribute` is markup for the start tag.
void write_sasl(StreamMachine& machine, std::string_view name, std::string_view base64,
                std::string_view attribute = {});

// sasl1_receiver.cc
void offer_sasl(const StreamMachine& machine, std::string& out);
[[nodiscard]] Step on_sasl_request(StreamMachine& machine, const xml::Element& element);
[[nodiscard]] Step on_sasl_denied(StreamMachine& machine, const xml::Document& element);
// What a mechanism answered, to the peer or as a question to the driver.
[[nodiscard]] Step handle_sasl_step(StreamMachine& machine, sasl::ServerStep step);
// <failure/>, its report, and the end if there were too many. Driver: refuse().
Step fail_sasl(StreamMachine& machine, const sasl::SaslFailure& failure);

// sasl1_initiator.cc
[[nodiscard]] Step on_sasl_offered(StreamMachine& machine, xml::Element offered);
[[nodiscard]] Step on_sasl_answer(StreamMachine& machine, const xml::Element& element);

}  // namespace xmpp::stream
