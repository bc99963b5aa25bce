// What went wrong, in one line that says what to do about it.
//
// Thread-safety: functions without state.
#pragma once

#include <string>

#include "options.h"
#include "xmpp/client/client.h"
#include "xmpp/core/stanza_error.h"

namespace xmppbench {

// Why a login failed; nullopt: the peer closed the stream in the middle of it.
[[nodiscard]] std::string describe_login_failure(const std::optional<xmpp::ClientFailure>& failure,
                                                 const Options& options);
// Why in-band registration failed; nullopt: no answer.
[[nodiscard]] std::string describe_registration_failure(
    const std::optional<xmpp::StanzaError>& error);

}  // namespace xmppbench
