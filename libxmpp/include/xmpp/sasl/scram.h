// SCRAM with a nonce of the caller's choice. Programs use make_server_mechanism() and
// make_client_mechanism(), which draw a random one; these two exist for test vectors.
//
// Specs: RFC 5802, RFC 7677.
// Thread-safety: as mechanism.h.
#pragma once

#include <memory>
#include <string>

#include "xmpp/sasl/mechanism.h"

namespace xmpp::sasl {

// REQUIRES: `id` is a SCRAM mechanism; `nonce` is printable ASCII without commas.
[[nodiscard]] std::unique_ptr<ServerMechanism> make_scram_server(MechanismId id,
                                                                 ServerContext context,
                                                                 std::string nonce);
[[nodiscard]] std::unique_ptr<ClientMechanism> make_scram_client(const ClientChoice& choice,
                                                                 ClientCredentials credentials,
                                                                 const ChannelBindings& bindings,
                                                                 std::string nonce);

}  // namespace xmpp::sasl
