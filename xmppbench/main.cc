// xmppbench: load tester for XMPP servers. Command line (CLI11), report, exit codes: 0 ok, 1 could
// not run, 2 usage, 99 a threshold was missed.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <iostream>
#include <optional>

#include "conductor.h"
#include "options.h"
#include "output_file.h"
#include "report.h"

namespace {

using xmppbench::Command;
using xmppbench::Exit;
using xmppbench::Options;
using xmppbench::OutputFile;
using xmppbench::RawOptions;
using xmppbench::RunResult;

void add_target_options(CLI::App& app, RawOptions& raw) {
  app.add_option("--target", raw.target, "HOST:PORT of the server (left out: SRV of the domain)");
  app.add_option("--domain", raw.domain, "Domain of the accounts");
  app.add_option("--tls", raw.tls, "none, starttls or direct")->capture_default_str();
  app.add_flag("--insecure", raw.insecure, "Do not verify the server's certificate");
  app.add_option("--ca", raw.ca_file, "Trust the certificates in this PEM file");
  app.add_option("--sasl", raw.sasl, "auto, plain, scram-sha-1, scram-sha-256, scram-sha-512")
      ->capture_default_str();
  app.add_option("--source-addresses", raw.source_addresses,
                 "Local addresses to connect from, in turn")
      ->delimiter(',');
}

void add_account_options(CLI::App& app, RawOptions& raw) {
  app.add_option("--users", raw.users, "How many accounts log in");
  app.add_option("--prefix", raw.prefix, "Accounts are PREFIX1, PREFIX2...")->capture_default_str();
  app.add_option("--password", raw.password, "Password of all of them");
  app.add_option("--password-file", raw.password_file, "Its first line is the password");
  app.add_option("--accounts", raw.accounts_file,
                 "File with a user or jid and a password per line");
  app.add_flag("--register", raw.registers, "Make the accounts in-band (XEP-0077) first");
  app.add_option("--login-rate", raw.login_rate,
                 "Logins per second (left out: as fast as it goes)");
  app.add_option("--login-concurrency", raw.login_concurrency, "Logins under way at a time")
      ->capture_default_str();
}

void add_run_options(CLI::App& app, RawOptions& raw) {
  app.add_option("--duration", raw.duration,
                 "Measured time: 10, 500ms, 2m (default 10; login: every user once)");
  app.add_option("--warmup", raw.warmup,
                 "Time before it that does not count (chat: 1; presence: until all are there)");
  app.add_option("--rate", raw.rate,
                 "chat: messages per second in total, open loop; latency from the intended time; "
                 "presence: updates per second (default 1000)");
  app.add_option("--window", raw.window,
                 "chat: closed loop, so many messages under way per pair (default 1)");
  app.add_option("--body-bytes", raw.body_bytes, "chat: size of a body")->capture_default_str();
  app.add_option("--contacts", raw.contacts, "presence: contacts of every user, an even number")
      ->capture_default_str();
  app.add_option("--drain", raw.drain, "How long to wait for messages still under way")
      ->capture_default_str();
  app.add_flag("--no-presence", raw.no_presence, "Send no initial presence");
  app.add_option("--reactors", raw.reactors, "Threads of the generator")->capture_default_str();
  app.add_option("--seed", raw.seed, "Of the order of senders")->capture_default_str();
}

void add_report_options(CLI::App& app, RawOptions& raw) {
  app.add_option("--server-pid", raw.server_pid,
                 "Report CPU and memory of this process and its children");
  app.add_option("--threshold", raw.thresholds, "e.g. \"p99<50ms,lost=0\": exit 99 when missed");
  app.add_option("--json", raw.json, "Write the report there as JSON; - is standard output");
  app.add_option("--compare", raw.compare, "JSON of an earlier run to compare with");
  app.add_flag("--quiet", raw.quiet, "No progress, no table");
}

CLI::App* add_command(CLI::App& app, RawOptions& raw, Command command, const char* text) {
  CLI::App* sub = app.add_subcommand(std::string(to_string(command)), text);
  add_target_options(*sub, raw);
  add_account_options(*sub, raw);
  add_run_options(*sub, raw);
  add_report_options(*sub, raw);
  return sub;
}

int fail(const xmppbench::Failure& failure) {
  std::cerr << "xmppbench: " << failure.text << '\n';
  return static_cast<int>(failure.code);
}

int cannot_write(const std::string& path, std::error_code why) {
  return fail({Exit::failed, "--json " + path + ": cannot be written: " + why.message()});
}

// `file`: for --json, if that names one.
int report(const Options& options, const RunResult& result, std::optional<OutputFile>& file) {
  // Whoever reads JSON from standard output gets nothing else there.
  std::ostream& out = options.json == "-" ? std::cerr : std::cout;
  if (!options.quiet) print_table(out, result);
  if (file) {
    const auto written = file->write(to_json(result));
    if (!written) return cannot_write(options.json, written.error());
  } else if (!options.json.empty()) {
    std::cout << to_json(result);
  }
  if (!options.compare.empty()) {
    if (const auto compared = print_comparison(out, result, options.before); !compared) {
      return fail({Exit::failed, "--compare " + options.compare + ": " + compared.error()});
    }
  }
  const bool all_hold = check_thresholds(out, result, options.thresholds);
  if (!std::cout.flush()) return fail({Exit::failed, "cannot write to standard output"});
  return static_cast<int>(all_hold ? Exit::ok : Exit::threshold_missed);
}

int run(Command command, const RawOptions& raw) {
  const auto options = make_options(command, raw);
  if (!options) return fail(options.error());
  // Before the run, which may take long: its result must not be lost.
  std::optional<OutputFile> file;
  if (!options->json.empty() && options->json != "-") {
    auto opened = OutputFile::open(options->json);
    if (!opened) return cannot_write(options->json, opened.error());
    file.emplace(*std::move(opened));
  }
  const auto result = conduct(*options);
  if (!result) return fail(result.error());
  return report(*options, *result, file);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Load tester for XMPP servers");
  app.name("xmppbench");
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("xmppbench ") + XMPPBENCH_VERSION);
  RawOptions raw;
  const CLI::App* login =
      add_command(app, raw, Command::login, "Log in, once or again and again for --duration");
  const CLI::App* idle = add_command(app, raw, Command::idle, "Log in and stay, doing nothing");
  const CLI::App* presence =
      add_command(app, raw, Command::presence, "Presence reaches every contact exactly once");
  add_command(app, raw, Command::chat, "Odd and even neighbours write to each other");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (app.exit(error) != 0) return static_cast<int>(Exit::usage);
    return std::cout.flush() ? 0 : fail({Exit::failed, "cannot write to standard output"});
  }
  try {
    return run(login->parsed()      ? Command::login
               : idle->parsed()     ? Command::idle
               : presence->parsed() ? Command::presence
                                    : Command::chat,
               raw);
  } catch (const std::exception& error) {
    return fail({Exit::failed, std::string("cannot go on: ") + error.what()});
  }
}
