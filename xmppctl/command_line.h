// The command line, made from the server's catalogue: which command with which arguments, help, and
// what is wrong with it. Nothing here knows a command but `completion`, which is xmppctl's own.
//
// Thread-safety: any thread. Contract: "Configuration and command-line contract" in
// docs/architecture.md: options are accepted anywhere.
#pragma once

#include <Poco/JSON/Object.h>

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "client.h"
#include "xmpp/base/result.h"

namespace xmppctl {

// What can be told before the catalogue is known.
struct GlobalOptions {
  std::string socket;  // empty: the default
  bool is_json = false;
  bool wants_help = false;
  bool wants_version = false;
  bool has_words = false;  // anything but options
};
[[nodiscard]] GlobalOptions scan_globals(const std::vector<std::string>& arguments);

// A command to be run.
struct Invocation {
  Command command;
  Poco::JSON::Object::Ptr args;
  std::string password_argument;  // still to be asked for; empty: nothing is
  bool is_password_on_stdin = false;
  int timeout_s = kAnswerSeconds;
};
// xmppctl's own answer: help, a script.
struct Text {
  std::string text;
};
struct UsageError {
  std::string text;
};
using CommandLine = std::variant<Invocation, Text, UsageError>;

// The arguments in the order in which CLI11 takes them: the command, then all options with name and
// value apart, then its words. Names the nearest command if there is none of that name.
[[nodiscard]] xmpp::Result<std::vector<std::string>, UsageError> order_arguments(
    const std::vector<std::string>& arguments, const Catalogue& catalogue);

// These two are in main.cc, the one place for CLI11.
[[nodiscard]] CommandLine parse_command_line(const std::vector<std::string>& arguments,
                                             const Catalogue& catalogue);
// The help that needs no server.
[[nodiscard]] std::string general_help();
// A bash completion script.
[[nodiscard]] std::string bash_completion(const Catalogue& catalogue);
// The known name that differs least, if it is near enough to have been meant.
[[nodiscard]] std::optional<std::string> nearest(const std::string& name,
                                                 const std::vector<std::string>& known);

}  // namespace xmppctl
