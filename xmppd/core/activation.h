// Activation: brings into memory what modules need to know of an account (Scope::account_state)
// before any hook runs for it.
//
// Stanzas for an account that is not in memory, and logins to it, wait while its owner reads its
// existence and all declared states in one transaction; then they go on in their order. Who waits
// is bounded, in number and in time; what does not fit, or waits too long because the storage does
// not answer, is told resource-constraint. One sender can never take the places of others: it gets
// at most half of those that are free.
//
// Thread-safety: its worker only. Invariant: an account that is being activated is not dropped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "xmpp/base/task.h"
#include "xmpp/base/timer_wheel.h"
#include "xmpp/core/jid.h"
#include "xmpp/core/stanza.h"
#include "xmppd/slot.h"
#include "xmppd/storage.h"
#include "xmppd/ticket.h"

namespace xmppd {

class Account;
class Host;
class Session;
class Worker;

// Stanzas from others that may wait for one account.
inline constexpr std::size_t kActivationBacklog = 512;
// How long stanzas and logins wait for a storage that fails or does not answer, and how soon it is
// asked again.
inline constexpr xmpp::Duration kActivationPatience = std::chrono::seconds(5);
inline constexpr xmpp::Duration kActivationRetry = std::chrono::milliseconds(250);

// How a module's state of an account is read.
struct AccountLoader {
  const SlotEntry* slot;  // of the worker; storage threads only carry it
  std::uint64_t epoch;    // when it was declared
  StorageResult<SlotValue> (*load)(Tx& tx, const xmpp::Jid& account);
  friend bool operator==(const AccountLoader&, const AccountLoader&) = default;
};
using AccountLoaders = std::vector<AccountLoader>;

enum class ActivationOutcome : std::uint8_t {
  ready,   // its states are in memory
  absent,  // there is no such account
  failed,  // the storage did not answer in time
};

// Who waits for one account.
struct Activation {
  struct Waiting {
    xmpp::Stanza stanza;
    bool is_sent;   // by one of the account's sessions; else addressed to the account
    Ticket ticket;  // whether it is stored will be known only then
  };
  std::uint64_t id = 0;
  std::vector<Waiting> waiting;
  std::vector<xmpp::Completion<ActivationOutcome>::Ticket> tickets;
  xmpp::Timer timer;
  xmpp::Instant until = xmpp::kNever;  // patience of whoever waits
  bool is_reading = false;
  bool has_failed = false;   // and that was logged
  bool is_outdated = false;  // the account was made or removed meanwhile: read again
};

class Activator {
 public:
  explicit Activator(Worker& worker) noexcept : worker_(worker) {}

  // A stanza for an account that is not active, or not in memory at all.
  void hold(xmpp::Stanza stanza, Host& host);
  // What a session sent while its account is not active (a module was loaded).
  void hold_sent(Session& session, xmpp::Stanza stanza);
  // Completes when the account is active; at once if it is.
  [[nodiscard]] xmpp::Completion<ActivationOutcome> activate(const xmpp::Jid& jid, Host& host);
  // Takes out what waits for the account, but not what it sent.
  static void take_waiting(Account& account, std::vector<xmpp::Stanza>& taken);
  // The account was made or removed: forgets what is remembered of it and of its absence.
  void forget(const xmpp::Jid& jid);

 private:
  struct Loaded {
    bool exists = false;
    std::uint64_t epoch = 0;
    std::vector<std::pair<AccountLoader, SlotValue>> states;
  };

  Activation& begin(Account& account);
  void read(Account& account);
  void on_read(const xmpp::Jid& jid, std::uint64_t id, StorageResult<Loaded> outcome);
  void on_timer(const xmpp::Jid& jid);
  void finish(Account& account, bool exists);
  void give_up(Account& account);
  // Tells a sender, but not with what nobody waits for an answer to.
  void refuse(const Activation::Waiting& waiting, xmpp::StanzaCondition condition);

  Worker& worker_;
  std::uint64_t next_id_ = 1;
};

}  // namespace xmppd
