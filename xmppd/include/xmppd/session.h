// Session: a bound resource of an account.
//
// Thread-safety: the account owner's worker only. Invariants: (1) a session that is available has a
// presence(). (2) Nothing is sent after the end of its link.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "xmpp/base/task.h"
#include "xmpp/base/time.h"
#include "xmpp/core/jid.h"
#include "xmpp/core/stanza.h"
#include "xmpp/core/stream_error.h"
#include "xmppd/account.h"
#include "xmppd/export.h"
#include "xmppd/slot.h"

namespace xmppd {

class Link;

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
  Session(Account& account, xmpp::Jid full_jid, Link& link);
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
  // Is its stream over, so that it receives nothing any more and ends in the next turn?
  [[nodiscard]] bool is_ending() const noexcept;
  // Does it get messages for the account's bare JID (RFC 6121 8.5.2.1.1)?
  [[nodiscard]] bool takes_messages() const noexcept {
    return is_available_ && priority_ >= 0 && !is_ending();
  }
  // Records broadcast presence and fires Available or Unavailable.
  void set_presence(xmpp::Stanza presence, std::int8_t priority);
  void set_unavailable(xmpp::Stanza presence);

  // Delivers a stanza to this session's client, through ToSession.
  void deliver(xmpp::Stanza stanza);
  // A stanza from this session's client, `from` stamped: FromSession, then SentByAccount, then the
  // router.
  void receive(xmpp::Stanza stanza);
  // Ends the stream with an error.
  void close(xmpp::StreamError error);
  // Runs a task that dies with this session.
  void spawn(xmpp::Task<void> task) { tasks_.spawn(std::move(task)); }

  template <typename T>
  [[nodiscard]] T& operator[](const SessionSlot<T>& slot) {
    return slots_.get<T>(slot.index());
  }

 private:
  friend class Account;
  friend class Link;
  friend class ProfileRuntime;
  Account& account_;
  xmpp::Jid jid_;
  Link* link_;
  bool is_available_ = false;
  std::int8_t priority_ = 0;
  std::optional<xmpp::Stanza> presence_;
  SlotBag slots_;
  xmpp::TaskOwner tasks_;  // last member: tasks go before what they use
};

}  // namespace xmppd
