// XEP-0198 1.6.1 partial: nothing within SASL2 and Bind 2
// Grants stream management: on what terms stanzas are acknowledged and sessions wait for their
// clients. Counting, queues and the wait itself are the core's.
#include <algorithm>

#include "xmpp/xep/delay.h"
#include "xmppd/module.h"
#include "xmppd/sm.h"

namespace xmppd::mod::sm {

using namespace std::chrono_literals;
using xmpp::Duration;
using xmpp::Stanza;

namespace {

constexpr std::string_view kCarbons = "urn:xmpp:carbons:2";

// A copy of what another session sent or got (XEP-0280): the original found its own way.
bool is_copy(const Stanza& stanza) noexcept {
  return stanza.has({kCarbons, "received"}) || stanza.has({kCarbons, "sent"});
}

// Since when a session takes messages for the account.
struct Since {
  xmpp::Timestamp at{};
};

}  // namespace

class Sm final : public Module, private SmPolicy {
 public:
  void attach(Scope& scope) override {
    scope_ = &scope;
    scope.provide<SmPolicy>(*this);
    since_ = scope.session_slot<Since>();
    scope.stream_feature("<sm xmlns='urn:xmpp:sm:3'/>", true);
    scope.on<SmRequested>(Stage::deliver, [this](SmRequested& hook) { return grant(hook); });
    scope.on<Available>(Stage::deliver, [this](Available& hook) {
      if (hook.is_initial) hook.session[since_].at = scope_->reactor().wall();
      return Verdict::pass;
    });
    scope.on<Redelivering>(Stage::deliver, [this](Redelivering& hook) { return redeliver(hook); });
  }

 private:
  [[nodiscard]] bool offers_resumption() const noexcept override { return *resume_; }

  Verdict grant(SmRequested& hook) {
    SmTerms& terms = hook.terms;
    terms.is_resumable = hook.wants_resumption && *resume_;
    terms.window = *resume_window_;
    if (hook.wanted_window > Duration::zero()) {
      terms.window = std::min(terms.window, hook.wanted_window);
    }
    terms.stanzas_max = static_cast<std::size_t>(*max_stanzas_);
    terms.bytes_max = static_cast<std::size_t>(*max_bytes_);
    terms.detached_max = static_cast<std::size_t>(*max_detached_);
    terms.request_every = static_cast<std::uint32_t>(*request_every_);
    terms.request_delay = *request_delay_;
    terms.answer_timeout = *answer_timeout_;
    terms.waits_for_stores = *ack_ == "durable";
    return Verdict::handled;
  }

  // Did another session of the account get the message when this one should have?
  [[nodiscard]] bool has_reached_another(Redelivering& hook) {
    if (!hook.stanza.to().is_bare()) return false;
    const auto& sessions = hook.to.account().sessions();
    return std::any_of(sessions.begin(), sessions.end(), [&](Session* other) {
      return other != &hook.to && other->is_available() && other->priority() >= 0 &&
             (*other)[since_].at <= hook.sent_at;
    });
  }

  Verdict redeliver(Redelivering& hook) {
    if (!hook.stanza.is_message()) return Verdict::pass;
    // The session's end is no reason to show a copy elsewhere.
    if (hook.has_ended && (is_copy(hook.stanza) || has_reached_another(hook))) {
      return Verdict::drop;
    }
    // XEP-0198 4, XEP-0203: when it should have arrived.
    if (!hook.stanza.has<xmpp::xep::Delay>()) {
      hook.stanza.add(xmpp::xep::Delay{.stamp = hook.sent_at, .from = hook.to.host().jid()});
    }
    return Verdict::pass;
  }

  Scope* scope_ = nullptr;
  SessionSlot<Since> since_;
  Option<bool> resume_{*this, "resume", true, "Sessions may outlive their connection."};
  Option<Duration> resume_window_{
      *this, "resume_window",
      300s,  1s,
      24h,   "How long a session without a connection waits for its client."};
  Option<std::int64_t> max_stanzas_{
      *this,     "max_stanzas",
      10'000,    10,
      1'000'000, "Stanzas that a client may leave unacknowledged before its session ends."};
  Option<std::int64_t> max_bytes_{*this,  "max_bytes",   16'777'216,
                                  65'536, 1'073'741'824, "Bytes of those stanzas."};
  Option<std::int64_t> max_detached_{
      *this, "max_detached",
      10,    1,
      1'000, "Sessions of one account that wait for their clients; the oldest gives way."};
  Option<std::int64_t> request_every_{
      *this, "request_every", 5,
      1,     10'000,          "Stanzas after which a client is asked to acknowledge."};
  Option<Duration> request_delay_{
      *this, "request_delay",
      1s,    10ms,
      1h,    "Time after which a client is asked to acknowledge fewer than that."};
  Option<Duration> answer_timeout_{
      *this, "answer_timeout",
      60s,   0s,
      1h,    "Time that a client has to answer before its connection is given up; 0 = any."};
  Option<std::string> ack_{
      *this,
      "ack",
      "durable",
      {"durable", "received"},
      "When a client's stanza is acknowledged: after what it causes is stored, or at once."};
};
XMPPD_MODULE(Sm, {.name = "sm",
                  .xep = "0198",
                  .summary = "Acknowledges stanzas and lets sessions be resumed"});

}  // namespace xmppd::mod::sm
