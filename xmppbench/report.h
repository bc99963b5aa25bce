// Report: the figures of one run, as a table for people, as JSON for programs, and beside those of
// an earlier run.
//
// Thread-safety: functions without state.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "options.h"
#include "scenario.h"
#include "xmpp/base/result.h"

namespace xmppbench {

// What a server cost; absent without --server-pid.
struct ServerCost {
  int processes = 0;
  std::optional<double> cpu_us_per_msg;
  std::optional<double> cpu_us_per_login;
  std::optional<double> cpu_percent;    // of one core, over the measured time
  std::optional<double> pss_before_kb;  // before the first login
  std::optional<double> pss_after_kb;
  std::optional<double> pss_kb_per_session;  // growth
};

struct RunResult {
  Command command = Command::login;
  std::string target;
  std::string domain;
  std::string tls;
  std::string mechanism;  // that logins ended with
  std::uint64_t users = 0;
  std::uint32_t reactors = 1;
  double rate = 0;           // asked for; 0: closed loop
  std::uint32_t window = 0;  // 0: open loop
  std::uint32_t body_bytes = 0;
  double measured_s = 0;
  bool was_interrupted = false;

  ScenarioResult counts;
  LoginStats logins;  // of the phase that counts
  std::uint64_t errors = 0;
  std::map<std::string, std::uint64_t> error_texts;
  double rate_per_s = 0;  // messages; for login: logins
  std::optional<double> generator_cpu_us_per_msg;
  std::optional<double> generator_cpu_us_per_login;
  std::optional<ServerCost> server;
};

// The figure that a threshold names; nullopt if this run has none.
[[nodiscard]] std::optional<double> find_metric(const RunResult& result, std::string_view name);

void print_table(std::ostream& out, const RunResult& result);
[[nodiscard]] std::string to_json(const RunResult& result);
// Prints old, new and their ratio. `old_json`: an earlier to_json().
[[nodiscard]] xmpp::Result<void, std::string> print_comparison(std::ostream& out,
                                                               const RunResult& result,
                                                               const std::string& old_json);
// Prints a line per threshold; true if all hold. A figure that the run has not is missed.
[[nodiscard]] bool check_thresholds(std::ostream& out, const RunResult& result,
                                    const std::vector<Threshold>& thresholds);

}  // namespace xmppbench
