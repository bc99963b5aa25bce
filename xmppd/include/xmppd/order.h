// OrderHold: keeps the stanzas of one sender in order while one of them waits for storage.
//
//   roster.change(account, contact, edit,
//                 [hold = hook.to.hold_order(hook.stanza)](Account&, RosterOutcome) { ... });
//
// While any copy of it lives, what the same sender sends after that stanza waits (RFC 6120 10.1):
// for Account::hold_order() stanzas to this account, before any hook sees them; for
// Session::hold_order() everything that the session's client sends, which is not read. After 5
// seconds it goes on all the same, so only what waits for storage or an offload thread may hold.
//
// Thread-safety: made, copied and let go on the owner's worker. Empty: nothing waits.
#pragma once

#include <memory>

namespace xmppd {

using OrderHold = std::shared_ptr<void>;

}  // namespace xmppd
