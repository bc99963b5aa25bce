// XEP-0085: what a message carries beside a chat state.
#include "xmpp/xep/chat_states.h"

#include "xmpp/core/namespaces.h"

namespace xmpp::xep {

bool is_only_chat_state(const Stanza& message) {
  constexpr xml::Name kThread{ns::client, "thread"};
  bool has_state = false;
  for (const Payload& payload : message.payloads()) {
    if (payload.ns() == ns::chat_states) {
      has_state = true;
    } else if (payload.ns() != ns::hints && !payload.is(kThread)) {
      return false;
    }
  }
  return has_state;
}

}  // namespace xmpp::xep
