#include "sim/sim_silence.h"

#include <algorithm>

#include "core/worker.h"
#include "sim/sim_figures.h"

namespace sim {
namespace {

// A connection that was given up waits 2 s for its peer, and until its worker has had a turn.
constexpr Duration kLinger = std::chrono::seconds(3);
// Until then a worker has had a turn.
constexpr Duration kGrace = std::chrono::seconds(1);

std::int64_t milliseconds(Duration time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
}

}  // namespace

Duration SilenceWatch::longest(const KernelTimes& times, bool is_bound, bool is_over) const {
  const xmppd::Limits& limits = world_.server().limits();
  // What was given up, or gave way to a newer connection, has no session any more.
  const bool had_session = is_bound || is_over;
  const Duration silence = had_session ? limits.idle_timeout : limits.unauthenticated_timeout;
  const Duration kernel = times.longest();
  return silence == Duration::zero() ? kernel : std::min(kernel, silence);
}

void SilenceWatch::sample() {
  const Instant now = world_.now();
  sees_any_ = false;
  std::map<std::string, Instant> unacknowledged;
  std::map<std::string, Instant> paused;
  const auto expect = [&](const std::string& address, Instant since, Duration limit, Duration grace,
                          std::string_view what) {
    most_ = std::max(most_, now - since);
    if (limit > Duration::max() - grace || now - since <= limit + grace) return;
    if (!reported_.insert(address).second) return;
    fail_("the connection of " + address + std::string(what) +
          std::to_string(milliseconds(now - since)) + " ms ago, but has to be given up within " +
          std::to_string(milliseconds(limit)) + " ms");
  };
  auto& server = world_.server();
  for (std::size_t i = 0; i < server.worker_count(); ++i) {
    server.worker(i).for_each_link([&](xmppd::Link& link) {
      const auto figures = xmppd::Figures::of(link);
      const SimChannel& channel = *figures.channel;
      if (channel.silent_since() == xmpp::kNever) return;
      sees_any_ = true;
      const std::string& address = channel.address();
      // Whom the server does not read it gives another such time.
      Instant silent_since = channel.silent_since();
      if (figures.is_paused) {
        silent_since = paused[address] = now;
      } else if (const auto old = paused_.find(address); old != paused_.end()) {
        silent_since = paused[address] = old->second;
      }
      expect(address, std::max(silent_since, channel.silent_since()),
             longest(channel.times(), figures.is_bound, figures.is_over), kLinger, " went silent ");
      if (!figures.owes_ack_by || figures.is_paused) return;
      const auto old = unacknowledged_.find(address);
      const Instant since = old == unacknowledged_.end() ? now : old->second;
      unacknowledged[address] = since;
      expect(address, since, *figures.owes_ack_by, kGrace, " is silent and was sent something ");
    });
  }
  unacknowledged_ = std::move(unacknowledged);
  paused_ = std::move(paused);
}

std::string SilenceWatch::summary() const {
  return std::to_string(world_.net().silences()) + " went silent, noticed after at most " +
         std::to_string(milliseconds(most_)) + " ms";
}

}  // namespace sim
