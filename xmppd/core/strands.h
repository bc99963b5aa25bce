// Strands: stanzas that wait because an earlier one of their sender to the same account does
// (xmppd/order.h). Stanzas of other senders pass.
//
// A strand begins with Account::hold_order() and is drained, in order and between two turns' hooks,
// when the hold is let go; what is drained may hold anew. After kOrderPatience, or when more than
// kStrandMax stanzas wait in one, it goes on at once: rather out of order than lost.
//
// Thread-safety: its worker only. Invariant: an account with strands is not dropped.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <vector>

#include "xmpp/base/time.h"
#include "xmpp/base/timer_wheel.h"
#include "xmpp/core/jid.h"
#include "xmpp/core/stanza.h"
#include "xmppd/order.h"
#include "xmppd/ticket.h"

namespace xmppd {

class Account;
class Worker;

inline constexpr xmpp::Duration kOrderPatience = std::chrono::seconds(5);
inline constexpr std::size_t kStrandMax = 512;

// What one sender sent to one account.
struct Strand {
  struct Waiting {
    xmpp::Stanza stanza;
    Ticket ticket;  // whether it is stored will be known only then
  };
  std::weak_ptr<void> hold;
  std::deque<Waiting> waiting;
  xmpp::Timer patience;
};
// By the sender's bare JID.
struct StrandMap : std::map<xmpp::Jid, Strand> {};

// A session whose client is not read until the hold is gone.
struct SessionHold {
  SessionHold(Worker& on, xmpp::Jid whose) : worker(on), session(std::move(whose)) {}
  SessionHold(const SessionHold&) = delete;
  SessionHold& operator=(const SessionHold&) = delete;
  ~SessionHold();
  Worker& worker;
  const xmpp::Jid session;
  bool is_awaited = false;  // the link has something to go on with
};

class Strands {
 public:
  explicit Strands(Worker& worker) noexcept : worker_(worker) {}

  [[nodiscard]] OrderHold hold(Account& account, const xmpp::Jid& sender);
  // Takes the stanza if it has to wait.
  [[nodiscard]] bool take(Account& account, xmpp::Stanza& stanza);
  // Takes out all that waits for the account.
  static void take_waiting(Account& account, std::vector<xmpp::Stanza>& taken);

 private:
  struct Hold;
  void drain(xmpp::Jid account, xmpp::Jid sender, bool is_overdue);

  Worker& worker_;
  const Account* giving_up_ = nullptr;  // nobody holds what has waited too long for this one
};

}  // namespace xmppd
