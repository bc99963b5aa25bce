// Account: the state of a bare JID on its owner: its sessions, the modules' data, its tasks.
//
// Thread-safety: the owner's worker only. Invariants: (1) a Session in sessions() is bound; its
// link lives or it is detached. (2) sessions() is sorted by the order of binding.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "xmpp/base/intrusive_list.h"
#include "xmpp/base/task.h"
#include "xmpp/core/jid.h"
#include "xmpp/core/stanza.h"
#include "xmppd/export.h"
#include "xmppd/order.h"
#include "xmppd/slot.h"
#include "xmppd/task_bag.h"
#include "xmppd/ticket.h"

namespace xmppd {

class Host;
class Scope;
class Session;
class Strands;
class Worker;
struct Activation;
struct Figures;
struct StrandMap;

class XMPPD_API Account : private xmpp::ListHook<> {
 public:
  Account(Host& host, xmpp::Jid jid);
  ~Account();
  Account(const Account&) = delete;
  Account& operator=(const Account&) = delete;

  [[nodiscard]] const xmpp::Jid& jid() const noexcept { return jid_; }
  [[nodiscard]] Host& host() noexcept { return host_; }
  [[nodiscard]] std::span<Session* const> sessions() const noexcept { return sessions_; }
  // nullptr if no session has this resource.
  [[nodiscard]] Session* find_session(std::string_view resource) const noexcept;

  // Sends a stanza in the name of this account (`from` = its bare JID unless set), through
  // SentByAccount.
  void send(xmpp::Stanza stanza);
  // Keeps `stanza`, which is for this account, from being acknowledged to its sender until the
  // ticket is settled: something is being stored for it. To be called before its hook returns.
  [[nodiscard]] Ticket hold(const xmpp::Stanza& stanza);
  // Lets what the sender of `stanza` sends to this account after it wait until the hold is gone.
  [[nodiscard]] OrderHold hold_order(const xmpp::Stanza& stanza);
  // Runs a task of the module whose scope it is; it dies with this account or with the module, and
  // keeps the account in memory until then.
  void spawn(Scope& scope, xmpp::Task<void> task) { tasks_.spawn(scope, run(std::move(task))); }

  template <typename T>
  [[nodiscard]] T& operator[](const AccountSlot<T>& slot) {
    return slots_.get<T>(slot.entry());
  }
  // nullptr: there is no value yet.
  template <typename T>
  [[nodiscard]] T* find(const AccountSlot<T>& slot) {
    return slots_.find<T>(slot.entry());
  }

 private:
  friend class AccountTable;
  friend class Activator;
  template <typename T, typename Tag>
  friend class xmpp::IntrusiveList;
  friend class Link;
  friend class Router;
  friend class Session;
  friend class SmStore;
  friend class Strands;
  friend class Worker;
  friend class ProfileRuntime;
  friend struct Figures;  // tests/sim: are limits respected?
  // Nothing refers to it any more. (Modules' data alone does not keep an account in memory.)
  [[nodiscard]] bool is_idle() const noexcept {
    return sessions_.empty() && activation_ == nullptr && strands_ == nullptr && tasks_.size() == 0;
  }
  // Are all states that modules declared in memory?
  [[nodiscard]] bool is_active() const noexcept;

  // Lets go of the account after the task.
  xmpp::Task<void> run(xmpp::Task<void> task);

  Host& host_;
  xmpp::Jid jid_;
  std::vector<Session*> sessions_;
  std::vector<std::unique_ptr<Session>> detached_;  // those of sessions_ without a link
  SlotBag slots_;
  std::unique_ptr<Activation> activation_;  // set while it is loaded: stanzas wait
  std::unique_ptr<StrandMap> strands_;      // while stanzas of somebody wait
  std::uint64_t loaded_epoch_ = 0;          // what is loaded; 0: not even existence
  // Was removed: what is loaded counts only for sessions that are about to end.
  bool is_outdated_ = false;
  TaskBag tasks_;  // last member: tasks go before what they use
};

}  // namespace xmppd
