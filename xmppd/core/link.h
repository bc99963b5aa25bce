// Link: the server's side of one connection: socket, TLS, stream, and the session it leads to.
//
// Before authentication a link lives where it was accepted; when its identity is proved it moves to
// the owner of its account (release() and take_over() of Worker), with unread bytes, output and TLS
// state.
//
// Thread-safety: the worker it is on. Invariants: (1) a link with session_ is on its account's
// owner. (2) A dead link (is_dead_) handles no event and is destroyed at the end of the turn. (3)
// Nothing is written to the socket but in flush(). (4) A session never ends inside a hook or a
// flush, but at the start of a turn (settle()), so that whoever walks over an account's sessions
// need not expect it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/address_table.h"
#include "core/entrance.h"
#include "core/login_throttle.h"
#include "xmpp/base/log.h"
#include "xmpp/base/task.h"
#include "xmpp/base/timer_wheel.h"
#include "xmpp/net/poller.h"
#include "xmpp/net/reactor.h"
#include "xmpp/stream/stream.h"
#include "xmpp/transport/tls_engine.h"
#include "xmppd/session.h"

namespace xmppd {

class Account;
class Host;
class Server;
class Worker;
struct Figures;

class Link final : private xmpp::net::Flushable {
 public:
  // `address` is the peer's; `address_key` has been counted for it in the server's AddressTable:
  // the link gives that place back at its end.
  Link(Worker& worker, std::unique_ptr<xmpp::net::ByteChannel> channel,
       std::shared_ptr<const Entrance> entrance, std::string address,
       AddressTable::Key address_key);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Starts to read. Called once, by the accepting worker.
  void start();
  // Goes on at the owner of `jid`, which was authenticated.
  void arrive(Worker& owner, const xmpp::Jid& jid);

  // Writes a stanza of the session, which has numbered it. REQUIRES: a session is bound.
  void write(const xmpp::Stanza& stanza);
  // Answers what the client asked to be acknowledged, as far as that is due.
  void acknowledge_more();
  // What the session held back may go on.
  void go_on();
  // Ends the stream with an error, flushes, closes.
  void fail(xmpp::StreamError error);
  // Ends at once, without a word to the peer.
  void drop();
  // Ends the stream with an error and the session at once. REQUIRES: not within a hook or a flush.
  void expel(const xmpp::StreamError& error);
  // What the stream is for; nullptr before its header. May be one that is served no more.
  [[nodiscard]] const Host* host() const noexcept { return host_; }

  [[nodiscard]] Session* session() noexcept { return session_.get(); }
  [[nodiscard]] ConnectionInfo connection() const;
  // Was the identity proved, and is it this account's? A resource need not be bound.
  [[nodiscard]] bool is_authenticated_as(const xmpp::Jid& account) const noexcept {
    return stream_.is_authenticated() && stream_.jid().bare_equals(account);
  }
  // Is the stream over, but the connection not yet closed?
  [[nodiscard]] bool is_closing() const noexcept { return is_closing_; }
  // Does anything that is sent still have a chance?
  [[nodiscard]] bool can_send() const noexcept { return !is_closing_ && !is_dead_ && !is_doomed_; }

  // The link's index in its worker's list.
  [[nodiscard]] std::size_t place() const noexcept { return place_; }
  void set_place(std::size_t place) noexcept { place_ = place; }

 private:
  friend struct Figures;  // tests/sim: are limits respected?
  static void on_ready(void* self, xmpp::net::Readiness readiness);
  static void on_flush(Flushable* self);

  void attach(Worker& worker);
  void detach() noexcept;
  void read();
  bool feed(std::string_view bytes);  // as read from the socket; false: no more reading now
  bool feed_tls(std::string_view ciphertext);
  void receive(std::string_view bytes);  // plain text for the stream
  void pump();                           // handles events until the stream wants bytes
  // Has this handler had its share of the turn, or what it feeds enough to do?
  [[nodiscard]] bool must_yield();
  // Keeps what is unread until the session has dealt with what must not be overtaken, or else for
  // the next turn; goes on with it. False: no more reading now.
  void hold_input();
  bool feed_held();
  bool handle(xmpp::Event& event);  // false: stop pumping (paused, moved or dead)
  void on_header(const xmpp::HeaderReceived& header);
  void on_start_tls();
  void on_authenticated(const xmpp::Authenticated& event);
  // The keys that a login proves, and whether they may have changed since.
  [[nodiscard]] std::uint32_t key_generation_of(std::string_view username) const;
  void note_keys(std::uint32_t generation, const xmpp::sasl::ScramKeys& keys);
  [[nodiscard]] bool are_keys_current() const noexcept;
  // Looks them up again if they may have changed. False: they have, or nobody knows; the link ends.
  xmpp::Task<bool> confirm_keys();
  xmpp::Task<void> resume_confirmed(xmpp::ResumeRequested event);
  xmpp::Task<void> bind(std::string resource);
  void bind_active(const std::string& resource);
  void on_stanza(xmpp::ParsedStanza& parsed);
  void on_nonza(const xmpp::NonzaReceived& nonza);
  void on_unauthenticated_iq(xmpp::Stanza stanza);

  // link_sm.cc
  void on_enable(const xmpp::EnableRequested& event);
  void on_resume(const xmpp::ResumeRequested& event);
  void refuse_resumption(std::string_view id);
  void on_acked(const xmpp::Acked& event);
  void answer_ack_request();
  void count(xmpp::Stanza& stanza);
  void try_to_resume(xmpp::Instant now);
  void resume(Session& session);
  void on_close_requested();
  void try_to_close(xmpp::Instant now);
  [[nodiscard]] Session* find_resumable(std::string_view id);
  // The session goes to another link; this one ends.
  [[nodiscard]] std::unique_ptr<Session> yield_session();
  void forget_stored();
  void request_ack_if_due();
  void request_ack();
  [[nodiscard]] xmpp::Instant ack_deadline() const noexcept;
  void on_ack_deadline(xmpp::Instant now);
  // An end that the client knows of, or brought about, is not waited out.
  void note_end(const xmpp::StreamError& error, bool by_peer) noexcept;
  [[nodiscard]] xmpp::StreamOffer make_offer() const;
  // Refuses an attempt where too many passwords were wrong lately.
  [[nodiscard]] bool is_throttled(std::string_view username);
  [[nodiscard]] LoginThrottle::Attempt attempt_of(std::string_view username) const;
  void on_authentication_failed(const xmpp::AuthenticationFailed& failed);
  // Once a minute somebody looks up again what is known of the host's accounts as a whole.
  void refresh_facts();
  xmpp::Task<void> look_up_keys(std::string username, xmpp::sasl::ScramHash hash);
  xmpp::Task<void> check_password(std::string username, xmpp::Secret password);
  void spend_rate(std::size_t bytes);
  void pause(xmpp::Instant until);
  [[nodiscard]] bool is_paused() const noexcept {
    return paused_until_ != xmpp::kNever || is_held();
  }
  // Does the session deal with something that what follows must not overtake?
  [[nodiscard]] bool is_held() const noexcept;

  // Does what had to wait for a stack without hooks: ends the session of a closing link, the link
  // if it is doomed. False: dead.
  bool settle();
  void settle_next_turn();
  void flush();
  void want_flush();
  // The stream has written something: flush it, or end a link whose peer does not read.
  void on_output();
  // Answers to what was asked before authentication and have not come yet are not sent.
  void forget_answers() noexcept;
  [[nodiscard]] std::size_t unsent_bytes() noexcept {
    return stream_.output().size() + ciphertext_.size();
  }
  void begin_close();
  void end_session();
  void die();
  void update_deadline();
  [[nodiscard]] xmpp::Instant idle_until() const noexcept;
  void on_deadline();

  Server& server_;
  Worker* worker_;
  std::unique_ptr<xmpp::net::ByteChannel> channel_;
  std::shared_ptr<const Entrance> entrance_;
  xmpp::net::Watch watch_;
  std::optional<xmpp::TlsEngine> tls_;
  xmpp::OutputChain ciphertext_;
  xmpp::Stream stream_;
  Host* host_ = nullptr;
  struct ProvedKeys {
    std::uint32_t generation;
    xmpp::sasl::ScramKeys keys;
  };
  std::unique_ptr<ProvedKeys> proved_;  // until there is a session
  std::unique_ptr<Session> session_;
  xmpp::Timer timer_;
  xmpp::Instant connected_at_;
  xmpp::Instant last_read_;
  xmpp::Instant linger_until_ = xmpp::kNever;
  xmpp::Instant paused_until_ = xmpp::kNever;  // kNever: is read
  const Worker* congested_ = nullptr;          // whose mailbox has to drain before reading goes on
  std::size_t place_ = 0;
  // A resumption (which?) or the last acknowledgement waits for tickets: until when at most, when
  // it is tried again.
  std::string resume_wanted_;
  xmpp::Instant resume_by_ = xmpp::kNever;
  xmpp::Instant close_by_ = xmpp::kNever;
  xmpp::Instant settle_try_at_ = xmpp::kNever;
  xmpp::Instant ack_request_at_ = xmpp::kNever;  // when the client is asked to acknowledge
  xmpp::Instant ack_answer_by_ = xmpp::kNever;   // when it is given up
  std::size_t replay_bytes_ = 0;  // of a resumed session, beside the limit of unsent output
  std::int64_t rate_tokens_ = 0;
  xmpp::Instant rate_at_{};
  // Asked of the socket once: after a reset it does not know any more.
  std::string address_;
  AddressTable::Key address_key_;
  bool is_watched_ = false;
  bool is_closing_ = false;  // the stream is over: flush, then close
  bool is_doomed_ = false;   // dies in the next turn
  bool is_final_ = false;    // the session does not outlive this link
  bool is_dead_ = false;
  bool has_hung_up_ = false;
  bool is_write_blocked_ = false;
  bool is_write_shut_ = false;
  bool is_pumping_ = false;
  bool has_held_ = false;          // bytes that were read and had to wait
  bool is_greedy_ = false;         // has had to wait since its socket was empty
  std::shared_ptr<Link*> handle_;  // made for answers that may come after the link has gone
  std::size_t unanswered_ = 0;     // requests before authentication
  xmpp::TaskOwner tasks_;          // last member: tasks go before what they use
};

// Tells a peer that is not let in (RFC 6120 4.9.3.14) without spending a link on it.
void refuse_connection(xmpp::net::ByteChannel& channel, xmpp::Rng& rng);

}  // namespace xmppd
