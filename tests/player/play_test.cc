// play_test: performs plays.
//
//   play_test [--over sim|tcp|starttls|direct-tls] [--seed N] [--jobs N] [--verbose] FILE...
//
// Exit status: 0 all went as written, 1 one did not, 2 usage, 77 a play cannot be performed on this
// stage.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <exception>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "core/backstop.h"
#include "player/player.h"
#include "xmpp/base/log.h"

namespace {

constexpr int kSkipped = 77;

struct Arguments {
  std::string over = "sim";
  std::uint64_t seed = 1;
  bool is_verbose = false;
  unsigned jobs = 1;  // processes that share the plays; over a network they mostly wait
  std::vector<std::string> files;
};

bool parse(int count, char** texts, Arguments& arguments) {
  for (int i = 1; i < count; ++i) {
    const std::string_view text = texts[i];
    if (text == "--over" && i + 1 < count) {
      arguments.over = texts[++i];
    } else if (text == "--seed" && i + 1 < count) {
      const std::string_view value = texts[++i];
      const auto end = value.data() + value.size();
      if (std::from_chars(value.data(), end, arguments.seed).ptr != end) return false;
    } else if (text == "--jobs" && i + 1 < count) {
      const std::string_view value = texts[++i];
      const auto end = value.data() + value.size();
      if (std::from_chars(value.data(), end, arguments.jobs).ptr != end) return false;
    } else if (text == "--verbose") {
      arguments.is_verbose = true;
    } else if (text.starts_with("--")) {
      return false;
    } else {
      arguments.files.emplace_back(text);
    }
  }
  const auto& over = arguments.over;
  return !arguments.files.empty() && arguments.jobs >= 1 && arguments.jobs <= 64 &&
         (over == "sim" || over == "tcp" || over == "starttls" || over == "direct-tls");
}

std::unique_ptr<play::Stage> make_stage(const Arguments& arguments, const play::Script& script) {
  const bool restarts =
      std::any_of(script.steps.begin(), script.steps.end(),
                  [](const play::Step& step) { return step.verb == play::Verb::server_restarts; });
  const play::StageOptions options{
      .config = script.config, .seed = arguments.seed, .restarts = restarts};
  if (arguments.over == "sim") return play::make_sim_stage(options);
  return play::make_tcp_stage(options, arguments.over == "tcp"        ? play::Security::none
                                       : arguments.over == "starttls" ? play::Security::starttls
                                                                      : play::Security::direct);
}

int perform(const Arguments& arguments, const std::string& file) {
  std::ifstream in(file);
  if (!in) {
    std::fprintf(stderr, "%s: cannot be read\n", file.c_str());
    return 2;
  }
  std::ostringstream text;
  text << in.rdbuf();
  try {
    const auto script = play::parse_script(text.str(), file);
    const auto stage = make_stage(arguments, script);
    if (!play::can_perform(script, *stage)) {
      std::printf("skipped: %s (needs a wire without TLS)\n", script.title.c_str());
      return kSkipped;
    }
    play::Player(script, *stage).perform();
    if (xmppd::exception_count() != 0) throw std::runtime_error(file + ": a module threw");
    std::printf("ok: %s\n", script.title.c_str());
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\nrepeat with: play_test --over %s --seed %llu %s\n", error.what(),
                 arguments.over.c_str(), static_cast<unsigned long long>(arguments.seed),
                 file.c_str());
    return 1;
  }
}

// The plays whose number is `first` modulo the number of jobs.
int perform_share(const Arguments& arguments, std::size_t first) {
  int worst = 0;
  bool has_performed = false;
  for (std::size_t i = first; i < arguments.files.size(); i += arguments.jobs) {
    const int status = perform(arguments, arguments.files[i]);
    if (status == kSkipped) continue;
    has_performed = true;
    worst = std::max(worst, status);
  }
  std::fflush(stdout);
  return has_performed ? worst : kSkipped;
}

int perform_all(const Arguments& arguments) {
  std::vector<pid_t> children;
  for (unsigned job = 0; job < arguments.jobs; ++job) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(perform_share(arguments, job));
    if (child < 0) return 2;
    children.push_back(child);
  }
  int worst = 0;
  bool has_performed = false;
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 2;
    if (code == kSkipped) continue;
    has_performed = true;
    worst = std::max(worst, code);
  }
  return has_performed ? worst : kSkipped;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (!parse(argc, argv, arguments)) {
    std::fprintf(stderr,
                 "usage: play_test [--over sim|tcp|starttls|direct-tls] [--seed N] [--jobs N]"
                 " [--verbose] FILE...\n");
    return 2;
  }
  xmpp::log::set_level(arguments.is_verbose ? xmpp::log::Level::debug : xmpp::log::Level::error);
  return arguments.jobs == 1 ? perform_share(arguments, 0) : perform_all(arguments);
}
