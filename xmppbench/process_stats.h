// ProcessStats: what a server costs, read from /proc: CPU time and memory of a process and of all
// its descendants; and our own CPU time.
//
// Thread-safety: functions without state.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>

namespace xmppbench {

struct ProcessStats {
  double cpu_s = 0;   // user + system
  double pss_kb = 0;  // proportional set size
  int processes = 0;
  bool has_pss = false;  // smaps_rollup could be read: same user or root
};

// Of `pid` and everything below it; nullopt if there is no such process.
[[nodiscard]] std::optional<ProcessStats> read_process_stats(pid_t pid, bool with_memory);
// User + system time of this process in seconds.
[[nodiscard]] double own_cpu_s() noexcept;

// For the above and its tests: parent and CPU ticks out of the text of /proc/PID/stat.
struct StatLine {
  pid_t parent = 0;
  unsigned long long ticks = 0;
};
[[nodiscard]] std::optional<StatLine> parse_stat_line(std::string_view text);

}  // namespace xmppbench
