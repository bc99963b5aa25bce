// Host: a served domain, as one worker sees it.
//
// A host that is removed keeps its object until the worker ends: whatever is under way may still
// refer to it.
//
// Thread-safety: its worker only (each worker has its own Host object for every domain).
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "xmpp/base/task.h"
#include "xmpp/core/form.h"
#include "xmpp/core/jid.h"
#include "xmpp/core/stanza.h"
#include "xmpp/core/stream_error.h"
#include "xmpp/sasl/credentials.h"
#include "xmppd/export.h"
#include "xmppd/slot.h"
#include "xmppd/storage.h"
#include "xmppd/task_bag.h"

namespace xmppd {

class Worker;
class HostFacts;
class ProfileRuntime;

// Of xmppd, e.g. "0.1.0".
[[nodiscard]] XMPPD_API std::string_view server_version() noexcept;

// An identity in disco#info (XEP-0030).
struct Identity {
  std::string category;
  std::string type;
  std::string name;
  friend auto operator<=>(const Identity&, const Identity&) = default;
};

class XMPPD_API Host {
 public:
  Host(Worker& worker, ProfileRuntime& profile, xmpp::Jid jid, std::vector<xmpp::Jid> admins);
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  [[nodiscard]] const xmpp::Jid& jid() const noexcept { return jid_; }
  [[nodiscard]] std::string_view name() const noexcept { return jid_.str(); }
  [[nodiscard]] bool is_admin(const xmpp::Jid& jid) const noexcept;
  // False: it was removed, and what is said to it or in its accounts' names goes nowhere.
  [[nodiscard]] bool is_served() const noexcept;
  // The features that disco#info of this host lists, sorted.
  [[nodiscard]] const std::vector<std::string>& features() const noexcept;

  [[nodiscard]] const std::vector<Identity>& identities() const noexcept;
  // More about the host in its disco#info (XEP-0128).
  [[nodiscard]] const std::vector<xmpp::form::Form>& forms() const noexcept;

  // PBKDF2 rounds for the keys of new passwords ([profile.X.auth] scram_iterations).
  [[nodiscard]] std::uint32_t scram_iterations() const noexcept;

  // Ends all sessions of an account of this host, on its owner, but that of the full JID `except`.
  void end_sessions(const xmpp::Jid& account, xmpp::StreamError error, xmpp::Jid except = {});
  // Removes an account of this host from storage and ends its sessions, after the hook Removed.
  // Like change_password() it is carried through once it has begun, also if whoever waits for the
  // outcome goes meanwhile. False: there was none.
  [[nodiscard]] xmpp::Completion<StorageResult<bool>> remove_account(const xmpp::Jid& account,
                                                                     xmpp::StreamError error);
  // Replaces an account's keys and ends its sessions but that of the full JID `except`: whoever got
  // in with the old password goes. False: there is no such account.
  [[nodiscard]] xmpp::Completion<StorageResult<bool>> change_password(
      const xmpp::Jid& account, std::vector<xmpp::sasl::ScramKeys> keys, xmpp::StreamError error,
      xmpp::Jid except);

  // Sends a stanza in the name of this host or of one of its accounts; `from` must be set.
  void send(xmpp::Stanza stanza);

  template <typename T>
  [[nodiscard]] T& operator[](const HostSlot<T>& slot) {
    return slots_.get<T>(slot.entry());
  }

 private:
  friend class Account;
  friend class Activator;
  friend class Link;
  friend class ProfileRuntime;
  friend class Router;
  friend class Session;
  friend class SmStore;
  friend class Worker;
  Worker& worker_;
  ProfileRuntime& profile_;
  xmpp::Jid jid_;
  std::vector<xmpp::Jid> admins_;
  std::shared_ptr<HostFacts> facts_;
  SlotBag slots_;
  TaskBag tasks_;  // that answer requests; last member: they go before what they use
};

}  // namespace xmppd
