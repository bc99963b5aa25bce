// The simple mechanisms' factories, for mechanism.cc. SCRAM's are in <xmpp/sasl/scram.h>.
#pragma once

#include <memory>
#include <string_view>

#include "xmpp/sasl/mechanism.h"

namespace xmpp::sasl {

// No message of a client may be longer: room for three addresses with every comma escaped.
inline constexpr std::size_t kMessageBytesMax = 16 * 1024;

[[nodiscard]] std::unique_ptr<ServerMechanism> make_plain_server(ServerContext context);
[[nodiscard]] std::unique_ptr<ServerMechanism> make_external_server();
[[nodiscard]] std::unique_ptr<ServerMechanism> make_anonymous_server(ServerContext context);

[[nodiscard]] std::unique_ptr<ClientMechanism> make_plain_client(ClientCredentials credentials);
[[nodiscard]] std::unique_ptr<ClientMechanism> make_external_client(ClientCredentials credentials);
[[nodiscard]] std::unique_ptr<ClientMechanism> make_anonymous_client();

// Is the authorization identity the bare JID of the user who logs in? (RFC 6120 6.3.8)
[[nodiscard]] bool is_own_address(std::string_view authzid, std::string_view username,
                                  std::string_view domain);
[[nodiscard]] inline SaslFailure make_failure(SaslCondition condition, const char* text,
                                              bool counts = true) {
  return SaslFailure{condition, text, counts};
}
// What an owner's answer other than `found` becomes.
[[nodiscard]] SaslFailure make_failure(Lookup lookup);

}  // namespace xmpp::sasl
