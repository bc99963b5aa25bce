// xmppd: parses the command line, builds the Server, waits for signals.
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>

#include "core/certificate_check.h"
#include "core/config.h"
#include "core/environment.h"
#include "core/logging.h"
#include "core/module_manager.h"
#include "core/server.h"

namespace {

constexpr int kExitOk = 0;
constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

struct Arguments {
  std::string config;
  bool check_config = false;
  bool dev = false;
  std::string data_dir;
};

// Beside the executable in a build tree, in the library directory when installed.
std::filesystem::path module_directory() {
  const auto binary = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  for (const auto* relative : {"../lib/xmppd/modules", XMPPD_INSTALLED_MODULES}) {
    auto path = (binary / relative).lexically_normal();
    if (std::filesystem::is_directory(path)) return path;
  }
  return binary / "../lib/xmppd/modules";
}

void raise_file_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

int report(const std::vector<xmppd::ConfigError>& errors) {
  for (const auto& error : errors) std::cerr << xmppd::to_string(error) << '\n';
  return kExitUsage;
}

// Nobody was told what standard output did not take.
int told() {
  if (std::cout.flush()) return kExitOk;
  std::cerr << "xmppd: cannot write to standard output\n";
  return kExitFailed;
}

// Waits for SIGTERM, SIGINT (drain), SIGHUP (certificates, logs).
void wait_for_signals(xmppd::Server& server, xmppd::Logging& logging, const sigset_t& signals) {
  for (;;) {
    int number = 0;
    if (sigwait(&signals, &number) != 0) continue;
    if (number == SIGHUP) {
      server.reload_certificates();
      logging.reopen();
      continue;
    }
    xmpp::log::info({.component = "server"}, "draining");
    server.drain([&signals] {
      timespec none{};
      const int second = sigtimedwait(&signals, nullptr, &none);
      return second == SIGTERM || second == SIGINT;
    });
    return;
  }
}

int run(xmppd::Config config, const std::filesystem::path& modules) {
  sigset_t signals;
  sigemptyset(&signals);
  for (int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);  // before any thread starts
  signal(SIGPIPE, SIG_IGN);
  raise_file_limit();
  xmppd::Logging logging(
      {.level = config.log.level, .format = config.log.format, .file = config.log.file});
  auto environment = xmppd::make_system_environment();
  xmppd::Server server(std::move(config), *environment, modules);
  server.on_stop_requested([] { kill(getpid(), SIGTERM); });
  server.start();
  std::cout << "xmppd ready " << server.ready_summary() << std::endl;
  // Whoever waits for that line waits in vain; the others are served.
  if (!std::cout) xmpp::log::warn({.component = "server"}, "cannot write to standard output");
  wait_for_signals(server, logging, signals);
  return kExitOk;
}

// What keeps it from starting may be a certificate, which is a matter of the configuration.
int run_or_explain(xmppd::Config config, const std::filesystem::path& modules) {
  const xmppd::Config kept = config;
  try {
    return run(std::move(config), modules);
  } catch (const std::exception&) {
    const auto errors = xmppd::check_certificates(kept);
    if (!errors.empty()) return report(errors);
    throw;
  }
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app{"xmppd - an XMPP server"};
  app.set_version_flag("--version", "xmppd " XMPPD_VERSION);
  app.add_option("--config", arguments.config, "Configuration file (TOML)");
  app.add_flag("--check-config", arguments.check_config, "Check the configuration and exit");
  app.add_flag("--dev", arguments.dev,
               "No file needed: host localhost on 127.0.0.1:5222 and :5223, self-signed");
  app.add_option("--data-dir", arguments.data_dir, "Where data are kept");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? told() : kExitUsage;
  }
  if (arguments.dev == !arguments.config.empty()) {
    std::cerr << "xmppd: give either --config FILE or --dev (see --help)\n";
    return kExitUsage;
  }
  try {
    xmppd::ConfigOverrides overrides;
    if (!arguments.data_dir.empty())
      overrides.data_dir = std::filesystem::absolute(arguments.data_dir);
    xmppd::ConfigResult loaded =
        arguments.dev ? xmppd::ConfigResult(xmppd::dev_config(
                            overrides.data_dir.value_or(std::filesystem::absolute("xmppd-data"))))
                      : xmppd::load_config(arguments.config, overrides);
    if (!loaded) return report(loaded.error());
    const auto modules = module_directory();
    {
      xmppd::ModuleManager checker(modules, loaded->server.module_path);
      auto errors = checker.check(*loaded);
      if (!errors.empty()) return report(errors);
    }
    if (arguments.check_config) {
      auto errors = xmppd::check_certificates(*loaded);
      if (!errors.empty()) return report(errors);
      std::cout << "configuration ok\n";
      return told();
    }
    return run_or_explain(std::move(*loaded), modules);
  } catch (const std::exception& error) {
    std::cerr << "xmppd: " << error.what() << '\n';
    return kExitFailed;
  }
}
