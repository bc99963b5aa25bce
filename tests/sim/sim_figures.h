// Figures: what the server holds at the moment for one connection or one account, by its own
// objects; for LimitWatch.
//
// Thread-safety: one thread, while nothing of the server runs.
#pragma once

#include <cstddef>
#include <optional>

#include "core/link.h"
#include "sim/sim_net.h"
#include "xmppd/account.h"

namespace xmppd {

struct Figures {
  struct OfLink {
    const sim::SimChannel* channel;
    AddressTable::Key address;
    std::size_t unsent;  // bytes
    std::size_t replay;  // of these, beside the limit: what is sent again to who resumed
    bool is_authenticated;
    bool is_bound;
    bool is_over;    // it handles nothing more
    bool is_paused;  // it is not read
    // Of a session with something unacknowledged: how long it waits for an answer.
    std::optional<xmpp::Duration> owes_ack_by;
  };
  struct OfAccount {
    std::size_t sessions = 0;
    std::size_t detached = 0;  // but for those that came back with the server
    std::size_t detached_max = 0;
    bool has_full_queue = false;     // a client acknowledges less than the terms allow
    std::size_t unacknowledged = 0;  // stanzas, of the fullest
    std::size_t unacknowledged_bytes = 0;
    std::size_t loading = 0;  // stanzas of others that wait for it to be loaded
    std::size_t strand = 0;   // that wait behind an earlier one, of one sender
    bool is_idle = false;
    bool is_active = false;
  };
  [[nodiscard]] static OfLink of(Link& link);
  [[nodiscard]] static OfAccount of(Account& account);
};

}  // namespace xmppd
