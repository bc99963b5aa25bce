// Scenario: what the users of one shard do once they are logged in, and what of it was counted. One
// small class per command (scenarios/), driven by events of its shard's reactor.
//
// Thread-safety: the shard's thread; result() when the shard has ended.
// Invariants: on_turn() is called once in every turn of the reactor, before the turn's output is
// flushed, and again at the latest at the time that it returned.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "histogram.h"
#include "xmpp/base/time.h"
#include "xmpp/core/stanza.h"

namespace xmppbench {

class Shard;
struct User;

// Warm-up from `start` on, then what is measured, then waiting for what is still under way.
struct Phases {
  xmpp::Instant start = xmpp::kNever;
  xmpp::Instant measure_start = xmpp::kNever;
  xmpp::Instant measure_end = xmpp::kNever;
  xmpp::Instant drain_end = xmpp::kNever;

  [[nodiscard]] bool is_measured(xmpp::Instant at) const noexcept {
    return at >= measure_start && at < measure_end;
  }
};

struct LoginStats {
  std::uint64_t count = 0;
  std::uint64_t failed = 0;
  xmpp::Instant first_start = xmpp::kNever;
  xmpp::Instant last_done{};
  Histogram latency_us;

  void record(xmpp::Instant start, xmpp::Instant done) noexcept;
  void merge(const LoginStats& other) noexcept;
  // Logins per second between the first start and the last end.
  [[nodiscard]] double rate_per_s() const noexcept;
};

// What `presence` counts beside its updates.
struct PresenceCounts {
  std::uint64_t pairs = 0;           // (who sees, who is seen)
  std::uint64_t login_missing = 0;   // pairs where the initial presence never arrived
  std::uint64_t login_repeated = 0;  // where it arrived once more (broadcast and probe crossed)
  std::uint64_t logout_missing = 0;
  std::uint64_t logout_repeated = 0;
};

// When all that was expected has come, what comes once more has so long to show itself.
inline constexpr xmpp::Duration kQuietTime = std::chrono::milliseconds(250);

// Counts of the measured phase, unless they say otherwise.
struct ScenarioResult {
  std::uint64_t sent = 0;
  std::uint64_t received = 0;  // of those, each counted once
  std::uint64_t lost = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t reordered = 0;
  std::uint64_t warmup_lost = 0;  // of the messages before
  std::uint64_t foreign = 0;      // messages that are not of this run
  std::uint64_t in_window = 0;    // messages or logins that finished within the measured time
  Histogram latency_us;
  Histogram slip_us;  // how late our own sends were
  LoginStats logins;  // of the measured phase; filled by `login` with a duration
  PresenceCounts presence;

  void merge(const ScenarioResult& other) noexcept;
};

class Scenario {
 public:
  Scenario() = default;
  Scenario(const Scenario&) = delete;
  Scenario& operator=(const Scenario&) = delete;
  virtual ~Scenario() = default;

  // The user has logged in for the first time. False: there is more to do before the run may begin;
  // Shard::settle() follows.
  virtual bool prepare(User& /*user*/) { return true; }
  // A request from the server. True: it is answered with an empty result.
  virtual bool on_request(User& /*user*/, const xmpp::Stanza& /*stanza*/) { return false; }
  // Everybody who could has logged in and is prepared.
  virtual void begin(const Phases& phases) { phases_ = phases; }
  // The user pressed ^C: measuring ends now.
  virtual void end_early(xmpp::Instant now, xmpp::Instant drain_end);
  // Returns when to be called again at the latest. By default for the end of measuring only.
  virtual xmpp::Instant on_turn(xmpp::Instant now) {
    return now < phases_.measure_end ? phases_.measure_end : xmpp::kNever;
  }
  virtual void on_stanza(User& /*user*/, const xmpp::Stanza& /*stanza*/) {}
  // These after begin() only.
  virtual void on_online(User& /*user*/) {}
  virtual void on_offline(User& /*user*/) {}
  // Nothing more is expected.
  [[nodiscard]] virtual bool is_done(xmpp::Instant now) const { return now >= phases_.measure_end; }
  [[nodiscard]] virtual ScenarioResult result() const { return {}; }

 protected:
  [[nodiscard]] const Phases& phases() const noexcept { return phases_; }
  [[nodiscard]] bool has_begun() const noexcept { return phases_.start != xmpp::kNever; }

 private:
  Phases phases_;
};

// The scenario of the command in the shard's options.
[[nodiscard]] std::unique_ptr<Scenario> make_scenario(Shard& shard);
[[nodiscard]] std::unique_ptr<Scenario> make_login_scenario(Shard& shard);
[[nodiscard]] std::unique_ptr<Scenario> make_idle_scenario(Shard& shard);
[[nodiscard]] std::unique_ptr<Scenario> make_chat_scenario(Shard& shard);
[[nodiscard]] std::unique_ptr<Scenario> make_presence_scenario(Shard& shard);

}  // namespace xmppbench
