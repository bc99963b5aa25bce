// Link: acknowledged delivery: counting is agreed on, acknowledgements come and go, a session goes
// on over a new link. The words on the wire are the stream's, the terms a module's.
#include <algorithm>
#include <utility>

#include "core/link.h"
#include "core/ownership.h"
#include "core/server.h"
#include "core/sm_state.h"
#include "core/sm_store.h"
#include "core/worker.h"
#include "xmppd/hooks.h"

namespace xmppd {

using xmpp::Instant;
using xmpp::StanzaCondition;
using xmpp::StreamCondition;
using xmpp::log::kv;

namespace {

constexpr std::size_t kIdBytes = 16;
constexpr xmpp::Duration kSettlePoll = std::chrono::milliseconds(10);

const xmpp::log::Context kLog{.component = "c2s"};

}  // namespace

void Link::on_enable(const xmpp::EnableRequested& event) {
  SmRequested hook{.session = *session_,
                   .wants_resumption = event.resume,
                   .wanted_window = std::chrono::seconds(event.max_seconds.value_or(0)),
                   .terms = {}};
  if (host_->profile_.hooks().fire(hook) != Verdict::handled) {
    stream_.refuse_sm(StanzaCondition::feature_not_implemented);
    return;
  }
  auto id = hook.terms.is_resumable ? worker_->rng().hex(kIdBytes) : std::string();
  session_->start_sm(hook.terms, id);
  if (!id.empty()) {
    SmState& sm = *session_->sm_;
    sm.counter = server_.sm_counters().acquire(id);
    sm.is_stored = sm.counter != nullptr;
    if (sm.is_stored) SmStore::put(*session_);
  }
  stream_.enabled(id, hook.terms.window);
}

// Acknowledgements
// ------------------------------------------------------------------------------------------------

// The stanza gets its number, and its session remembers where it goes.
void Link::count(xmpp::Stanza& stanza) {
  SmState& sm = *session_->sm_;
  stanza.set_origin({sm.stream, sm.window.receive()});
  if (!sm.terms.waits_for_stores || !stanza.to()) return;
  const auto owner = owner_of(stanza.to(), server_.worker_count());
  if (owner == worker_->index() || stanza.to().local().empty()) return;
  sm.visited[owner] = true;
  sm.has_visited = true;
}

void Link::answer_ack_request() {
  if (session_ == nullptr) return;
  SmState& sm = *session_->sm_;
  if (!sm.terms.waits_for_stores) sm.window.settle_all();
  if (sm.has_visited) {
    session_->send_probes();
    ++sm.probes.back().requests;
  } else if (!sm.probes.empty()) {
    ++sm.probes.back().requests;
  } else {
    ++sm.answers_due;
    acknowledge_more();
  }
}

void Link::acknowledge_more() {
  if (session_ == nullptr || is_closing_ || is_dead_ || is_doomed_) return;
  SmState& sm = *session_->sm_;
  const auto reported = sm.window.reported();
  // One that was answered short: the rest follows when it is known.
  if (sm.owes_ack && sm.answers_due == 0 && sm.window.handled() != reported) sm.answers_due = 1;
  if (sm.answers_due == 0) return;
  const auto handled = sm.window.report();
  sm.save_count();
  for (; sm.answers_due != 0; --sm.answers_due) stream_.send_ack(handled);
  sm.owes_ack = !sm.window.is_settled();
  on_output();
}

void Link::on_acked(const xmpp::Acked& event) {
  if (session_ == nullptr) return;
  SmState& sm = *session_->sm_;
  if (sm.queue.acknowledge(event.handled) == xmpp::sm::Queue::Outcome::too_high) {
    stream_.fail_too_high(event.handled, sm.queue.sent());
    return;
  }
  sm.is_ack_requested = false;
  ack_request_at_ = xmpp::kNever;
  ack_answer_by_ = xmpp::kNever;
  forget_stored();
  request_ack_if_due();
}

// What was stored while the session had no link is not needed any more when its client has it.
void Link::forget_stored() {
  SmState& sm = *session_->sm_;
  if (!sm.stored_until) return;
  if (static_cast<std::int32_t>(sm.queue.acknowledged() - *sm.stored_until) < 0) return;
  sm.stored_until.reset();
  SmStore::remove_queue(*session_);
}

// After every few stanzas, or when some have waited for a while; one request at a time.
void Link::request_ack_if_due() {
  SmState& sm = *session_->sm_;
  if (sm.is_ack_requested || sm.queue.is_empty()) return;
  if (sm.queue.size() >= sm.terms.request_every) {
    request_ack();
  } else if (ack_request_at_ == xmpp::kNever) {
    ack_request_at_ = worker_->reactor().now() + sm.terms.request_delay;
    update_deadline();
  }
}

void Link::request_ack() {
  SmState& sm = *session_->sm_;
  sm.is_ack_requested = true;
  ack_request_at_ = xmpp::kNever;
  stream_.request_ack();
  if (sm.terms.answer_timeout == xmpp::Duration::zero()) return;
  ack_answer_by_ = worker_->reactor().now() + sm.terms.answer_timeout;
  update_deadline();
}

Instant Link::ack_deadline() const noexcept {
  if (session_ == nullptr || is_closing_) return xmpp::kNever;
  return std::min(ack_request_at_, ack_answer_by_);
}

void Link::on_ack_deadline(Instant now) {
  SmState& sm = *session_->sm_;
  if (now >= ack_answer_by_) {
    if (!is_paused() && !has_held_) {
      xmpp::log::debug(kLog, "no acknowledgement came", {kv("jid", session_->jid().str())});
      die();
      return;
    }
    // Its answer may be among what we do not read.
    ack_answer_by_ = now + sm.terms.answer_timeout;
  }
  if (now >= ack_request_at_) {
    ack_request_at_ = xmpp::kNever;
    if (!sm.is_ack_requested && !sm.queue.is_empty()) request_ack();
  }
}

// The end of a link and the next one
// ------------------------------------------------------------------------------------------------

void Link::note_end(const xmpp::StreamError& error, bool by_peer) noexcept {
  is_final_ = by_peer || (error.condition != StreamCondition::connection_timeout &&
                          error.condition != StreamCondition::system_shutdown);
}

Session* Link::find_resumable(std::string_view id) {
  Account* account = worker_->accounts().find(stream_.jid());
  if (account == nullptr) return nullptr;
  for (Session* session : account->sessions()) {
    const SmState* sm = session->sm_.get();
    if (sm != nullptr && !sm->id.empty() && sm->id == id && !sm->is_over) return session;
  }
  return nullptr;
}

xmpp::Task<void> Link::resume_confirmed(xmpp::ResumeRequested event) {
  auto confirming = confirm_keys();
  const bool is_confirmed = co_await std::move(confirming);
  if (!is_confirmed) co_return;
  on_resume(event);
  if (!is_closing_) pump();
}

// A session that is not there is one thing, that there are none to be resumed another.
void Link::refuse_resumption(std::string_view id) {
  const auto handled = worker_->find_ended(id, stream_.jid());
  const auto* policy =
      static_cast<const SmPolicy*>(host_->profile_.find_service(SmPolicy::kServiceName));
  const bool is_offered = policy != nullptr && policy->offers_resumption();
  stream_.refuse_sm(is_offered || handled ? StanzaCondition::item_not_found
                                          : StanzaCondition::feature_not_implemented,
                    handled);
}

void Link::on_resume(const xmpp::ResumeRequested& event) {
  Session* session = find_resumable(event.id);
  // One that its client has ended, but whose end is still to come, is gone as well.
  if (session == nullptr || (session->link_ != nullptr && session->link_->is_final_)) {
    refuse_resumption(event.id);
    return;
  }
  auto& queue = session->sm_->queue;
  // One that came back with the server has no link yet.
  if (session->sm_->reconcile(event.handled) && session->is_stored()) SmStore::put_queue(*session);
  if (queue.acknowledge(event.handled) == xmpp::sm::Queue::Outcome::too_high) {
    stream_.fail_too_high(event.handled, queue.sent());
    return;
  }
  resume_wanted_ = event.id;
  resume_by_ = worker_->reactor().now() + kSettleTimeout;
  if (session->link_ != nullptr) {
    // Not thought alive any longer.
    Session::detach(session->link_->yield_session(), connection());
    session = find_resumable(event.id);
  }
  if (session->sm_->has_visited) session->send_probes();
  if (session->sm_->is_stored_detached) SmStore::put_attached(*session);
  try_to_resume(worker_->reactor().now());
}

// What the client is told to have been dealt with must not be repeated, so what is still under way
// is waited for, but not for long; and so is the note that the stored count holds no longer.
void Link::try_to_resume(Instant now) {
  Session* session = find_resumable(resume_wanted_);
  if (session == nullptr || (session->link_ != nullptr && session->link_->is_final_)) {
    settle_try_at_ = xmpp::kNever;
    refuse_resumption(resume_wanted_);
    on_output();
    return;
  }
  const SmState& sm = *session->sm_;
  if ((!sm.window.is_settled() || sm.is_stored_detached) && now < resume_by_) {
    settle_try_at_ = now + kSettlePoll;
    update_deadline();
    return;
  }
  settle_try_at_ = xmpp::kNever;
  resume(*session);
}

// The client has closed its stream; what it hears last is how much of what it sent was dealt with.
void Link::on_close_requested() {
  is_final_ = true;
  close_by_ = worker_->reactor().now() + kSettleTimeout;
  if (session_ != nullptr && session_->sm_->has_visited) session_->send_probes();
  try_to_close(worker_->reactor().now());
}

void Link::try_to_close(Instant now) {
  if (session_ != nullptr) {
    SmState& sm = *session_->sm_;
    if (!sm.window.is_settled() && now < close_by_) {
      settle_try_at_ = now + kSettlePoll;
      update_deadline();
      return;
    }
    sm.window.settle_all();
    stream_.send_ack(sm.window.report());
  }
  settle_try_at_ = xmpp::kNever;
  stream_.close();
  on_output();
}

std::unique_ptr<Session> Link::yield_session() {
  auto session = std::move(session_);
  fail({StreamCondition::conflict, "Resumed by a new connection"});
  return session;
}

void Link::resume(Session& session) {
  session_ = session.is_detached() ? session.take_detached() : session.link_->yield_session();
  proved_.reset();
  session.link_ = this;
  SmState& sm = *session.sm_;
  sm.is_ack_requested = false;
  sm.answers_due = 0;
  sm.owes_ack = false;
  // Whoever asked did so over a link that is gone.
  for (auto& probe : sm.probes) probe.requests = 0;
  sm.window.settle_all();
  stream_.resumed(session.jid(), sm.id, sm.window.report());
  sm.save_count();
  if (sm.is_stored) sm.stored_until = sm.queue.sent();
  for (std::size_t i = 0; i < sm.queue.size(); ++i) {
    xmpp::Stanza stanza = sm.queue[i].stanza;
    Redelivering hook(stanza, session, sm.queue[i].at, /*ended=*/false);
    (void)host_->profile_.hooks().fire(hook);
    stream_.send(stanza);
  }
  replay_bytes_ = stream_.output().size();
  forget_stored();
  if (!sm.queue.is_empty()) request_ack();
  xmpp::log::info(kLog, "session resumed", {kv("jid", session.jid().str())});
  Resumed hook{session};
  (void)host_->profile_.hooks().fire(hook);
  update_deadline();
  on_output();
}

}  // namespace xmppd
