#include "core/link.h"

#include <algorithm>
#include <array>

#include "core/activation.h"
#include "core/authentication.h"
#include "core/ownership.h"
#include "core/server.h"
#include "core/sm_state.h"
#include "core/strands.h"
#include "core/worker.h"
#include "xmpp/core/namespaces.h"
#include "xmppd/hooks.h"

namespace xmppd {

using xmpp::Instant;
using xmpp::StreamCondition;
using xmpp::log::kv;

namespace {

constexpr std::size_t kReadBudget = 64 * 1024;
// How long a closing link waits for the peer to take the last bytes and to close (a reset would
// destroy the error that we just sent).
constexpr xmpp::Duration kLinger = std::chrono::seconds(2);
constexpr xmpp::Duration kCongestionPause = std::chrono::milliseconds(2);
constexpr std::size_t kIovecMax = 64;

const xmpp::log::Context kLog{.component = "c2s"};

xmpp::TlsFacts facts_of(const xmpp::TlsEngine& engine) {
  auto bindings = engine.channel_bindings();
  return {std::move(bindings.tls_exporter), std::move(bindings.tls_server_end_point)};
}

}  // namespace

Link::Link(Worker& worker, std::unique_ptr<xmpp::net::ByteChannel> channel,
           std::shared_ptr<const Entrance> entrance, std::string address,
           AddressTable::Key address_key)
    : Flushable(&on_flush),
      server_(worker.server()),
      worker_(&worker),
      channel_(std::move(channel)),
      entrance_(std::move(entrance)),
      stream_(xmpp::Role::receiver, worker.server().stream_policy(), worker.rng(),
              worker.reactor().now()),
      connected_at_(worker.reactor().now()),
      last_read_(connected_at_),
      address_(std::move(address)),
      address_key_(address_key) {
  rate_tokens_ = static_cast<std::int64_t>(server_.limits().stanza_burst);
  rate_at_ = connected_at_;
  server_.count_connection(1);
  watch_ = {&on_ready, this, /*is_patient=*/true};  // a stranger waits for those who are in
  timer_.set_callback([this] { on_deadline(); });
}

Link::~Link() {
  tasks_.cancel_all();
  end_session();
  detach();
  // Not by way of worker_: a link in undelivered mail may outlive the worker that sent it.
  server_.addresses().remove(address_key_);
  server_.count_connection(-1);
}

void Link::start() {
  if (entrance_->service == Service::c2s_direct_tls) {
    tls_ = xmpp::TlsEngine::make_server(server_.tls_context());
  }
  attach(*worker_);
}

void Link::attach(Worker& worker) {
  worker_ = &worker;
  worker_->reactor().watch(*channel_, watch_);
  is_watched_ = true;
  update_deadline();
}

void Link::detach() noexcept {
  if (is_watched_) worker_->reactor().unwatch(*channel_, watch_);
  is_watched_ = false;
  timer_.cancel();
  unlink();
  forget_answers();
}

void Link::forget_answers() noexcept {
  if (handle_) *handle_ = nullptr;
  handle_.reset();
  unanswered_ = 0;
}

// Reading
// ------------------------------------------------------------------------------------------------

void Link::on_ready(void* self, xmpp::net::Readiness readiness) {
  auto& link = *static_cast<Link*>(self);
  if (!link.settle()) return;
  if (xmpp::net::has(readiness, xmpp::net::Readiness::writable) && link.is_write_blocked_) {
    link.is_write_blocked_ = false;
    link.want_flush();
  }
  if (xmpp::net::has(readiness, xmpp::net::Readiness::hangup)) link.has_hung_up_ = true;
  if (link.has_hung_up_ || xmpp::net::has(readiness, xmpp::net::Readiness::readable)) link.read();
}

bool Link::settle() {
  if (is_dead_) return false;
  if (is_doomed_) {
    die();
    return false;
  }
  if (is_closing_) end_session();
  return true;
}

void Link::settle_next_turn() {
  worker_->reactor().read_again(watch_);
}

void Link::read() {
  // What waits in the socket is not reported again.
  if (is_held()) hold_input();
  if (is_paused() || !feed_held()) return;
  std::size_t spent = 0;
  auto buffer = worker_->reactor().read_buffer();
  for (;;) {
    auto result = channel_->read(buffer);
    switch (result.status) {
      case xmpp::net::IoResult::Status::ok:
        break;
      case xmpp::net::IoResult::Status::would_block:
        is_greedy_ = false;
        return;
      case xmpp::net::IoResult::Status::closed:
        // A peer that shuts down its sending half without closing its stream is gone. One that has
        // closed it still gets our last bytes; the linger limits how long that takes.
        if (!is_closing_ || is_write_shut_) die();
        return;
      case xmpp::net::IoResult::Status::failed:
        die();
        return;
    }
    last_read_ = worker_->reactor().now();
    if (!is_closing_ && !feed({buffer.data(), result.bytes})) return;
    if (is_dead_) return;
    spent += result.bytes;
    // A short read drained the socket; the next bytes make a new edge. After a hang-up there is
    // none: read on to the end.
    if (result.bytes < buffer.size() && !has_hung_up_) {
      is_greedy_ = false;
      return;
    }
    if (spent >= kReadBudget) {
      worker_->reactor().read_again(watch_);
      return;
    }
  }
}

bool Link::feed(std::string_view bytes) {
  spend_rate(bytes.size());
  if (tls_) return feed_tls(bytes);
  receive(bytes);
  return !is_dead_ && is_watched_ && !is_paused() && !has_held_;
}

bool Link::feed_tls(std::string_view ciphertext) {
  const bool was_open = tls_->is_open();
  auto fed = tls_->feed(ciphertext);
  if (!was_open && tls_->is_open()) {
    if (entrance_->service == Service::c2s_direct_tls && !stream_.is_secure()) {
      stream_.assume_tls(facts_of(*tls_));
    } else {
      stream_.tls_started(facts_of(*tls_));
    }
  }
  if (fed || tls_->is_open()) {
    auto plain = worker_->plain_buffer();
    for (;;) {
      auto got = tls_->read(plain);
      if (!got || *got == 0) break;
      receive({plain.data(), *got});
      if (is_dead_ || !is_watched_) return false;
      if (has_held_) break;  // what the engine holds waits, too
      if (is_closing_) break;
    }
  }
  if (!fed) {
    xmpp::log::debug(kLog, "TLS failed", {kv("why", fed.error().text)});
    // The alert, if there is one, still goes out.
    begin_close();
    return true;
  }
  // Not before what it said until then has been heard.
  const bool is_over = tls_->state() == xmpp::TlsEngine::State::closed_by_peer;
  if (is_over && !is_closing_ && !has_held_) {
    die();
    return false;
  }
  want_flush();  // handshake bytes, tickets
  return !is_paused() && !has_held_;
}

void Link::spend_rate(std::size_t bytes) {
  const auto& limits = server_.limits();
  if (limits.stanza_rate == 0) return;
  const auto now = worker_->reactor().now();
  const auto rate = static_cast<std::int64_t>(limits.stanza_rate);
  const auto burst = static_cast<std::int64_t>(limits.stanza_burst);
  const auto elapsed_us = std::min<std::int64_t>((now - rate_at_).count(), 3'600'000'000);
  rate_tokens_ = std::min(burst, rate_tokens_ + elapsed_us * rate / 1'000'000);
  rate_at_ = now;
  rate_tokens_ -= static_cast<std::int64_t>(bytes);
  if (rate_tokens_ >= 0) return;
  // Over the rate: not read until the debt is paid.
  pause(now + xmpp::Duration(-rate_tokens_ * 1'000'000 / rate + 1'000));
}

// The socket is not read until then; it keeps what it has, and no edge is lost: reading goes on by
// read_again().
void Link::pause(Instant until) {
  if (is_closing_) return;
  paused_until_ = paused_until_ != xmpp::kNever ? std::max(paused_until_, until) : until;
  update_deadline();
}

bool Link::is_held() const noexcept {
  return session_ && !is_closing_ && session_->is_held(worker_->reactor().now());
}

void Link::hold_input() {
  stream_.hold();
  has_held_ = true;
  if (!is_held()) {
    worker_->reactor().read_again(watch_);
    return;
  }
  if (auto hold = session_->hold_.lock()) hold->is_awaited = true;
  update_deadline();
}

void Link::go_on() {
  if (has_held_ && !is_dead_) worker_->reactor().read_again(watch_);
}

void Link::receive(std::string_view bytes) {
  stream_.receive(bytes);
  pump();
}

// Events
// -------------------------------------------------------------------------------------------------

void Link::pump() {
  // An answer given within handle() must not pump again below it.
  if (is_pumping_) return;
  is_pumping_ = true;
  for (;;) {
    if (is_held()) {
      hold_input();
      break;
    }
    auto event = stream_.next();
    if (std::holds_alternative<xmpp::NeedBytes>(event)) break;
    if (!handle(event)) {
      is_pumping_ = false;
      return;
    }
    if (must_yield()) {
      is_greedy_ = true;
      hold_input();
      break;
    }
  }
  is_pumping_ = false;
  if (!stream_.output().empty()) on_output();
  if (timer_.is_set() || stream_.deadline() != xmpp::kNever) update_deadline();
}

// A few bytes may cause much work (a presence goes to all who see it): what counts is time.
bool Link::must_yield() {
  worker_->spend();
  // What is said to an account that is being loaded waits there, past the session's own order.
  const bool is_loading = session_ && !session_->account().is_active();
  return congested_ != nullptr || (is_greedy_ && is_paused()) || is_loading ||
         worker_->is_slice_over();
}

bool Link::feed_held() {
  if (!std::exchange(has_held_, false)) return true;
  pump();
  if (is_dead_ || !is_watched_) return false;
  if (!has_held_ && !is_paused()) return !tls_ || is_closing_ || feed_tls({});
  has_held_ = true;  // the TLS engine may hold more
  return false;
}

bool Link::handle(xmpp::Event& event) {
  if (auto* stanza = std::get_if<xmpp::StanzaReceived>(&event)) {
    on_stanza(stanza->parsed);
  } else if (auto* nonza = std::get_if<xmpp::NonzaReceived>(&event)) {
    on_nonza(*nonza);
  } else if (auto* header = std::get_if<xmpp::HeaderReceived>(&event)) {
    on_header(*header);
  } else if (std::holds_alternative<xmpp::StartTls>(event)) {
    on_start_tls();
  } else if (auto* wanted = std::get_if<xmpp::CredentialsWanted>(&event)) {
    if (!is_throttled(wanted->username)) {
      tasks_.spawn(look_up_keys(wanted->username, wanted->hash));
    }
  } else if (auto* offered = std::get_if<xmpp::PasswordOffered>(&event)) {
    if (!is_throttled(offered->username)) {
      tasks_.spawn(check_password(offered->username, std::move(offered->password)));
    }
  } else if (auto* authenticated = std::get_if<xmpp::Authenticated>(&event)) {
    on_authenticated(*authenticated);
  } else if (auto* failed = std::get_if<xmpp::AuthenticationFailed>(&event)) {
    on_authentication_failed(*failed);
  } else if (auto* bind = std::get_if<xmpp::BindRequested>(&event)) {
    tasks_.spawn(this->bind(bind->resource));
  } else if (std::holds_alternative<xmpp::AckRequested>(event)) {
    answer_ack_request();
  } else if (auto* acked = std::get_if<xmpp::Acked>(&event)) {
    on_acked(*acked);
  } else if (std::holds_alternative<xmpp::CloseRequested>(event)) {
    on_close_requested();
  } else if (auto* enable = std::get_if<xmpp::EnableRequested>(&event)) {
    on_enable(*enable);
  } else if (auto* resumption = std::get_if<xmpp::ResumeRequested>(&event)) {
    if (are_keys_current()) {
      on_resume(*resumption);
    } else {
      tasks_.spawn(resume_confirmed(*resumption));
    }
  } else if (auto* dead = std::get_if<xmpp::StreamFailed>(&event)) {
    xmpp::log::debug(kLog, "stream error",
                     {kv("condition", to_string(dead->error.condition)),
                      kv("by_peer", dead->by_peer), kv("text", dead->error.text)});
    note_end(dead->error, dead->by_peer);
    begin_close();
  } else if (std::holds_alternative<xmpp::Closed>(event)) {
    is_final_ = true;
    begin_close();
  }
  return !is_dead_ && is_watched_;
}

void Link::on_stanza(xmpp::ParsedStanza& parsed) {
  if (session_ == nullptr) {
    on_unauthenticated_iq(std::move(parsed.stanza));
    return;
  }
  auto& router = worker_->router();
  auto& stanza = parsed.stanza;
  stanza.envelope().from = session_->jid();
  SmState* sm = session_->sm_.get();
  if (sm != nullptr) count(stanza);
  if (parsed.problem) {
    if (xmpp::can_bounce(stanza)) session_->write(xmpp::make_error(stanza, *parsed.problem));
    if (sm != nullptr) sm->confirm();
    return;
  }
  if (const Worker* full = router.find_congested(stanza.to(), is_greedy_)) {
    // The stanza still goes; reading stops until the mailbox drains (architecture,
    // "Back-pressure").
    congested_ = full;
    pause(worker_->reactor().now() + kCongestionPause);
  }
  session_->receive(std::move(stanza));
  if (sm != nullptr) sm->confirm();
  if (is_greedy_ && server_.is_storage_congested()) {
    // Others ask the database, too.
    pause(worker_->reactor().now() + kCongestionPause);
  }
  if (session_ && !session_->account().is_active()) {
    // What it says waits for its account to be loaded; so does the rest.
    pause(worker_->reactor().now() + kCongestionPause);
  }
}

void Link::on_nonza(const xmpp::NonzaReceived& nonza) {
  const bool is_known =
      session_ != nullptr && host_->profile_.receive_nonza(*session_, nonza.document.root());
  if (!is_known) fail({StreamCondition::unsupported_stanza_type, {}});
}

// Writing and ending
// -------------------------------------------------------------------------------------

void Link::write(const xmpp::Stanza& stanza) {
  if (!can_send()) return;
  stream_.send(stanza);
  if (session_ && session_->sm_) request_ack_if_due();
  on_output();
}

void Link::on_output() {
  if (is_dead_ || is_doomed_) return;
  const auto limit = server_.limits().output_queue_bytes + replay_bytes_;
  // Who reads is not to blame for a turn that brings more than a queue of it.
  if (unsent_bytes() > limit && !is_write_blocked_) flush();
  if (unsent_bytes() > limit && !is_doomed_) {
    // A peer that does not read: nothing more can be queued, so the error cannot be told either.
    // Not at once: somebody may be walking over the account's sessions.
    xmpp::log::info(kLog, "output queue full, closing", {kv("jid", stream_.jid().str())});
    server_.refusals().slow_peers.fetch_add(1, std::memory_order_relaxed);
    is_doomed_ = true;
    settle_next_turn();
    return;
  }
  want_flush();
}

void Link::want_flush() {
  if (!is_dead_ && is_watched_) worker_->reactor().mark_dirty(*this);
}

void Link::on_flush(Flushable* self) {
  static_cast<Link*>(self)->flush();
}

void Link::flush() {
  if (is_dead_ || is_doomed_) return;
  if (tls_ && (tls_->is_open() || tls_->state() == xmpp::TlsEngine::State::closed_by_peer)) {
    if (!stream_.output().empty()) (void)tls_->write(std::move(stream_.output()));
    if (is_closing_ && !is_write_shut_) tls_->close();
  }
  if (tls_) tls_->take_output(ciphertext_);
  auto& out = tls_ ? ciphertext_ : stream_.output();
  while (!out.empty() && !is_write_blocked_) {
    std::array<iovec, kIovecMax> parts;
    auto count = out.gather(parts);
    auto result = channel_->writev({parts.data(), count});
    if (result.status == xmpp::net::IoResult::Status::would_block) {
      is_write_blocked_ = true;
      break;
    }
    if (result.status != xmpp::net::IoResult::Status::ok) {
      // What the end of a session sends must not be sent from a flush.
      is_doomed_ = true;
      settle_next_turn();
      return;
    }
    out.consume(result.bytes);
  }
  if (out.empty() && session_) ++session_->times_drained_;
  if (out.empty()) replay_bytes_ = 0;
  if (is_closing_ && out.empty() && !is_write_shut_) {
    is_write_shut_ = true;
    channel_->shutdown_write();
  }
}

void Link::fail(xmpp::StreamError error) {
  if (is_closing_ || is_dead_) return;
  note_end(error, /*by_peer=*/false);
  stream_.fail(std::move(error));
  begin_close();
}

void Link::expel(const xmpp::StreamError& error) {
  fail(error);
  if (!is_dead_) end_session();
}

void Link::begin_close() {
  if (is_closing_ || is_dead_) return;
  is_closing_ = true;
  tasks_.cancel_all();
  // The session ends in the next turn: this may have been called from one of its own hooks.
  settle_next_turn();
  linger_until_ = worker_->reactor().now() + kLinger;
  paused_until_ = xmpp::kNever;  // what still comes is thrown away, its end is awaited
  want_flush();
  update_deadline();
}

void Link::end_session() {
  if (!session_) return;
  auto session = std::move(session_);
  if (session->sm_ && session->sm_->terms.is_resumable && !is_final_) {
    Session::detach(std::move(session), connection());
  } else {
    Session::end(std::move(session));
  }
}

void Link::drop() {
  if (!is_dead_) die();
}

void Link::die() {
  if (is_dead_) return;
  is_dead_ = true;
  // A look-up that answers in the rest of this turn must not find a stream that goes on.
  tasks_.cancel_all();
  end_session();
  detach();
  worker_->bury(*this);
}

void Link::update_deadline() {
  if (!is_watched_) return;  // on its way to another worker
  auto deadline = std::min({stream_.deadline(), linger_until_, paused_until_, idle_until(),
                            ack_deadline(), is_closing_ ? xmpp::kNever : settle_try_at_,
                            has_held_ && is_held() ? session_->held_until_ : xmpp::kNever});
  if (deadline == xmpp::kNever) {
    timer_.cancel();
  } else {
    worker_->reactor().timers().set(timer_, deadline);
  }
}

// Moves with every read; the timer is set anew only when it fires too early.
Instant Link::idle_until() const noexcept {
  const auto timeout = server_.limits().idle_timeout;
  if (session_ == nullptr || is_closing_ || timeout == xmpp::Duration::zero()) return xmpp::kNever;
  // While we do not read, nobody can tell whether it is idle.
  return (is_paused() || has_held_ ? worker_->reactor().now() : last_read_) + timeout;
}

void Link::on_deadline() {
  if (!settle()) return;
  const auto now = worker_->reactor().now();
  if (now >= idle_until()) fail({StreamCondition::connection_timeout, "Idle for too long"});
  if (now >= linger_until_) {
    die();
    return;
  }
  if (now >= settle_try_at_ && !is_closing_) {
    if (close_by_ != xmpp::kNever) {
      try_to_close(now);
    } else {
      try_to_resume(now);
    }
  }
  if (now >= ack_deadline()) {
    on_ack_deadline(now);
    if (is_dead_) return;
  }
  if (now >= paused_until_) {
    // Or its own account is being loaded: what it says would only wait there.
    const auto* loading = session_ ? session_->account().activation_.get() : nullptr;
    const bool is_held_up = (congested_ != nullptr && congested_->is_congested(is_greedy_)) ||
                            (loading != nullptr && loading->until != xmpp::kNever);
    paused_until_ = is_held_up ? now + kCongestionPause : xmpp::kNever;
    if (!is_held_up) {
      congested_ = nullptr;
      worker_->reactor().read_again(watch_);
    }
  }
  if (has_held_ && !is_held()) worker_->reactor().read_again(watch_);
  const bool is_timed_out = now >= stream_.deadline();
  stream_.tick(now);
  // What is held goes on by read(), in its slice.
  if (is_timed_out || !has_held_) pump();
  if (!is_dead_) update_deadline();
}

void refuse_connection(xmpp::net::ByteChannel& channel, xmpp::Rng& rng) {
  constexpr std::size_t kIdBytes = 12;
  const std::string text =
      "<?xml version='1.0'?><stream:stream from='' id='" + rng.hex(kIdBytes) +
      "' version='1.0' xml:lang='en' xmlns='jabber:client' "
      "xmlns:stream='http://etherx.jabber.org/streams'><stream:error>"
      "<policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
      "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>Too many connections</text>"
      "</stream:error></stream:stream>";
  const iovec part{const_cast<char*>(text.data()), text.size()};
  (void)channel.writev({&part, 1});
  channel.shutdown_write();
}

ConnectionInfo Link::connection() const {
  ConnectionInfo info;
  info.address = address_;
  if (tls_ && stream_.is_secure()) info.tls = std::string(tls_->protocol());
  info.mechanism = stream_.mechanism();
  info.connected_at = connected_at_;
  info.is_loopback = info.address.starts_with("127.") || info.address.starts_with("[::1]");
  return info;
}

}  // namespace xmppd
