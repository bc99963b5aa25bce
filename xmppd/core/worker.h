// Worker: a thread with an event loop that owns accounts and links. Everything in it is its own;
// others send it mail.
//
// Thread-safety: call(), index() and the load figures any thread; everything else the worker's
// thread, or any single thread while the worker does not run. Invariants: (1) a link is in links_
// of exactly one worker, or in one mail. (2) A link is destroyed only at the end of a turn.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "core/account_table.h"
#include "core/activation.h"
#include "core/address_table.h"
#include "core/config.h"
#include "core/environment.h"
#include "core/profile_runtime.h"
#include "core/router.h"
#include "core/strands.h"
#include "core/ticket_office.h"
#include "xmpp/base/hash.h"
#include "xmpp/net/reactor.h"
#include "xmppd/host.h"

namespace xmppd {

class Link;
class Server;
struct Entrance;
struct RosterRecord;

class Worker {
 public:
  Worker(Server& server, std::size_t index, Environment& environment);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Makes the profiles and hosts of `config`; modules are attached by the module manager.
  void configure(const Config& config);
  // Serves the hosts of `config` from now on, between two turns' hooks: makes those that are new,
  // ends the streams, sessions and accounts of those that are gone (host-gone) or have another
  // profile (reset), and leaves the others in peace. REQUIRES: the profiles exist, see
  // add_profile().
  void reconcile(const Config& config);
  // A profile without modules yet.
  ProfileRuntime& add_profile(const std::string& name, const ProfileConfig& config);
  void start_thread();
  // Drops all links and ends all sessions, which still fire Unbound. REQUIRES: no worker's thread
  // runs, all workers exist.
  void drop_links();
  // Ends the thread; links and accounts are destroyed by the destructor.
  void stop_and_join();

  [[nodiscard]] std::size_t index() const noexcept { return index_; }
  [[nodiscard]] Server& server() noexcept { return server_; }
  [[nodiscard]] xmpp::net::Reactor& reactor() noexcept { return reactor_; }
  [[nodiscard]] xmpp::Rng& rng() noexcept { return *rng_; }
  [[nodiscard]] AccountTable& accounts() noexcept { return accounts_; }
  [[nodiscard]] Activator& activator() noexcept { return activator_; }
  [[nodiscard]] Strands& strands() noexcept { return strands_; }
  [[nodiscard]] Router& router() noexcept { return router_; }
  [[nodiscard]] TicketOffice& tickets() noexcept { return tickets_; }
  // Mail for another worker, published at the end of this turn.
  void send_mail(std::size_t destination, xmpp::net::Mail* mail) noexcept {
    outboxes_[destination].add(mail);
  }

  // nullptr: not a domain of this server.
  [[nodiscard]] Host* find_host(std::string_view domain) noexcept;
  // Also those that are served no more.
  template <typename F>
  void for_each_host(F&& visit) {
    for (auto& [name, host] : hosts_) visit(*host);
    for (auto& host : retired_hosts_) visit(*host);
  }
  [[nodiscard]] ProfileRuntime* find_profile(std::string_view name) noexcept;
  template <typename F>
  void for_each_profile(F&& visit) {
    for (auto& [name, profile] : profiles_) visit(*profile);
  }

  // A connection that came in through `entrance`.
  void adopt(std::unique_ptr<xmpp::net::ByteChannel> channel,
             std::shared_ptr<const Entrance> entrance, std::string address,
             AddressTable::Key address_key);
  // A link that migrated here after authentication as `jid`.
  void take_over(std::unique_ptr<Link> link, const xmpp::Jid& jid);
  // Tells every client that the server shuts down, also those whose links arrive later.
  void drain();
  // Takes a link out, to be moved elsewhere.
  [[nodiscard]] std::unique_ptr<Link> release(Link& link) noexcept;
  // Destroys the link at the end of this turn.
  void bury(Link& link) noexcept;
  // Drops the account at the end of this turn if nothing needs it any more.
  void drop_later(const xmpp::Jid& account) { maybe_idle_.push_back(account); }
  [[nodiscard]] std::size_t link_count() const noexcept { return links_.size(); }
  // Ends every link that was authenticated as this account, bound or not, but that of the full JID
  // `except`, and forgets what is remembered of the account.
  void end_links_of(const xmpp::Jid& account, const xmpp::StreamError& error,
                    const xmpp::Jid& except = {});
  // The same for an account that was removed from storage, after the hook Removed.
  void end_account(const xmpp::Jid& jid, const RosterRecord& roster,
                   const xmpp::StreamError& error);
  template <typename F>
  void for_each_link(F&& visit) {
    for (std::size_t i = 0; i < links_.size(); ++i) visit(*links_[i]);
  }

  // Runs `function` on the worker's thread. Any thread.
  template <typename F>
  void call(F&& function) {
    reactor_.call(std::forward<F>(function));
  }

  // Does more mail wait than Limits::mailbox_depth? For who wants much, less is enough: others'
  // mail shall not stand behind all of his. Any thread.
  [[nodiscard]] bool is_congested(bool for_greedy = false) const noexcept;

  // Something was done, about as much as a stanza takes.
  void spend() noexcept { ++spent_; }
  // Shall the handler that runs stop? The clock is looked at now and then only.
  [[nodiscard]] bool is_slice_over() noexcept;

  // Scratch memory for decrypted text; contents last until the next read.
  [[nodiscard]] std::span<char> plain_buffer() noexcept { return plain_buffer_; }

  // The end of a session that could have been resumed: what its client may still learn of it.
  void note_ended(std::string id, const xmpp::Jid& account, std::uint32_t handled);
  [[nodiscard]] std::optional<std::uint32_t> find_ended(std::string_view id,
                                                        const xmpp::Jid& account) const noexcept;

  // Bound sessions; for any thread.
  [[nodiscard]] std::size_t session_count() const noexcept {
    return session_count_.load(std::memory_order_relaxed);
  }
  // Accounts in memory at the end of the last turn; for any thread.
  [[nodiscard]] std::size_t account_count() const noexcept {
    return account_count_.load(std::memory_order_relaxed);
  }
  void count_session(int change) noexcept {
    session_count_.store(
        session_count_.load(std::memory_order_relaxed) + static_cast<std::size_t>(change),
        std::memory_order_relaxed);
  }

 private:
  void end_of_turn();
  template <typename Wanted>
  void end_detached(Wanted wanted);
  void add_host(const HostConfig& config);
  // Appends what waited in it, sent by whoever stays.
  void remove_host(Host& host, const xmpp::StreamError& error, std::vector<xmpp::Stanza>& waiting);

  Server& server_;
  const std::size_t index_;
  std::unique_ptr<xmpp::net::Poller> poller_;
  std::unique_ptr<xmpp::Rng> rng_;
  TicketOffice tickets_;  // before the reactor: mail that it destroys may hold tickets
  xmpp::net::Reactor reactor_;
  std::vector<xmpp::net::Outbox> outboxes_;  // by destination
  Router router_;
  Activator activator_;
  Strands strands_;
  std::vector<char> plain_buffer_;
  std::map<std::string, std::unique_ptr<ProfileRuntime>, std::less<>> profiles_;
  std::unordered_map<std::string, std::unique_ptr<Host>, xmpp::KeyedHash, std::equal_to<>> hosts_;
  Host* last_found_ = nullptr;  // one of hosts_, or nobody
  // No longer served. A host that comes back with the same profile is one of them, so there are
  // never more than names and profiles that were ever served.
  std::vector<std::unique_ptr<Host>> retired_hosts_;
  AccountTable accounts_;
  std::vector<std::unique_ptr<Link>> links_;
  std::vector<std::unique_ptr<Link>> buried_;
  std::vector<xmpp::Jid> maybe_idle_;
  struct EndedSession {
    std::string id;
    xmpp::Jid account;
    std::uint32_t handled;
  };
  std::deque<EndedSession> ended_;  // the last kEndedMax
  std::size_t spent_ = 0;
  bool is_draining_ = false;
  std::atomic<std::size_t> session_count_{0};
  std::atomic<std::size_t> account_count_{0};
  std::thread thread_;
};

}  // namespace xmppd
