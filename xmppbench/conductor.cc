// The phases of a run.
#include "conductor.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <optional>
#include <utility>

#include "process_stats.h"
#include "swarm.h"

namespace xmppbench {
namespace {

using xmpp::Duration;
using xmpp::Err;
using xmpp::Instant;
using xmpp::kNever;
using xmpp::Result;

// Before the first message, so that every shard knows the phases by then.
constexpr Duration kLead = std::chrono::milliseconds(100);
// Initial presence and what servers answer to it settle meanwhile.
constexpr Duration kSettle = std::chrono::milliseconds(300);
// So many failed logins without a single good one mean that there is no use in going on.
constexpr std::uint64_t kHopeless = 5;

double seconds(Duration duration) {
  return static_cast<double>(duration.count()) / 1e6;
}

// A line on standard error: rewritten on a terminal, else one every few seconds.
class Progress {
 public:
  explicit Progress(bool quiet) : quiet_(quiet), on_terminal_(::isatty(STDERR_FILENO) == 1) {}
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(Instant now, const std::function<std::string()>& text) {
    if (quiet_ || now < next_) return;
    const bool is_first = next_ == Instant{};
    next_ = now + (on_terminal_ ? Duration(200'000) : Duration(5'000'000));
    if (is_first && !on_terminal_) return;
    if (on_terminal_) {
      std::fprintf(stderr, "\r\033[K%s", text().c_str());
      is_dirty_ = true;
    } else {
      std::fprintf(stderr, "%s\n", text().c_str());
    }
  }
  void clear() {
    if (std::exchange(is_dirty_, false)) std::fprintf(stderr, "\r\033[K");
  }

 private:
  bool quiet_;
  bool on_terminal_;
  bool is_dirty_ = false;
  Instant next_{};
};

// What is read at the borders of the measured phase.
struct Sample {
  Instant at{};
  double own_cpu_s = 0;
  std::optional<ProcessStats> server;
};

class Conductor {
 public:
  explicit Conductor(const Options& options)
      : options_(options), swarm_(options), progress_(options.quiet) {}

  Result<RunResult, Failure> run() {
    first_ = sample(true);
    swarm_.start();
    if (auto logged_in = wait_for_logins(); !logged_in) {
      stop_swarm();
      return Err(logged_in.error());
    }
    begin_ = sample(false);
    end_ = begin_;
    if (options_.duration > Duration::zero() && !was_interrupted_) {
      if (auto measured = measure(); !measured) {
        stop_swarm();
        return Err(measured.error());
      }
    }
    after_ = sample(true);
    online_at_end_ = swarm_.counters().online.load();
    stop_swarm();
    RunResult result = make_result();
    if (counts_stanzas(options_.command) && result.counts.sent == 0 && !was_interrupted_) {
      return Err(Failure{Exit::failed, "nobody was online to send to, nothing was sent: " +
                                           swarm_.first_failure()});
    }
    return result;
  }

 private:
  enum class Waited : std::uint8_t { done, timed_out, interrupted };

  Sample sample(bool with_memory) {
    Sample sample;
    if (options_.server_pid != 0) {
      sample.server = read_process_stats(options_.server_pid, with_memory);
    }
    sample.own_cpu_s = own_cpu_s();
    sample.at = clock_.now();
    return sample;
  }

  // Until `is_done`, the deadline or a signal.
  Waited wait(Instant deadline, const std::function<bool()>& is_done, const char* phase) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    while (true) {
      if (is_done()) return Waited::done;
      const Instant now = clock_.now();
      if (now >= deadline) return Waited::timed_out;
      progress_.show(now, [&] { return describe(phase, now); });
      constexpr Duration kStep = std::chrono::milliseconds(20);
      const Duration step = deadline == kNever ? kStep : std::min(kStep, deadline - now);
      const timespec timeout{0, static_cast<long>(step.count()) * 1000};
      if (::sigtimedwait(&signals, nullptr, &timeout) > 0) return Waited::interrupted;
    }
  }

  std::string describe(const char* phase, Instant now) {
    const Counters& counters = swarm_.counters();
    std::string text = "xmppbench " + std::string(to_string(options_.command)) + ": " + phase;
    if (phases_.measure_end != kNever && phases_.start != kNever) {
      const Duration total = phases_.measure_end - phases_.start;
      const Duration passed = std::clamp(now - phases_.start, Duration::zero(), total);
      char times[64];
      std::snprintf(times, sizeof times, " %.1f of %.1f s", seconds(passed), seconds(total));
      text += times;
    }
    text += ", " + std::to_string(counters.online.load()) + " of " +
            std::to_string(options_.accounts.size()) + " users online";
    if (counts_stanzas(options_.command) && phases_.start != kNever) {
      text += ", " + std::to_string(counters.sent.load()) + " sent, " +
              std::to_string(counters.received.load()) + " received";
    }
    if (const auto errors = counters.errors.load(); errors != 0) {
      text += ", " + std::to_string(errors) + " errors";
    }
    return text;
  }

  Result<void, Failure> wait_for_logins() {
    const Counters& counters = swarm_.counters();
    const std::uint64_t hopeless = std::min<std::uint64_t>(kHopeless, options_.accounts.size());
    bool is_hopeless = false;
    const Waited waited = wait(
        kNever,
        [&] {
          is_hopeless = counters.logins.load() == 0 && counters.login_failed.load() >= hopeless;
          return is_hopeless || counters.settled.load() == swarm_.size();
        },
        "logging in");
    was_interrupted_ = waited == Waited::interrupted;
    if (is_hopeless) return Err(Failure{Exit::failed, swarm_.first_failure()});
    if (counters.logins.load() == 0) {
      return Err(Failure{Exit::failed, "interrupted before anybody had logged in"});
    }
    if (counters.login_failed.load() != 0) {
      progress_.clear();
      std::fprintf(stderr,
                   "xmppbench: %llu of %zu logins failed, going on with the rest; the first: %s\n",
                   static_cast<unsigned long long>(counters.login_failed.load()),
                   options_.accounts.size(), swarm_.first_failure().c_str());
    }
    return {};
  }

  Result<void, Failure> measure() {
    const Counters& counters = swarm_.counters();
    const bool is_unsettled = options_.sends_presence || options_.command == Command::presence;
    phases_.start = clock_.now() + kLead + (is_unsettled ? kSettle : Duration::zero());
    phases_.measure_start = phases_.start + options_.warmup;
    phases_.measure_end = phases_.measure_start + options_.duration;
    phases_.drain_end = phases_.measure_end + options_.drain;
    swarm_.begin(phases_);

    const auto all_gone = [&] {
      return options_.command != Command::login && counters.online.load() == 0;
    };
    Waited waited = wait(phases_.measure_start, all_gone, "warming up");
    begin_ = sample(false);
    if (waited == Waited::timed_out) waited = wait(phases_.measure_end, all_gone, "measuring");
    end_ = sample(false);
    if (waited == Waited::done) {
      return Err(Failure{Exit::failed, "every connection was lost: " + swarm_.first_failure()});
    }
    if (waited == Waited::interrupted) {
      was_interrupted_ = true;
      const Instant now = clock_.now();
      phases_.drain_end = now + std::min<Duration>(options_.drain, std::chrono::seconds(2));
      swarm_.end_early(now, phases_.drain_end);
    }
    const auto all_done = [&] { return counters.done.load() == swarm_.size(); };
    wait(phases_.drain_end + std::chrono::seconds(1), all_done, "waiting for the last answers");
    return {};
  }

  void stop_swarm() {
    swarm_.finish();
    swarm_.join();
    progress_.clear();
  }

  RunResult make_result() {
    RunResult result;
    result.command = options_.command;
    result.target = options_.target;
    result.domain = options_.domain;
    using Tls = xmpp::ClientOptions::Tls;
    result.tls = options_.tls == Tls::none     ? "none"
                 : options_.tls == Tls::direct ? "direct"
                                               : "starttls";
    result.users = options_.accounts.size();
    result.reactors = options_.reactors;
    result.body_bytes = options_.command == Command::chat ? options_.body_bytes : 0;
    result.rate = options_.rate;
    if (options_.command == Command::chat && options_.rate == 0) result.window = options_.window;
    result.was_interrupted = was_interrupted_;
    for (const auto& shard : swarm_.shards()) {
      result.counts.merge(shard->result());
      result.logins.merge(shard->first_logins());
      if (result.mechanism.empty()) result.mechanism = shard->mechanism();
      for (const auto& [text, count] : shard->errors()) result.error_texts[text] += count;
    }
    result.errors = swarm_.counters().errors.load();
    const bool measures_cycles =
        options_.command == Command::login && options_.duration > Duration::zero();
    if (measures_cycles) result.logins = result.counts.logins;
    add_rates(result, measures_cycles);
    if (first_.server && after_.server) add_server(result, measures_cycles);
    return result;
  }

  void add_rates(RunResult& result, bool measures_cycles) {
    const double measured_s = seconds(end_.at - begin_.at);
    const double own_us = (end_.own_cpu_s - begin_.own_cpu_s) * 1e6;
    const auto units = static_cast<double>(result.counts.in_window);
    if (options_.duration > Duration::zero()) result.measured_s = measured_s;
    if (counts_stanzas(options_.command)) {
      if (measured_s > 0) result.rate_per_s = units / measured_s;
      if (units > 0) result.generator_cpu_us_per_msg = own_us / units;
      return;
    }
    if (options_.command != Command::login) return;
    if (measures_cycles) {
      if (measured_s > 0) result.rate_per_s = units / measured_s;
      if (units > 0) result.generator_cpu_us_per_login = own_us / units;
      return;
    }
    result.rate_per_s = result.logins.rate_per_s();
    if (result.logins.count == 0) return;
    result.generator_cpu_us_per_login =
        (begin_.own_cpu_s - first_.own_cpu_s) * 1e6 / static_cast<double>(result.logins.count);
  }

  void add_server(RunResult& result, bool measures_cycles) {
    ServerCost cost;
    cost.processes = after_.server->processes;
    const auto units = static_cast<double>(result.counts.in_window);
    const bool has_phase = begin_.server && end_.server;
    const double phase_us = has_phase ? (end_.server->cpu_s - begin_.server->cpu_s) * 1e6 : 0;
    if (has_phase && result.measured_s > 0) cost.cpu_percent = phase_us / 1e4 / result.measured_s;
    if (has_phase && units > 0 && counts_stanzas(options_.command)) {
      cost.cpu_us_per_msg = phase_us / units;
    }
    const auto logins = static_cast<double>(result.logins.count);
    if (measures_cycles && has_phase && units > 0) {
      cost.cpu_us_per_login = phase_us / units;
    } else if (!measures_cycles && begin_.server && logins > 0) {
      cost.cpu_us_per_login = (begin_.server->cpu_s - first_.server->cpu_s) * 1e6 / logins;
    }
    if (first_.server->has_pss && after_.server->has_pss) {
      cost.pss_before_kb = first_.server->pss_kb;
      cost.pss_after_kb = after_.server->pss_kb;
      const auto online = static_cast<double>(online_at_end_);
      if (online > 0) {
        cost.pss_kb_per_session = (after_.server->pss_kb - first_.server->pss_kb) / online;
      }
    }
    result.server = cost;
  }

  const Options& options_;
  xmpp::SystemClock clock_;
  Swarm swarm_;
  Progress progress_;
  Phases phases_;
  Sample first_;  // before the first login
  Sample begin_;  // of the measured phase
  Sample end_;
  Sample after_;  // before the first logout
  std::uint64_t online_at_end_ = 0;
  bool was_interrupted_ = false;
};

}  // namespace

Result<RunResult, Failure> conduct(const Options& options) {
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  Conductor conductor(options);
  return conductor.run();
}

}  // namespace xmppbench
