// AccountTable: the accounts that one worker owns and holds in memory, and which addresses were
// recently found not to exist.
//
// Accounts that nothing needs stay in memory, the last used of them, so that the next stanza need
// not wait for the database.
//
// Thread-safety: its worker only. Invariants: (1) an account with sessions, tasks or waiting
// stanzas is never dropped. (2) The memory of absences is bounded, and by trim() the number of
// accounts that nothing needs. (3) An account is destroyed by trim() and for being absent or
// removed only, never while a hook runs for it.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "xmpp/base/time.h"
#include "xmpp/core/jid.h"
#include "xmppd/account.h"

namespace xmppd {

class AccountTable {
 public:
  // `jid` may be full; only its bare part counts.
  [[nodiscard]] Account* find(const xmpp::Jid& jid) noexcept;
  Account& get_or_make(const xmpp::Jid& jid, Host& host);
  // The account may have become idle: it is kept until trim() finds too many, or erased if nothing
  // of it is loaded or it was removed.
  void drop_if_idle(Account& account) noexcept;
  // Erases the longest unused accounts beyond `cached_max`.
  void trim(std::size_t cached_max) noexcept;
  void erase(const xmpp::Jid& jid) noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return accounts_.size(); }
  // Those that something needs.
  [[nodiscard]] std::size_t count_used() const noexcept;
  template <typename F>
  void for_each(F&& visit) {
    for (auto& [jid, account] : accounts_) visit(*account);
  }
  void clear() noexcept {
    accounts_.clear();
    cached_ = 0;
  }
  // Drops accounts, whatever they wait for: their host has gone. REQUIRES: they have no sessions.
  template <typename F>
  void erase_if(F&& is_wanted) {
    // Out of the table first: an account's destructor may look at the table.
    std::vector<std::unique_ptr<Account>> dying;
    for (auto at = accounts_.begin(); at != accounts_.end();) {
      if (is_wanted(*at->second)) {
        if (idle_.is_linked(*at->second)) --cached_;
        dying.push_back(std::move(at->second));
        at = accounts_.erase(at);
      } else {
        ++at;
      }
    }
  }

  // Remembers for a short time that an account does not exist.
  void note_absent(const xmpp::Jid& jid, xmpp::Instant now);
  [[nodiscard]] bool is_known_absent(const xmpp::Jid& jid, xmpp::Instant now) noexcept;
  void forget_absent(const xmpp::Jid& jid) noexcept;

 private:
  // Not noexcept, so that the standard library's table keeps the hashes beside the keys: walking a
  // bucket then compares numbers and touches no other account.
  struct BareHash {
    std::size_t operator()(const xmpp::Jid& jid) const { return jid.bare_hash(); }
  };
  struct BareEqual {
    bool operator()(const xmpp::Jid& a, const xmpp::Jid& b) const noexcept {
      return a.bare_equals(b);
    }
  };
  std::unordered_map<xmpp::Jid, std::unique_ptr<Account>, BareHash, BareEqual> accounts_;
  std::unordered_map<xmpp::Jid, xmpp::Instant, BareHash, BareEqual> absent_;
  // Were idle when last looked at; the longest unused first. An upper bound of how many.
  xmpp::IntrusiveList<Account> idle_;
  std::size_t cached_ = 0;
};

}  // namespace xmppd
