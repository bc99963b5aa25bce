#include "xmpp/client/client.h"

#include <algorithm>
#include <charconv>
#include <utility>
#include <variant>

#include "client/client_state.h"
#include "xmpp/base/assert.h"

namespace xmpp {

std::string_view to_string(ClientFailure::Stage stage) noexcept {
  switch (stage) {
    case ClientFailure::Stage::resolve:
      return "resolve";
    case ClientFailure::Stage::connect:
      return "connect";
    case ClientFailure::Stage::tls:
      return "tls";
    case ClientFailure::Stage::stream:
      return "stream";
    case ClientFailure::Stage::sasl:
      return "sasl";
    case ClientFailure::Stage::bind:
      return "bind";
    case ClientFailure::Stage::none:
      break;
  }
  return "none";
}

// ---- State
// ----------------------------------------------------------------------------------------------

Client::State::State(net::Reactor& its_reactor, ClientOptions its_options)
    : reactor(its_reactor), options(std::move(its_options)), timer([this] { on_timer(); }) {
  OsRng os_rng;
  iq_tag = (options.rng != nullptr ? *options.rng : os_rng).hex(3) + '-';
}

void Client::State::on_event(Event event) {
  if (auto* stanza = std::get_if<StanzaReceived>(&event)) {
    on_stanza_received(stanza->parsed);
  } else if (auto* success = std::get_if<Authenticated>(&event)) {
    stage = Stage::bind;
    mechanism = std::move(success->mechanism);
  } else if (auto* usable = std::get_if<Bound>(&event)) {
    stage = Stage::stream;
    jid = std::move(usable->jid);
    bound = true;
    if (!closing) deadline = kNever;
    if (const auto handler = bound_handler) handler();
  } else if (is<ReadyToAuthenticate>(event)) {
    paused = true;
    if (const auto handler = ready_handler) {
      handler();
    } else {
      paused = false;
      link->stream().start_authentication();
    }
  } else if (auto* report = std::get_if<StreamFailed>(&event)) {
    on_stream_failed(*report);
    end_soon();
  } else if (is<Closed>(event)) {
    end_soon();
  }
  // The rest never happens to an initiator.
}

// The stream is over: on_link_ended() follows when our last words have left, or here, where the
// peer neither takes them nor closes the connection.
void Client::State::end_soon() {
  deadline = std::min(deadline, reactor.now() + options.close_timeout);
  arm();
}

void Client::State::on_stanza_received(const ParsedStanza& parsed) {
  const Stanza& stanza = parsed.stanza;
  // Whose sender cannot be read is no answer: no sender at all would mean the own account.
  if (!parsed.problem && stanza.is_iq() && !stanza.is_request() && take_answer(stanza)) return;
  if (parsed.problem) {
    // RFC 6120 8.2.3: a request is always answered. The rest is of no use.
    if (stanza.is_iq() && can_bounce(stanza)) send(make_error(stanza, *parsed.problem));
    return;
  }
  if (const auto handler = stanza_handler) (*handler)(stanza);
}

void Client::State::on_stream_failed(const StreamFailed& report) {
  Stage where = stage;
  std::string text;
  if (report.sasl_failure) {
    where = Stage::sasl;
    text = sasl::to_string(*report.sasl_failure);
  } else if (report.bind_failure) {
    where = Stage::bind;
    text = to_string(report.bind_failure->condition);
    if (!report.bind_failure->text.empty()) text += ": " + report.bind_failure->text;
  } else {
    text = to_string(report.error.condition);
  }
  if (!report.error.text.empty()) text += ": " + report.error.text;
  if (closing || ended || failure) return;
  failure = std::make_unique<ClientFailure>(
      ClientFailure{where, std::move(text), report.error, report.sasl_failure});
}

void Client::State::on_tls(bool is_up) {
  stage = is_up ? Stage::stream : Stage::tls;
}

void Client::State::on_link_ended(std::optional<LinkFailure> link_failure) {
  if (link_failure && stage == Stage::tls && !untried.empty() && !closing && !ended) {
    redial = true;
    arm();
  } else if (link_failure) {
    fail(link_failure->tls ? Stage::tls : stage, std::move(link_failure->text));
  } else {
    end();
  }
}

bool Client::State::can_send(const Stanza& stanza) const noexcept {
  if (ended || closing || !link || link->is_ended()) return false;
  return bound ? link->stream().stanzas_allowed() : paused && stanza.is_iq();
}

void Client::State::send(const Stanza& stanza) {
  if (!can_send(stanza)) return;
  link->stream().send(stanza);
  link->touch();
}

void Client::State::iq(Stanza request, std::function<void(std::optional<Stanza>)> answered) {
  XMPP_ASSERT(request.is_iq() && request.is_request());
  const std::uint64_t number = ++last_iq;
  request.envelope().id = iq_tag + std::to_string(number);
  const bool leaves = can_send(request);
  const Instant until = leaves ? reactor.now() + options.iq_timeout : reactor.now();
  if (!leaves) iqs_refused = true;
  iqs.emplace(number, PendingIq{request.to(), until, std::move(answered)});
  if (leaves) send(request);
  arm();
}

bool Client::State::take_answer(const Stanza& stanza) {
  std::string_view digits = stanza.id();
  if (!digits.starts_with(iq_tag)) return false;
  digits.remove_prefix(iq_tag.size());
  std::uint64_t number = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size()) return false;
  const auto found = iqs.find(number);
  if (found == iqs.end() || !is_from(stanza, found->second.to)) return false;
  const auto answered = std::move(found->second.answered);
  iqs.erase(found);
  if (answered) answered(stanza);
  return true;
}

// Only who was asked may answer (RFC 6120 8.1.2.1: no `from` means the own account; servers also
// answer for it as themselves).
bool Client::State::is_from(const Stanza& answer, const Jid& asked) const noexcept {
  const Jid& from = answer.from();
  if (from == asked) return true;
  const bool own = asked.is_empty() || (asked.is_bare() && asked.bare_equals(jid));
  if (!own) return from.is_empty() && asked.is_domain() && asked.domain() == jid.domain();
  return from.is_empty() || from.bare_equals(jid) ||
         (from.is_domain() && from.domain() == jid.domain());
}

void Client::State::expire_iqs(Instant now) {
  // One at a time: a handler may ask anew. What it asks waits for the next turn, or one that asks
  // until it gets an answer would keep us here.
  const std::uint64_t last = last_iq;
  while (!iqs.empty()) {
    auto due = iqs.begin();
    if (iqs_refused) {
      due = std::find_if(iqs.begin(), iqs.end(),
                         [&](const auto& item) { return item.second.deadline <= now; });
    }
    if (due == iqs.end() || due->first > last || due->second.deadline > now) break;
    const auto answered = std::move(due->second.answered);
    iqs.erase(due);
    if (answered) answered(std::nullopt);
  }
  iqs_refused = false;
  for (const auto& item : iqs) {
    if (item.second.deadline > now) continue;
    iqs_refused = true;  // asked from inside a handler
    break;
  }
}

void Client::State::on_timer() {
  const Instant now = reactor.now();
  if (ended) {
    finish();  // may destroy us
    return;
  }
  expire_iqs(now);
  if (std::exchange(redial, false)) {
    link.reset();
    dial(std::move(untried));
  }
  if (resolving && resolving->left == 0) on_targets_resolved();
  if (deadline <= now && active && !ended) {
    const bool is_over = closing || (link && link->stream().is_closed());
    if (link) link->drop();
    if (is_over) {
      end();
    } else {
      fail(stage, "timed out");
    }
  }
  arm();
}

void Client::State::arm() {
  Instant next = kNever;
  if (ended || redial || iqs_refused || (resolving && resolving->left == 0)) {
    next = reactor.now();
  } else {
    if (active) next = deadline;
    if (!iqs.empty()) next = std::min(next, iqs.begin()->second.deadline);
  }
  // Too early does no harm; most requests are answered long before.
  if (next == kNever || (timer.is_set() && timer.deadline() <= next)) return;
  reactor.timers().set(timer, next);
}

void Client::State::fail(Stage where, std::string text) {
  if (!closing && !ended && !failure) {
    failure = std::make_unique<ClientFailure>(ClientFailure{where, std::move(text), {}, {}});
  }
  end();
}

void Client::State::end() {
  if (!active || ended) return;
  ended = true;
  bound = paused = false;
  arm();
}

void Client::State::finish() {
  resolving.reset();
  dialer.reset();
  link.reset();
  deadline = kNever;
  for (auto waiting = std::exchange(iqs, {}); auto& item : waiting) {
    if (item.second.answered) item.second.answered(std::nullopt);
  }
  active = ended = redial = false;
  stage = Stage::none;
  arm();  // for what these handlers asked
  std::optional<ClientFailure> why;
  if (auto reason = std::exchange(failure, nullptr)) why = std::move(*reason);
  // A copy: the handler may destroy the client.
  if (const auto handler = closed_handler) handler(std::move(why));
}

// ---- Client
// ---------------------------------------------------------------------------------------------

Client::Client(net::Reactor& reactor, ClientOptions options)
    : state_(std::make_unique<State>(reactor, std::move(options))) {}

Client::~Client() = default;

void Client::on_bound(std::function<void()> handler) {
  state_->bound_handler = std::move(handler);
}

void Client::on_stanza(std::function<void(const Stanza&)> handler) {
  using Handler = std::function<void(const Stanza&)>;
  state_->stanza_handler = handler ? std::make_shared<const Handler>(std::move(handler)) : nullptr;
}

void Client::on_ready_to_authenticate(std::function<void()> handler) {
  state_->ready_handler = std::move(handler);
}

void Client::on_closed(std::function<void(std::optional<ClientFailure>)> handler) {
  state_->closed_handler = std::move(handler);
}

void Client::connect() {
  state_->connect();
}

void Client::start_authentication() {
  if (!std::exchange(state_->paused, false)) return;
  state_->link->stream().start_authentication();
  state_->link->touch();
}

void Client::send(const Stanza& stanza) {
  state_->send(stanza);
}

void Client::iq(Stanza request, std::function<void(std::optional<Stanza>)> answered) {
  state_->iq(std::move(request), std::move(answered));
}

Completion<std::optional<Stanza>> Client::request(Stanza request) {
  Completion<std::optional<Stanza>> completion;
  state_->iq(std::move(request), [ticket = completion.ticket()](std::optional<Stanza> answer) {
    ticket.complete(std::move(answer));
  });
  return completion;
}

void Client::close() {
  State& state = *state_;
  if (!state.active || state.ended || state.closing) return;
  state.closing = true;
  const bool has_stream = state.link && !state.link->is_ended() &&
                          has_all(state.link->stream().bits(), StreamBits::header_sent) &&
                          state.stage != State::Stage::tls;
  if (!has_stream) {
    abort();
    return;
  }
  state.link->stream().close();
  state.link->touch();
  state.deadline = state.reactor.now() + state.options.close_timeout;
  state.arm();
}

void Client::abort() {
  State& state = *state_;
  if (!state.active) return;
  if (state.link) state.link->drop();
  state.failure.reset();
  state.closing = true;  // whatever comes: it was asked for
  state.end();
}

const Jid& Client::jid() const noexcept {
  return state_->jid;
}
bool Client::is_bound() const noexcept {
  return state_->bound;
}
bool Client::is_active() const noexcept {
  return state_->active;
}

const Stream* Client::stream() const noexcept {
  return state_->link && !state_->link->is_ended() ? &state_->link->stream() : nullptr;
}

std::size_t Client::pending_output() const noexcept {
  return state_->link ? state_->link->pending_output() : 0;
}

const std::string& Client::mechanism() const noexcept {
  return state_->mechanism;
}

}  // namespace xmpp
