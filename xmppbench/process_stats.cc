// Reading /proc/PID/stat and /proc/PID/smaps_rollup.
#include "process_stats.h"

#include <time.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <system_error>

#include "xmpp/base/files.h"

namespace xmppbench {
namespace {

std::optional<double> read_pss_kb(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/smaps_rollup");
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string key;
    double value = 0;
    if (words >> key >> value && key == "Pss:") return value;
  }
  return std::nullopt;
}

std::map<pid_t, StatLine> read_all_processes() {
  std::map<pid_t, StatLine> all;
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", failed)) {
    const std::string name = entry.path().filename().string();
    pid_t pid = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (parsed.ec != std::errc() || parsed.ptr != name.data() + name.size()) continue;
    // It may have ended since its directory was listed, and even since its file was opened.
    const auto text = xmpp::read_file("/proc/" + name + "/stat");
    if (!text) continue;
    if (const auto line = parse_stat_line(*text)) all[pid] = *line;
  }
  return all;
}

// Is `pid` the root or below it?
bool is_descendant(const std::map<pid_t, StatLine>& all, pid_t pid, pid_t root) {
  // Bounded: /proc is not read atomically, parents might form a ring.
  for (int depth = 0; depth < 64; ++depth) {
    if (pid == root) return true;
    const auto found = all.find(pid);
    if (found == all.end()) return false;
    pid = found->second.parent;
  }
  return false;
}

}  // namespace

std::optional<StatLine> parse_stat_line(std::string_view text) {
  // "pid (name) state ppid ...": the name may hold spaces and parentheses.
  const std::size_t close = text.rfind(')');
  if (close == std::string_view::npos) return std::nullopt;
  std::istringstream fields{std::string(text.substr(close + 1))};
  std::string state;
  StatLine line;
  fields >> state >> line.parent;
  std::string skipped;
  for (int field = 5; field < 14; ++field) fields >> skipped;
  unsigned long long user = 0;
  unsigned long long system = 0;
  if (!(fields >> user >> system)) return std::nullopt;
  line.ticks = user + system;
  return line;
}

std::optional<ProcessStats> read_process_stats(pid_t pid, bool with_memory) {
  const auto all = read_all_processes();
  if (!all.contains(pid)) return std::nullopt;
  ProcessStats stats;
  stats.has_pss = with_memory;
  const auto ticks_per_s = static_cast<double>(::sysconf(_SC_CLK_TCK));
  for (const auto& [candidate, line] : all) {
    if (!is_descendant(all, candidate, pid)) continue;
    ++stats.processes;
    stats.cpu_s += static_cast<double>(line.ticks) / ticks_per_s;
    if (!with_memory) continue;
    if (const auto pss = read_pss_kb(candidate)) {
      stats.pss_kb += *pss;
    } else {
      stats.has_pss = false;
    }
  }
  return stats;
}

double own_cpu_s() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

}  // namespace xmppbench
