// Router: where a stanza goes. Host -> owner -> hooks -> sessions; bounces by the rules of RFC 6120
// 8 and RFC 6121 8.
//
// Thread-safety: its worker only.
#pragma once

#include <functional>

#include "xmpp/core/stanza.h"
#include "xmppd/hooks.h"
#include "xmppd/iq.h"

namespace xmppd {

class Account;
class Host;
class Session;
class Worker;
struct RosterRecord;

// What takes a Stanza&& may leave it as it is: callers do not use it again.
class Router {
 public:
  explicit Router(Worker& worker) noexcept : worker_(worker) {}

  // Lets the router decide. REQUIRES: `to` is set.
  void route(xmpp::Stanza&& stanza);
  // Sends a stanza on behalf of a local account through SentByAccount, then routes it.
  void send_from(Account& account, Session* session, xmpp::Stanza&& stanza);
  // Tells the sender, if errors may be told (never for errors, results, and presence broadcast).
  void bounce(const xmpp::Stanza& stanza, const xmpp::StanzaError& error);
  // The stanza is for an account that this worker owns.
  void deliver_here(xmpp::Stanza&& stanza, Host& host);

  // The same for one whose turn it is, though others of its sender wait.
  void deliver_next(xmpp::Stanza&& stanza, Host& host);

  // A stanza that has reached the account before, but not its client: from Stage::deliver on.
  void deliver_again(xmpp::Stanza&& stanza, Account& account);

  // Answers an iq request with the handler registered for it; false if there is none.
  bool answer_iq(xmpp::Stanza& request, Host& host, Target target, Account* account);
  // A request that came before authentication; `reply` gets the answer (which may come later).
  bool answer_unauthenticated(IqCall call, std::function<void(xmpp::Stanza)> reply);

  // The worker that owns `to` if its mail waits above the limit: the feeding link shall pause until
  // it no longer is_congested(). nullptr: go on.
  [[nodiscard]] const Worker* find_congested(const xmpp::Jid& to, bool is_greedy) const noexcept;

  // Fires the hook Removed.
  void tell_removed(Account& account, const RosterRecord& roster);
  // Answers a stanza to an account that does not exist (RFC 6121 8.5.1).
  void answer_for_nobody(xmpp::Stanza&& stanza);

 private:
  // Answers it once the module that would has been replaced.
  void hold_request(xmpp::Stanza request, Host& host, Target target);
  void to_host(xmpp::Stanza&& stanza, Host& host);
  // `account` is that of `to`; nullptr: it is not in memory.
  void deliver_to(Account* account, xmpp::Stanza&& stanza, Host& host);
  void to_account(xmpp::Stanza&& stanza, Account& account, Stage from = Stage::validate);

  Worker& worker_;
};

}  // namespace xmppd
