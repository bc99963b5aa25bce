#include "program.h"

#include <sys/stat.h>

#include <iostream>
#include <sstream>

#include "client.h"
#include "command_line.h"
#include "render.h"
#include "xmpp/base/secret.h"

namespace xmppctl {
namespace {

constexpr const char* kSystemSocket = "/run/xmppd/control.sock";
constexpr const char* kDevSocket = "./xmppd-data/control.sock";

class Program {
 public:
  Program(const std::vector<std::string>& arguments, const Surroundings& around)
      : arguments_(arguments), around_(around), globals_(scan_globals(arguments)) {}

  // A result that nobody gets is a failure, whatever it says.
  int run() {
    const int code = run_command();
    around_.out.flush();
    if (around_.out.good()) return code;
    around_.err << "xmppctl: cannot write to standard output\n";
    return code == kExitOk ? kExitRefused : code;
  }

 private:
  int run_command() {
    if (globals_.wants_version) {
      around_.out << "xmppctl " XMPPCTL_VERSION "\n";
      return kExitOk;
    }
    auto client = Client::connect(socket_path());
    if (!client) return without_server(client.error());
    auto listed = client->request("catalogue", {});
    if (!listed) return fail(listed.error());
    auto catalogue = parse_catalogue(*listed);
    if (!catalogue) return fail(catalogue.error());
    auto line = parse_command_line(arguments_, *catalogue);
    if (const auto* text = std::get_if<Text>(&line)) {
      around_.out << text->text;
      return kExitOk;
    }
    if (const auto* usage = std::get_if<UsageError>(&line)) return usage_error(usage->text);
    return execute(*client, std::get<Invocation>(line));
  }

  std::string socket_path() const {
    if (!globals_.socket.empty()) return globals_.socket;
    if (!around_.environment_socket.empty()) return around_.environment_socket;
    struct stat found {};
    const bool has_system = ::stat(kSystemSocket, &found) == 0;
    const bool has_dev = ::stat(kDevSocket, &found) == 0;
    return !has_system && has_dev ? kDevSocket : kSystemSocket;
  }

  // Help is worth something without a server, too.
  int without_server(const Unreachable& failure) {
    if (!globals_.wants_help && globals_.has_words) return fail(failure);
    (globals_.wants_help ? around_.out : around_.err) << general_help();
    if (globals_.wants_help) return kExitOk;
    return usage_error("no command given");
  }

  int execute(Client& client, Invocation& invocation) {
    if (!invocation.password_argument.empty()) {
      auto password = get_password(invocation.is_password_on_stdin);
      if (!password) return usage_error(password.error());
      invocation.args->set(invocation.password_argument, password->reveal());
    }
    auto result =
        client.request(invocation.command.full_name, invocation.args, invocation.timeout_s);
    if (!result) return fail(result.error());
    if (invocation.command.ends_server) client.wait_for_exit();
    around_.out << (globals_.is_json ? to_json(*result) + '\n' : render(*result));
    return kExitOk;
  }

  xmpp::Result<xmpp::Secret, std::string> get_password(bool is_on_stdin) const {
    if (is_on_stdin) {
      std::string line;
      if (!std::getline(around_.in, line)) {
        return xmpp::Err(std::string("no password on standard input"));
      }
      if (line.ends_with('\r')) line.pop_back();
      return xmpp::Secret(std::move(line));
    }
    auto first = around_.ask_secret("Password: ");
    if (!first) {
      return xmpp::Err(std::string(
          "no password: give --password-stdin or --password, or run on a terminal to be asked"));
    }
    xmpp::Secret password(std::move(*first));
    auto second = around_.ask_secret("The same again: ");
    if (!second) return xmpp::Err(std::string("no password"));
    const xmpp::Secret again(std::move(*second));
    if (!xmpp::equal_constant_time(password.reveal(), again.reveal())) {
      return xmpp::Err(std::string("the two passwords differ"));
    }
    return password;
  }

  int report(int exit_code, const std::string& code, const std::string& text) {
    if (globals_.is_json) {
      around_.out << error_json(code, text) << '\n';
    } else {
      // Several lines for several errors, of a configuration file for example.
      std::istringstream lines(text);
      for (std::string line; std::getline(lines, line);) {
        around_.err << "xmppctl: " << printable(line) << '\n';
      }
    }
    return exit_code;
  }
  int usage_error(const std::string& text) {
    const int code = report(kExitUsage, "usage", text);
    if (!globals_.is_json) around_.err << "See xmppctl --help\n";
    return code;
  }
  int fail(const Unreachable& failure) {
    return report(kExitUnreachable, "unreachable", failure.text);
  }
  int fail(const Failure& failure) {
    if (const auto* gone = std::get_if<Unreachable>(&failure)) return fail(*gone);
    if (const auto* unfinished = std::get_if<Unfinished>(&failure)) {
      return report(kExitRefused, "timeout", unfinished->text);
    }
    const auto& refused = std::get<Refused>(failure);
    return report(kExitRefused, refused.code, refused.text);
  }

  const std::vector<std::string>& arguments_;
  const Surroundings& around_;
  const GlobalOptions globals_;
};

}  // namespace

int run(const std::vector<std::string>& arguments, const Surroundings& surroundings) {
  return Program(arguments, surroundings).run();
}

}  // namespace xmppctl
