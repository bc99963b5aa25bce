// XEP-0085 2.1 partial: tells messages that carry nothing else
// Chat states: "is typing" and the like, worth something only while they are new.
//
// Thread-safety: functions without state.
#pragma once

#include "xmpp/core/stanza.h"

namespace xmpp::xep {

// Does a message carry a chat state, and beside it at most a thread (5.5) and hints how to treat it
// (XEP-0334)?
[[nodiscard]] bool is_only_chat_state(const Stanza& message);

}  // namespace xmpp::xep
