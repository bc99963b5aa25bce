// Checking the command line.
#include "options.h"

#include <sys/resource.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>
#include <system_error>
#include <utility>

#include "audit.h"
#include "process_stats.h"
#include "xmpp/base/files.h"
#include "xmpp/net/socket.h"
#include "xmpp/sasl/mechanism.h"

namespace xmppbench {
namespace {

using xmpp::Err;
using xmpp::Result;
using Check = Result<void, Failure>;
using Tls = xmpp::ClientOptions::Tls;

constexpr std::uint64_t kUsersMax = 1'000'000;
constexpr double kPresenceRate = 1'000;  // --rate of presence if left out
// Descriptors beside the connections: epoll and eventfd of each reactor, files.
constexpr std::uint64_t kSpareDescriptors = 64;
constexpr std::uint64_t kReactorDescriptors = 2;

Err<Failure> usage(std::string text) {
  return Err(Failure{Exit::usage, std::move(text)});
}

Err<Failure> cannot_read(const std::string& option, const std::string& path, std::error_code why) {
  return usage(option + " " + path + ": cannot be read: " + why.message());
}

Result<std::string, Failure> read_password(const RawOptions& raw) {
  if (!raw.password.empty() && !raw.password_file.empty()) {
    return usage("--password and --password-file exclude each other");
  }
  if (raw.password_file.empty()) return raw.password;
  const auto text = xmpp::read_file(raw.password_file);
  if (!text) return cannot_read("--password-file", raw.password_file, text.error());
  return text->substr(0, text->find_first_of("\r\n"));
}

Result<std::vector<Account>, Failure> make_accounts(const RawOptions& raw) {
  if (!raw.accounts_file.empty()) {
    const auto text = xmpp::read_file(raw.accounts_file);
    if (!text) return cannot_read("--accounts", raw.accounts_file, text.error());
    auto accounts = parse_accounts(*text, raw.accounts_file, raw.domain);
    if (accounts && raw.users != 0) {
      if (raw.users > accounts->size()) {
        return usage("--users " + std::to_string(raw.users) + ", but " + raw.accounts_file +
                     " has only " + std::to_string(accounts->size()) + " accounts");
      }
      accounts->resize(raw.users);
    }
    return accounts;
  }
  if (raw.users == 0) return usage("say how many users: --users N (or --accounts FILE)");
  if (raw.users > kUsersMax) return usage("--users: at most " + std::to_string(kUsersMax));
  const auto password = read_password(raw);
  if (!password) return Err(password.error());
  if (password->empty()) return usage("--password is missing (or --password-file, --accounts)");
  std::vector<Account> accounts;
  accounts.reserve(raw.users);
  for (std::uint64_t number = 1; number <= raw.users; ++number) {
    auto jid = xmpp::Jid::make(raw.prefix + std::to_string(number), raw.domain);
    if (!jid) {
      return usage("--prefix " + raw.prefix + ", --domain " + raw.domain + ": no valid address (" +
                   std::string(to_string(jid.error())) + ")");
    }
    accounts.push_back({*std::move(jid), xmpp::Secret(*password)});
  }
  return accounts;
}

Result<Tls, Failure> parse_tls(const std::string& text) {
  if (text == "starttls") return Tls::starttls;
  if (text == "direct") return Tls::direct;
  if (text == "none") return Tls::none;
  return usage("--tls " + text + ": expected none, starttls or direct");
}

Result<std::string, Failure> parse_sasl(std::string text) {
  if (text == "auto") return text;
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  const auto mechanism = xmpp::sasl::parse_mechanism(text);
  if (!mechanism || *mechanism == xmpp::sasl::MechanismId::external ||
      *mechanism == xmpp::sasl::MechanismId::anonymous) {
    return usage("--sasl " + text +
                 ": expected auto, plain, scram-sha-1, scram-sha-256 or scram-sha-512 (each with "
                 "-plus, too)");
  }
  return text;
}

Check check_target(const RawOptions& raw) {
  if (raw.domain.empty()) return usage("--domain is missing");
  const auto domain = xmpp::Jid::parse(raw.domain);
  if (!domain || !domain->is_domain()) return usage("--domain " + raw.domain + ": no valid domain");
  if (!raw.target.empty() && !xmpp::net::parse_host_port(raw.target)) {
    return usage("--target " + raw.target + ": expected HOST:PORT, e.g. 127.0.0.1:5222");
  }
  for (const std::string& address : raw.source_addresses) {
    if (!xmpp::net::is_ip_literal(address)) {
      return usage("--source-addresses " + address + ": expected numeric addresses");
    }
  }
  return {};
}

// Every reactor has a ring of its own.
Check check_contacts(const RawOptions& raw, std::size_t accounts) {
  if (raw.contacts < 2 || raw.contacts % 2 != 0 || raw.contacts > 1000) {
    return usage("--contacts: expected an even number, 2 to 1000");
  }
  const std::size_t ring = accounts / raw.reactors;
  if (ring < raw.contacts + 2) {
    return usage("--contacts " + std::to_string(raw.contacts) + " needs at least " +
                 std::to_string((raw.contacts + 2) * raw.reactors) + " users (--users), not " +
                 std::to_string(accounts));
  }
  return {};
}

// Not given, or such that the times of the schedule fit into an Instant.
bool is_rate(const std::optional<double>& rate) {
  return !rate || (*rate >= 1e-3 && *rate <= 1e8);
}

// Neighbours share a reactor; one without users would keep its part of the rate to itself.
Check check_reactors(const RawOptions& raw, std::size_t accounts) {
  if (raw.reactors == 0 || raw.reactors > 256) return usage("--reactors: expected 1 to 256");
  const std::size_t pairs = (accounts + 1) / 2;
  if (accounts == 0 || raw.reactors <= pairs) return {};
  return usage("--reactors " + std::to_string(raw.reactors) + ": at most " + std::to_string(pairs) +
               " for so few users, neighbours share one");
}

Check check_numbers(Command command, const RawOptions& raw, std::size_t accounts) {
  if (raw.rate && raw.window) {
    return usage("--rate (open loop) and --window (closed loop) exclude each other");
  }
  if (!is_rate(raw.rate)) {
    return usage("--rate: expected messages per second, 0.001 to 100000000");
  }
  if (!is_rate(raw.login_rate)) {
    return usage("--login-rate: expected logins per second, 0.001 to 100000000");
  }
  if (raw.window && (*raw.window == 0 || *raw.window > 10'000))
    return usage("--window: expected 1 to 10000");
  if (raw.login_concurrency == 0 || raw.login_concurrency > kUsersMax) {
    return usage("--login-concurrency: expected 1 or more");
  }
  if (auto checked = check_reactors(raw, accounts); !checked) return checked;
  if (raw.body_bytes < Tag::kBytes || raw.body_bytes > 10'000'000) {
    return usage("--body-bytes: expected at least " + std::to_string(Tag::kBytes) +
                 " (the delivery audit's numbers travel in the body)");
  }
  if (accounts == 0) return usage("no accounts: --users N or --accounts FILE");
  if (command == Command::chat && accounts % 2 != 0) {
    return usage("chat pairs odd and even neighbours: --users must be even, not " +
                 std::to_string(accounts));
  }
  if ((!counts_stanzas(command) && raw.rate) || (command != Command::chat && raw.window)) {
    return usage(
        "--rate belongs to chat and presence, --window to chat (for logins: --login-rate)");
  }
  if (command == Command::presence) return check_contacts(raw, accounts);
  return {};
}

// Every connection is a descriptor.
Check raise_descriptor_limit(std::size_t connections, std::uint64_t reactors) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return {};
  const rlim_t wanted = connections + reactors * kReactorDescriptors + kSpareDescriptors;
  if (limit.rlim_cur >= wanted) return {};
  if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < wanted) {
    return Err(Failure{Exit::failed,
                       std::to_string(connections) + " users need " + std::to_string(wanted) +
                           " open files, the limit here is " + std::to_string(limit.rlim_max) +
                           ": raise it (ulimit -n) or run several processes"});
  }
  limit.rlim_cur = wanted;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  return {};
}

struct Times {
  xmpp::Duration duration{};
  xmpp::Duration warmup{};
  xmpp::Duration drain{};
};

// Presence: everybody becomes available at the rate before it counts, and two seconds of quiet.
std::string default_warmup(Command command, double rate, std::size_t accounts) {
  if (command != Command::presence) return command == Command::chat ? "1" : "0";
  return std::to_string(2 + std::ceil(static_cast<double>(accounts) / rate));
}

Result<Times, Failure> parse_times(Command command, const RawOptions& raw, double rate,
                                   std::size_t accounts) {
  const char* const duration = command == Command::login ? "0" : "10";
  const std::string warmup = default_warmup(command, rate, accounts);
  const auto parsed = parse_time("--duration", raw.duration.empty() ? duration : raw.duration);
  if (!parsed) return Err(parsed.error());
  if (*parsed == xmpp::Duration::zero() && command != Command::login) {
    return usage("--duration: expected more than 0");
  }
  const auto before = parse_time("--warmup", raw.warmup.empty() ? warmup : raw.warmup);
  if (!before) return Err(before.error());
  const auto after = parse_time("--drain", raw.drain);
  if (!after) return Err(after.error());
  return Times{*parsed, *before, *after};
}

}  // namespace

std::string_view to_string(Command command) noexcept {
  switch (command) {
    case Command::login:
      return "login";
    case Command::idle:
      return "idle";
    case Command::presence:
      return "presence";
    case Command::chat:
      break;
  }
  return "chat";
}

Result<xmpp::Duration, Failure> parse_time(std::string_view option, const std::string& text) {
  double seconds = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (parsed.ec == std::errc() && parsed.ptr == text.data() + text.size()) {
    if (seconds >= 0 && seconds <= 1e7) {
      return xmpp::Duration(static_cast<xmpp::Duration::rep>(std::llround(seconds * 1e6)));
    }
  } else if (const auto duration = xmpp::parse_duration(text)) {
    return *duration;
  }
  return usage(std::string(option) + " " + text + ": expected e.g. 10 (seconds), 500ms, 2m");
}

Result<std::vector<Account>, Failure> parse_accounts(std::string_view text, const std::string& name,
                                                     const std::string& domain) {
  std::vector<Account> accounts;
  std::size_t number = 0;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    const std::size_t split = line.find_first_of("\t ,");
    const std::string_view user = line.substr(0, split);
    const std::string_view password =
        split == std::string_view::npos ? std::string_view() : line.substr(split + 1);
    const bool is_jid = user.find('@') != std::string_view::npos;
    auto jid = is_jid ? xmpp::Jid::parse(user) : xmpp::Jid::make(user, domain);
    if (!jid || password.empty() || jid->local().empty()) {
      return usage(name + ":" + std::to_string(number) +
                   ": expected a user or jid, then its password");
    }
    accounts.push_back({jid->bare(), xmpp::Secret(std::string(password))});
  }
  return accounts;
}

Result<Options, Failure> make_options(Command command, const RawOptions& raw) {
  if (auto checked = check_target(raw); !checked) return Err(checked.error());
  auto accounts = make_accounts(raw);
  if (!accounts) return Err(accounts.error());
  if (auto checked = check_numbers(command, raw, accounts->size()); !checked) {
    return Err(checked.error());
  }
  const auto tls = parse_tls(raw.tls);
  if (!tls) return Err(tls.error());
  auto sasl = parse_sasl(raw.sasl);
  if (!sasl) return Err(sasl.error());
  auto thresholds = parse_thresholds(raw.thresholds);
  if (!thresholds) return usage(thresholds.error());
  const double rate = raw.rate.value_or(command == Command::presence ? kPresenceRate : 0);
  const auto times = parse_times(command, raw, rate, accounts->size());
  if (!times) return Err(times.error());
  std::string before;
  if (!raw.compare.empty()) {
    auto earlier = xmpp::read_file(raw.compare);
    if (!earlier) return cannot_read("--compare", raw.compare, earlier.error());
    before = *std::move(earlier);
  }
  if (raw.server_pid != 0 && !read_process_stats(raw.server_pid, false)) {
    return usage("--server-pid " + std::to_string(raw.server_pid) + ": no such process");
  }
  if (auto raised = raise_descriptor_limit(accounts->size(), raw.reactors); !raised) {
    return Err(raised.error());
  }

  Options options;
  options.command = command;
  options.target = raw.target;
  options.domain = raw.domain;
  options.accounts = *std::move(accounts);
  options.registers = raw.registers;
  options.tls = *tls;
  options.insecure = raw.insecure;
  options.ca_file = raw.ca_file;
  options.sasl = *std::move(sasl);
  options.rate = rate;
  options.window = static_cast<std::uint32_t>(raw.window.value_or(1));
  options.duration = times->duration;
  options.warmup = times->warmup;
  options.drain = times->drain;
  options.login_rate = raw.login_rate.value_or(0);
  options.login_concurrency = static_cast<std::uint32_t>(raw.login_concurrency);
  options.body_bytes = static_cast<std::uint32_t>(raw.body_bytes);
  options.reactors = static_cast<std::uint32_t>(raw.reactors);
  options.source_addresses = raw.source_addresses;
  options.contacts = static_cast<std::uint32_t>(raw.contacts);
  options.sends_presence =
      !raw.no_presence && command != Command::login && command != Command::presence;
  options.thresholds = *std::move(thresholds);
  options.json = raw.json;
  options.compare = raw.compare;
  options.before = std::move(before);
  options.quiet = raw.quiet;
  options.seed = raw.seed;
  options.server_pid = raw.server_pid;
  return options;
}

}  // namespace xmppbench
