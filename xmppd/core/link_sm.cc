// Link: acknowledged delivery: counting is agreed on, acknowledgements come and go, a session goes
// on over a new link. The words on the wire are the stream's, the terms a module's.
#include <algorithm>

#include "core/link.h"
#include "core/server.h"
#include "core/sm_state.h"
#include "core/worker.h"
#include "xmppd/hooks.h"

namespace xmppd {

using xmpp::Instant;
using xmpp::StanzaCondition;
using xmpp::StreamCondition;
using xmpp::log::kv;

namespace {

constexpr std::size_t kIdBytes = 16;

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
  session_->sm_ = std::make_unique<SmState>(hook.terms, id);
  stream_.enabled(id, hook.terms.window);
}

// Acknowledgements
// ------------------------------------------------------------------------------------------------

void Link::answer_ack_request() {
  if (session_ == nullptr) return;
  stream_.send_ack(session_->sm_->window.report());
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
  request_ack_if_due();
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
    if (!is_paused()) {
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
    if (session->sm_ && !session->sm_->id.empty() && session->sm_->id == id) return session;
  }
  return nullptr;
}

void Link::on_resume(const xmpp::ResumeRequested& event) {
  Session* session = find_resumable(event.id);
  // One that its client has ended, but whose end is still to come, is gone as well.
  if (session == nullptr || (session->link_ != nullptr && session->link_->is_final_)) {
    stream_.refuse_sm(StanzaCondition::item_not_found);
    return;
  }
  auto& queue = session->sm_->queue;
  if (queue.acknowledge(event.handled) == xmpp::sm::Queue::Outcome::too_high) {
    stream_.fail_too_high(event.handled, queue.sent());
    return;
  }
  resume(*session);
}

std::unique_ptr<Session> Link::yield_session() {
  auto session = std::move(session_);
  fail({StreamCondition::conflict, "Resumed by a new connection"});
  return session;
}

void Link::resume(Session& session) {
  session_ = session.is_detached() ? session.take_detached() : session.link_->yield_session();
  session.link_ = this;
  SmState& sm = *session.sm_;
  sm.is_ack_requested = false;
  stream_.resumed(session.jid(), sm.id, sm.window.report());
  for (std::size_t i = 0; i < sm.queue.size(); ++i) {
    xmpp::Stanza stanza = sm.queue[i].stanza;
    Redelivering hook(stanza, session, sm.queue[i].at, /*ended=*/false);
    (void)host_->profile_.hooks().fire(hook);
    stream_.send(stanza);
  }
  if (!sm.queue.is_empty()) request_ack();
  xmpp::log::info(kLog, "session resumed", {kv("jid", session.jid().str())});
  Resumed hook{session};
  (void)host_->profile_.hooks().fire(hook);
  update_deadline();
  on_output();
}

}  // namespace xmppd
