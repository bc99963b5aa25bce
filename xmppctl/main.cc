// xmppctl: the administrator's command line. It knows no command: the running server says which
// there are, and the options, help and completion are made from that here, with CLI11.
#include <signal.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>

#include "command_line.h"
#include "program.h"
#include "terminal.h"

namespace xmppctl {
namespace {

constexpr const char* kDescription = "xmppctl - administers a running xmppd";
constexpr const char* kFooter =
    "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 server not reachable";

constexpr int kTimeoutMax = 1'000'000;

// Where CLI11 puts the values of one command.
struct Values {
  const Command* command = nullptr;
  CLI::App* app = nullptr;
  std::map<std::string, std::string> texts;
  std::map<std::string, bool> flags;
  std::map<std::string, std::int64_t> numbers;
  bool is_password_on_stdin = false;
};

struct Line {
  CLI::App app{kDescription, "xmppctl"};
  std::string socket;
  bool is_json = false;
  int timeout_s = kAnswerSeconds;
  std::string shell;
  CLI::App* completion = nullptr;
  std::vector<std::unique_ptr<Values>> commands;
};

void add_argument(Values& values, const Argument& argument) {
  CLI::App& app = *values.app;
  const std::string name = argument.is_option ? "--" + argument.name : argument.name;
  CLI::Option* option = nullptr;
  if (argument.type == "boolean") {
    app.add_flag("--" + argument.name, values.flags[argument.name], argument.help);
    return;
  }
  if (argument.type == "integer") {
    option = app.add_option(name, values.numbers[argument.name], argument.help)->type_name("N");
  } else {
    option = app.add_option(name, values.texts[argument.name], argument.help);
    option->type_name(argument.type == "text" || argument.type == "new-password" ? "TEXT" : "JID");
    if (argument.type == "host") option->type_name("HOST");
  }
  if (argument.type == "new-password") {
    auto* flag = app.add_flag("--" + argument.name + "-stdin", values.is_password_on_stdin,
                              "Read it from standard input (the first line)");
    flag->excludes(option);
  } else if (argument.is_required) {
    option->required();
  }
}

std::unique_ptr<Line> make_line(const Catalogue& catalogue) {
  auto line = std::make_unique<Line>();
  CLI::App& app = line->app;
  app.fallthrough();
  app.require_subcommand(1);
  app.footer(kFooter);
  app.add_option("--socket", line->socket,
                 "Control socket of the server (else $XMPPCTL_SOCKET, /run/xmppd/control.sock, "
                 "./xmppd-data/control.sock)")
      ->type_name("PATH");
  app.add_flag("--json", line->is_json, "Print JSON");
  app.add_option("--timeout", line->timeout_s,
                 "How long to wait for the server to finish the command; 0: as long as it takes")
      ->type_name("SECONDS")
      ->check(CLI::Range(0, kTimeoutMax))
      ->capture_default_str();
  app.add_flag_callback(
      "--version", [] {}, "Print the version");
  std::map<std::string, CLI::App*> groups;
  for (const auto& command : catalogue) {
    CLI::App* parent = &app;
    if (!command.group.empty()) {
      auto& group = groups[command.group];
      if (group == nullptr) {
        group = app.add_subcommand(command.group);
        group->require_subcommand(1);
        std::string names;
        for (const auto& other : catalogue) {
          if (other.group == command.group) names += (names.empty() ? "" : ", ") + other.name;
        }
        group->description(names);
      }
      parent = group;
    }
    auto& values = *line->commands.emplace_back(std::make_unique<Values>());
    values.command = &command;
    values.app = parent->add_subcommand(command.name, command.help);
    for (const auto& argument : command.arguments) add_argument(values, argument);
  }
  line->completion = app.add_subcommand("completion", "Print a completion script for a shell");
  line->completion->add_option("shell", line->shell, "bash")
      ->required()
      ->check(CLI::IsMember({"bash"}));
  return line;
}

Invocation invocation_of(const Values& values, int timeout_s) {
  Invocation invocation{.command = *values.command,
                        .args = new Poco::JSON::Object,
                        .password_argument = {},
                        .is_password_on_stdin = values.is_password_on_stdin,
                        .timeout_s = timeout_s};
  for (const auto& argument : values.command->arguments) {
    const auto& name = argument.name;
    const bool is_named = argument.is_option || argument.type == "boolean";
    const bool is_given = values.app->count(is_named ? "--" + name : name) != 0;
    if (!is_given) {
      if (argument.type == "new-password" &&
          (argument.is_required || values.is_password_on_stdin)) {
        invocation.password_argument = name;
      }
    } else if (argument.type == "boolean") {
      invocation.args->set(name, values.flags.at(name));
    } else if (argument.type == "integer") {
      invocation.args->set(name, static_cast<Poco::Int64>(values.numbers.at(name)));
    } else {
      invocation.args->set(name, values.texts.at(name));
    }
  }
  return invocation;
}

}  // namespace

CommandLine parse_command_line(const std::vector<std::string>& arguments,
                               const Catalogue& catalogue) {
  auto sorted = order_arguments(arguments, catalogue);
  if (!sorted) return sorted.error();
  std::vector<std::string> ordered = std::move(*sorted);
  std::reverse(ordered.begin(), ordered.end());  // as CLI11 wants it

  auto line = make_line(catalogue);
  try {
    line->app.parse(ordered);
  } catch (const CLI::ParseError& error) {
    std::ostringstream out;
    std::ostringstream err;
    if (line->app.exit(error, out, err) == 0) return Text{out.str()};
    return UsageError{error.what()};
  }
  if (line->completion->parsed()) return Text{bash_completion(catalogue)};
  for (const auto& values : line->commands) {
    if (values->app->parsed()) return invocation_of(*values, line->timeout_s);
  }
  return UsageError{"no command given"};
}

std::string general_help() {
  return make_line({})->app.help() +
         "\nThe commands come from the server, which could not be asked.\n";
}

}  // namespace xmppctl

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  const char* socket = std::getenv("XMPPCTL_SOCKET");
  try {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    return xmppctl::run(arguments, {.in = std::cin,
                                    .out = std::cout,
                                    .err = std::cerr,
                                    .ask_secret = &xmppctl::ask_secret,
                                    .environment_socket = socket == nullptr ? "" : socket});
  } catch (const std::exception& error) {
    std::cerr << "xmppctl: " << error.what() << '\n';
    return xmppctl::kExitRefused;
  }
}
