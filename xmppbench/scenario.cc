// What all scenarios share: merging results of shards, choosing by command.
#include "scenario.h"

#include <algorithm>

#include "swarm.h"

namespace xmppbench {

void LoginStats::record(xmpp::Instant start, xmpp::Instant done) noexcept {
  ++count;
  first_start = std::min(first_start, start);
  last_done = std::max(last_done, done);
  latency_us.record((done - start).count());
}

void LoginStats::merge(const LoginStats& other) noexcept {
  count += other.count;
  failed += other.failed;
  first_start = std::min(first_start, other.first_start);
  last_done = std::max(last_done, other.last_done);
  latency_us.merge(other.latency_us);
}

double LoginStats::rate_per_s() const noexcept {
  if (count == 0 || last_done <= first_start) return 0;
  return static_cast<double>(count) * 1e6 / static_cast<double>((last_done - first_start).count());
}

void ScenarioResult::merge(const ScenarioResult& other) noexcept {
  sent += other.sent;
  received += other.received;
  lost += other.lost;
  duplicated += other.duplicated;
  reordered += other.reordered;
  warmup_lost += other.warmup_lost;
  foreign += other.foreign;
  in_window += other.in_window;
  latency_us.merge(other.latency_us);
  slip_us.merge(other.slip_us);
  logins.merge(other.logins);
  presence.pairs += other.presence.pairs;
  presence.login_missing += other.presence.login_missing;
  presence.login_repeated += other.presence.login_repeated;
  presence.logout_missing += other.presence.logout_missing;
  presence.logout_repeated += other.presence.logout_repeated;
}

void Scenario::end_early(xmpp::Instant now, xmpp::Instant drain_end) {
  phases_.measure_start = std::min(phases_.measure_start, now);
  // What left at this very moment still counts.
  phases_.measure_end = std::min(phases_.measure_end, now + xmpp::Duration(1));
  phases_.drain_end = std::min(phases_.drain_end, drain_end);
}

std::unique_ptr<Scenario> make_scenario(Shard& shard) {
  switch (shard.options().command) {
    case Command::login:
      return make_login_scenario(shard);
    case Command::idle:
      return make_idle_scenario(shard);
    case Command::presence:
      return make_presence_scenario(shard);
    case Command::chat:
      break;
  }
  return make_chat_scenario(shard);
}

}  // namespace xmppbench
