// Which worker owns a key (architecture (a), "Design"): siphash under a secret key, so that clients
// cannot aim at one worker.
//
// Thread-safety: any thread.
#pragma once

#include <cstddef>

#include "xmpp/core/jid.h"

namespace xmppd {

// The owner of the bare JID of `jid`.
[[nodiscard]] inline std::size_t owner_of(const xmpp::Jid& jid, std::size_t workers) noexcept {
  return static_cast<std::size_t>(jid.bare_hash() % workers);
}

}  // namespace xmppd
