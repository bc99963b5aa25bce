#include "xmppd/session.h"

#include <algorithm>

#include "core/activation.h"
#include "core/link.h"
#include "core/profile_runtime.h"
#include "core/server.h"
#include "core/sm_state.h"
#include "core/sm_store.h"
#include "core/worker.h"

namespace xmppd {

using xmpp::Stanza;

Session::Session(Account& account, xmpp::Jid full_jid, Link* link)
    : account_(account), jid_(std::move(full_jid)), link_(link) {}

Session::~Session() {
  if (sm_) account_.host_.worker_.tickets().leave(sm_->stream);
}

ConnectionInfo Session::connection() const {
  return link_ != nullptr ? link_->connection() : sm_->last_connection;
}

void Session::receive(Stanza&& stanza) {
  if (!account_.is_active()) {
    account_.host_.worker_.activator().hold_sent(*this, std::move(stanza));
    return;
  }
  auto& router = account_.host_.worker_.router();
  FromSession hook(stanza, *this);
  switch (account_.host_.profile_.hooks().fire(hook)) {
    case Verdict::pass:
      break;
    case Verdict::bounce:
      router.bounce(stanza, hook.error);
      return;
    case Verdict::handled:
    case Verdict::drop:
      return;
  }
  if (!stanza.to()) {
    if (stanza.is_presence()) return;
    // RFC 6120 10.3: handled on behalf of the sending account.
    stanza.envelope().to = account_.jid();
  }
  router.send_from(account_, this, std::move(stanza));
}

void Session::set_presence(Stanza presence, std::int8_t priority) {
  const bool is_initial = !is_available_;
  is_available_ = true;
  priority_ = priority;
  presence_ = std::move(presence);
  if (is_stored()) SmStore::put(*this);
  Available hook{*this, is_initial};
  (void)account_.host_.profile_.hooks().fire(hook);
}

void Session::set_unavailable(Stanza presence) {
  if (!is_available_) return;
  is_available_ = false;
  presence_ = std::move(presence);
  if (is_stored()) SmStore::put(*this);
  Unavailable hook{*this};
  (void)account_.host_.profile_.hooks().fire(hook);
}

void Session::deliver(Stanza stanza) {
  account_.host_.worker_.spend();
  ToSession hook(stanza, *this);
  switch (account_.host_.profile_.hooks().fire(hook)) {
    case Verdict::pass:
      write(stanza);
      break;
    case Verdict::bounce:
      account_.host_.worker_.router().bounce(stanza, hook.error);
      break;
    case Verdict::handled:
    case Verdict::drop:
      break;
  }
}

bool Session::is_ending() const noexcept {
  // What an acknowledged stream did not deliver is delivered again when it ends.
  return link_ == nullptr || (sm_ == nullptr && !link_->can_send());
}

void Session::close(xmpp::StreamError error) {
  if (link_ != nullptr) {
    link_->fail(std::move(error));
  } else {
    end_soon();
  }
}

void Session::write(const Stanza& stanza) {
  const bool fits = !sm_ || sm_->queue.push(stanza, account_.host_.worker_.reactor().wall());
  if (link_ == nullptr) {
    if (is_stored()) SmStore::append(*this);
    if (!fits) end_soon();
    return;
  }
  link_->write(stanza);
  if (!fits) {
    link_->fail({xmpp::StreamCondition::policy_violation, "Too many unacknowledged stanzas"});
  }
}

void Session::start_sm(const SmTerms& terms, std::string id) {
  Worker& worker = account_.host_.worker_;
  sm_ = std::make_unique<SmState>(terms, std::move(id));
  sm_->stream = worker.tickets().enter(*this);
  sm_->visited.resize(worker.server().worker_count());
}

bool Session::is_stored() const noexcept {
  return sm_ && sm_->is_stored;
}

// What went to other workers is known to be handled when a probe behind it returns.
void Session::send_probes() {
  SmState& sm = *sm_;
  sm.probes.push_back({.number = sm.window.received(), .missing = 0});
  for (std::size_t i = 0; i < sm.visited.size(); ++i) {
    if (!sm.visited[i]) continue;
    account_.host_.worker_.tickets().probe(i, {sm.stream, sm.window.received()});
    ++sm.probes.back().missing;
    sm.visited[i] = false;
  }
  sm.has_visited = false;
}

void Session::acknowledge_more() {
  sm_->save_count();
  if (link_ != nullptr) link_->acknowledge_more();
}

// Without a link
// ------------------------------------------------------------------------------------------------

void Session::detach(std::unique_ptr<Session> session, ConnectionInfo last) {
  Session& self = *session;
  Account& account = self.account_;
  SmState& sm = *self.sm_;
  self.link_ = nullptr;
  sm.last_connection = std::move(last);
  sm.is_ack_requested = false;
  sm.stored_until.reset();
  // What the client is told when it comes back, even to another process.
  if (sm.has_visited) self.send_probes();
  if (sm.is_stored) SmStore::put_queue(self);
  wait(std::move(session), sm.terms.window);
  // All of them: those that gave way earlier in this turn are still there.
  for (std::size_t i = 0; i + sm.terms.detached_max < account.detached_.size(); ++i) {
    account.detached_[i]->end_soon();
  }
  Detached hook{self};
  (void)account.host_.profile_.hooks().fire(hook);
}

void Session::wait(std::unique_ptr<Session> session, xmpp::Duration window) {
  Session& self = *session;
  Worker& worker = self.account_.host_.worker_;
  self.sm_->expiry.set_callback([&self, &worker] {
    if (self.account_.is_active()) {
      end(self.take_detached());
      return;
    }
    // It came back with the server and nobody has asked for its account since: modules need to know
    // it before what is undelivered passes them.
    (void)worker.activator().activate(self.account_.jid(), self.account_.host_);
    worker.reactor().timers().set(self.sm_->expiry, worker.reactor().now() + kActivationRetry);
  });
  worker.reactor().timers().set(self.sm_->expiry, worker.reactor().now() + window);
  self.account_.detached_.push_back(std::move(session));
}

std::unique_ptr<Session> Session::take_detached() noexcept {
  auto& detached = account_.detached_;
  auto found = std::find_if(detached.begin(), detached.end(),
                            [this](const auto& one) { return one.get() == this; });
  XMPP_ASSERT(found != detached.end());
  auto taken = std::move(*found);
  detached.erase(found);
  sm_->expiry.cancel();
  return taken;
}

void Session::end_soon() {
  auto& reactor = account_.host_.worker_.reactor();
  reactor.timers().set(sm_->expiry, reactor.now());
}

void Session::end(std::unique_ptr<Session> session) {
  Account& account = session->account_;
  Worker& worker = account.host_.worker_;
  const bool was_stored = session->is_stored();
  if (was_stored) session->sm_->is_stored = false;
  Unbound hook{*session};
  (void)account.host_.profile_.hooks().fire(hook);
  std::erase(account.sessions_, session.get());
  worker.count_session(-1);
  if (session->sm_) {
    auto& sm = *session->sm_;
    if (!sm.id.empty() && !sm.is_over) {
      worker.note_ended(sm.id, account.jid(), sm.window.report());
    }
    redeliver(account, *session);
    // Behind what that has stored elsewhere.
    if (was_stored) SmStore::remove(*session);
    if (sm.counter != nullptr) worker.server().sm_counters().release(*sm.counter);
  }
  session.reset();
  worker.accounts().drop_if_idle(account);
}

void Session::redeliver(Account& account, Session& ended) {
  Router& router = account.host_.worker_.router();
  for (auto& entry : ended.sm_->queue.take()) {
    Stanza& stanza = entry.stanza;
    Redelivering hook(stanza, ended, entry.at, /*ended=*/true);
    const auto verdict = account.host_.profile_.hooks().fire(hook);
    if (verdict == Verdict::drop || verdict == Verdict::handled) continue;
    if (stanza.is_message()) {
      router.deliver_again(std::move(stanza), account);
    } else if (stanza.is_iq() && stanza.is_request()) {
      router.bounce(stanza, xmpp::StanzaCondition::service_unavailable);
    }
  }
}

}  // namespace xmppd
