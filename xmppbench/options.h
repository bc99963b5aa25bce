// Options: what one run is asked to do, checked. RawOptions is the command line as typed;
// make_options() turns it into Options or says in one line what is wrong (exit code 2).
//
// Thread-safety: values.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "threshold.h"
#include "xmpp/base/result.h"
#include "xmpp/base/secret.h"
#include "xmpp/base/time.h"
#include "xmpp/client/client.h"
#include "xmpp/core/jid.h"

namespace xmppbench {

// Exit codes of the contract.
enum class Exit : int { ok = 0, failed = 1, usage = 2, threshold_missed = 99 };

struct Failure {
  Exit code = Exit::failed;
  std::string text;  // one line: what happened, and what to do
};

enum class Command : std::uint8_t { login, idle, chat, presence };
[[nodiscard]] std::string_view to_string(Command command) noexcept;
// Does the command count stanzas on their way (chat, presence)?
[[nodiscard]] constexpr bool counts_stanzas(Command command) noexcept {
  return command == Command::chat || command == Command::presence;
}

struct Account {
  xmpp::Jid jid;
  xmpp::Secret password;
};

// As typed; empty, or zero where that means nothing: not given.
struct RawOptions {
  std::string target;
  std::string domain;
  std::uint64_t users = 0;
  std::string prefix = "u";
  std::string accounts_file;
  std::string password;
  std::string password_file;
  bool registers = false;
  std::string tls = "starttls";
  bool insecure = false;
  std::string ca_file;
  std::string sasl = "auto";
  std::optional<double> rate;
  std::optional<std::uint64_t> window;
  std::string duration;
  std::string warmup;
  std::string drain = "5s";
  std::optional<double> login_rate;
  std::uint64_t login_concurrency = 50;
  std::uint64_t body_bytes = 100;
  std::uint64_t contacts = 20;
  std::uint64_t reactors = 1;
  std::vector<std::string> source_addresses;
  bool no_presence = false;
  std::string thresholds;
  std::string json;
  std::string compare;
  bool quiet = false;
  std::uint64_t seed = 1;
  pid_t server_pid = 0;
};

struct Options {
  Command command = Command::login;
  std::string target;
  std::string domain;
  std::vector<Account> accounts;
  bool registers = false;
  xmpp::ClientOptions::Tls tls = xmpp::ClientOptions::Tls::starttls;
  bool insecure = false;
  std::string ca_file;
  std::string sasl;  // "auto" or a mechanism's name
  double rate = 0;   // stanzas per second in total; chat: 0 is a closed loop
  std::uint32_t window = 1;
  xmpp::Duration duration{};  // login: zero means every user once
  xmpp::Duration warmup{};
  xmpp::Duration drain{};  // how long to wait for messages still under way
  double login_rate = 0;
  std::uint32_t login_concurrency = 50;
  std::uint32_t body_bytes = 100;
  std::uint32_t contacts = 20;  // presence: of every user; even
  std::uint32_t reactors = 1;
  std::vector<std::string> source_addresses;
  bool sends_presence = true;  // the shard sends an initial presence for every user
  std::vector<Threshold> thresholds;
  std::string json;     // "-": standard output
  std::string compare;  // the file of an earlier run
  std::string before;   // the JSON in it, read before `json` may replace it
  bool quiet = false;
  std::uint64_t seed = 1;
  pid_t server_pid = 0;
};

// Reads the files that are named, raises the limit of descriptors if the run needs it.
[[nodiscard]] xmpp::Result<Options, Failure> make_options(Command command, const RawOptions& raw);

// "10" (seconds), "1.5", "500ms", "2m".
[[nodiscard]] xmpp::Result<xmpp::Duration, Failure> parse_time(std::string_view option,
                                                               const std::string& text);
// One account per line: jid or user name, then the password, separated by tab, space or comma;
// empty lines and lines that begin with '#' are skipped. `name` is for the message.
[[nodiscard]] xmpp::Result<std::vector<Account>, Failure> parse_accounts(std::string_view text,
                                                                         const std::string& name,
                                                                         const std::string& domain);

}  // namespace xmppbench
