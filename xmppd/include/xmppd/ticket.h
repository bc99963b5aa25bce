// Ticket: a promise under way. While it lives, the stanza that it was taken for is not acknowledged
// to the client that sent it (if that counts at all; else a ticket costs nothing).
//
//   auto ticket = hook.to.hold(hook.stanza);     // in a hook, before the stanza is given away
//   storage.write_then(reactor, jid,
//                      [ticket = std::move(ticket)](StorageResult<void>) {}, ...);  // settled here
//
// So an acknowledged stanza is stored, or was written to its recipient's connection. However a
// ticket ends, it is settled: who could not store a message tells its sender with an error instead.
//
// Thread-safety: made and settled on one worker's thread. Invariant: settled exactly once.
#pragma once

#include <utility>

#include "xmpp/core/stanza.h"
#include "xmppd/export.h"

namespace xmppd {

class TicketOffice;

class XMPPD_API Ticket {
 public:
  Ticket() = default;  // for nothing
  Ticket(Ticket&& other) noexcept
      : office_(std::exchange(other.office_, nullptr)), origin_(other.origin_) {}
  Ticket& operator=(Ticket&& other) noexcept {
    if (this != &other) {
      settle();
      office_ = std::exchange(other.office_, nullptr);
      origin_ = other.origin_;
    }
    return *this;
  }
  ~Ticket() { settle(); }

  // Does anybody wait for it?
  [[nodiscard]] bool is_held() const noexcept { return office_ != nullptr; }
  void settle() noexcept;

 private:
  friend class TicketOffice;
  Ticket(TicketOffice& office, xmpp::Origin origin) noexcept : office_(&office), origin_(origin) {}

  TicketOffice* office_ = nullptr;
  xmpp::Origin origin_;
};

}  // namespace xmppd
