// Session: a bound resource of an account.
//
// A session belongs to its link; if that dies without a word and the client asked for it, the
// session is detached: it belongs to its account and waits for a while to be resumed by another
// link. Nothing but is_detached() shows it: it stays available, and what is delivered to it queues.
//
// Thread-safety: the account owner's worker only. Invariants: (1) a session that is available has a
// presence(). (2) Nothing is sent after the end of its link. (3) Only a session with sm_ is
// detached.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "xmpp/base/task.h"
#include "xmpp/base/time.h"
#include "xmpp/core/jid.h"
#include "xmpp/core/stanza.h"
#include "xmpp/core/stream_error.h"
#include "xmppd/account.h"
#include "xmppd/export.h"
#include "xmppd/order.h"
#include "xmppd/slot.h"
#include "xmppd/task_bag.h"

namespace xmppd {

class Link;
class Scope;
class SmState;
class SmStore;
struct Figures;
struct SessionHold;
struct SmTerms;

// Facts about the connection that a session came by.
struct ConnectionInfo {
  std::string address;    // of the peer
  std::string tls;        // "TLSv1.3", or empty
  std::string mechanism;  // e.g. "SCRAM-SHA-256-PLUS"
  xmpp::Instant connected_at{};
  bool is_loopback = false;
};

class XMPPD_API Session {
 public:
  // `link`: nullptr if it waits to be resumed.
  Session(Account& account, xmpp::Jid full_jid, Link* link);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] const xmpp::Jid& jid() const noexcept { return jid_; }
  [[nodiscard]] Account& account() noexcept { return account_; }
  [[nodiscard]] Host& host() noexcept { return account_.host(); }
  [[nodiscard]] ConnectionInfo connection() const;

  // Presence as the presence module keeps it: available or not, priority -128..127, the last
  // stanza.
  [[nodiscard]] bool is_available() const noexcept { return is_available_; }
  [[nodiscard]] std::int8_t priority() const noexcept { return priority_; }
  [[nodiscard]] const std::optional<xmpp::Stanza>& presence() const noexcept { return presence_; }
  // Does it get messages for the account's bare JID (RFC 6121 8.5.2.1.1)?
  [[nodiscard]] bool takes_messages() const noexcept { return is_available_ && priority_ >= 0; }
  // Records broadcast presence and fires Available or Unavailable.
  void set_presence(xmpp::Stanza presence, std::int8_t priority);
  void set_unavailable(xmpp::Stanza presence);

  // Delivers a stanza to this session's client, through ToSession.
  void deliver(xmpp::Stanza stanza);
  // A stanza from this session's client, `from` stamped: FromSession, then SentByAccount, then the
  // router.
  void receive(xmpp::Stanza&& stanza);
  // Lets what its client sends after this wait until the hold is gone.
  [[nodiscard]] OrderHold hold_order();
  // Is its stream over? What is delivered then goes nowhere, or waits if it is_detached().
  [[nodiscard]] bool is_ending() const noexcept;
  // How often everything delivered until then had been written to the connection. What is delivered
  // now has been once this has grown.
  [[nodiscard]] std::uint64_t times_drained() const noexcept { return times_drained_; }
  // Does its client acknowledge what it gets? What it does not is delivered again.
  [[nodiscard]] bool is_counted() const noexcept { return sm_ != nullptr; }
  // Has it lost its link, and waits to be resumed?
  [[nodiscard]] bool is_detached() const noexcept { return link_ == nullptr; }
  // Ends the stream with an error; a detached session ends soon.
  void close(xmpp::StreamError error);
  // Runs a task of the module whose scope it is; it dies with this session or with the module.
  void spawn(Scope& scope, xmpp::Task<void> task) { tasks_.spawn(scope, std::move(task)); }

  template <typename T>
  [[nodiscard]] T& operator[](const SessionSlot<T>& slot) {
    return slots_.get<T>(slot.entry());
  }
  // nullptr: there is no value yet.
  template <typename T>
  [[nodiscard]] T* find(const SessionSlot<T>& slot) {
    return slots_.find<T>(slot.entry());
  }
  // The modules' data that survive (slot.h), and back, for a session that is resumed elsewhere.
  [[nodiscard]] std::vector<SavedSlot> save_slots() const { return slots_.save(); }
  void hold_slots(std::vector<SavedSlot> saved) { slots_.hold(std::move(saved)); }

 private:
  friend class Account;
  friend class Link;
  friend class ProfileRuntime;
  friend class SmState;
  friend class SmStore;
  friend class TicketOffice;
  friend class Worker;
  friend struct Figures;  // tests/sim: are limits respected?
  friend struct SessionHold;

  // Numbers the stanza if that was agreed, and sends it or lets it queue.
  void write(const xmpp::Stanza& stanza);
  // More of the client's stanzas have been dealt with: tells it, if it asked.
  void acknowledge_more();
  // Asks the workers that got some of them. REQUIRES: they did since the last time.
  void send_probes();
  // Stanzas are counted from now on.
  void start_sm(const SmTerms& terms, std::string id);
  // Does its client's input wait?
  [[nodiscard]] bool is_held(xmpp::Instant now) const noexcept {
    return !hold_.expired() && now < held_until_;
  }
  // Does it survive the server?
  [[nodiscard]] bool is_stored() const noexcept;
  static void wait(std::unique_ptr<Session> session, xmpp::Duration window);
  // Its link is gone: lets it wait, or ends it.
  static void detach(std::unique_ptr<Session> session, ConnectionInfo last);
  static void end(std::unique_ptr<Session> session);
  // Ends a detached session as soon as nobody can be walking over the account's sessions.
  void end_soon();
  // What the client never acknowledged finds another way.
  static void redeliver(Account& account, Session& ended);
  // REQUIRES: is_detached().
  [[nodiscard]] std::unique_ptr<Session> take_detached() noexcept;

  Account& account_;
  xmpp::Jid jid_;
  Link* link_;  // null: detached
  bool is_available_ = false;
  std::int8_t priority_ = 0;
  std::optional<xmpp::Stanza> presence_;
  std::uint64_t times_drained_ = 0;
  std::weak_ptr<SessionHold> hold_;
  xmpp::Instant held_until_{};
  std::unique_ptr<SmState> sm_;  // null: nothing is acknowledged
  SlotBag slots_;
  TaskBag tasks_;  // last member: tasks go before what they use
};

}  // namespace xmppd
