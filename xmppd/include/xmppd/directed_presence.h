// DirectedPresence: whom a session told its presence directly and owes the news of its end (RFC
// 6121 4.6.3). The module `presence` provides it (Scope::use<DirectedPresence>()).
//
// An entity is on the list from the directed presence on until it is sent unavailable presence from
// that session, sends unavailable presence itself, or the session is no longer available.
//
// Thread-safety: the account's owner.
#pragma once

#include <string_view>
#include <vector>

#include "xmpp/core/jid.h"
#include "xmppd/session.h"

namespace xmppd {

class DirectedPresence {
 public:
  static constexpr std::string_view kServiceName = "directed_presence";

  // Is exactly this address on the list?
  [[nodiscard]] virtual bool has_told(Session& session, const xmpp::Jid& entity) = 0;
  // The list, as it is now.
  [[nodiscard]] virtual std::vector<xmpp::Jid> list(Session& session) = 0;
  // Empties the list; telling them is now up to the caller.
  [[nodiscard]] virtual std::vector<xmpp::Jid> take(Session& session) = 0;

 protected:
  ~DirectedPresence() = default;
};

}  // namespace xmppd
