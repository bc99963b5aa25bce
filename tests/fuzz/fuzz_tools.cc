// What xmppctl and xmppbench read: answers of a server, the catalogue, files with accounts and
// reports, thresholds, bodies of messages; and the counters that a killed server left in its mapped
// file. Nothing crashes, nothing that a terminal obeys is printed, what is accepted makes sense.
//
// Input: a letter that says which, then its bytes: a answers, c catalogue, u accounts, r a report,
// t thresholds, m a body, s counters (two bytes for the place, then what is written there).
#include <Poco/JSON/ParseHandler.h>
#include <Poco/JSON/Parser.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "audit.h"
#include "client.h"
#include "command_line.h"
#include "core/sm_counters.h"
#include "options.h"
#include "render.h"
#include "report.h"
#include "threshold.h"
#include "xmpp/base/utf8.h"

namespace {

using xmppd::SmCounters;

void require(bool condition, std::string_view what, std::string_view detail = {}) {
  if (condition) return;
  std::fprintf(stderr, "%s: %s\n", std::string(what).c_str(), std::string(detail).c_str());
  __builtin_trap();
}

// Nothing that a terminal obeys, or that turns a line's direction; line ends apart.
bool is_printable(char32_t c) {
  return c == '\n' || (c >= 0x20 && (c < 0x7F || c >= 0xA0) && c != 0x2028 && c != 0x2029 &&
                       !(c >= 0x202A && c <= 0x202E) && !(c >= 0x2066 && c <= 0x2069));
}

void check_printed(std::string_view text) {
  require(xmpp::utf8::is_valid(text), "no text", text);
  for (std::size_t at = 0; at < text.size();) {
    require(is_printable(xmpp::utf8::decode(text, at)), "a terminal would obey that", text);
  }
}

void check_value(const Poco::Dynamic::Var& value) {
  check_printed(xmppctl::render(value));
  check_printed(xmppctl::to_json(value));
}

// A server that says what the input says. One process is both ends: what is sent fits into the
// socket's buffer.
class Listener {
 public:
  Listener() {
    std::array<char, 32> name{"/tmp/fuzz-tools-XXXXXX"};
    require(::mkdtemp(name.data()) != nullptr, "no directory");
    directory_ = name.data();
    path_ = directory_ / "s";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.string().copy(address.sun_path, sizeof address.sun_path - 1);
    fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
                ::listen(fd_, 4) == 0,
            "cannot listen");
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() {
    ::close(fd_);
    std::error_code error;
    std::filesystem::remove_all(directory_, error);
  }

  void ask(std::string_view answer) const {
    auto client = xmppctl::Client::connect(path_.string());
    require(client.has_value(), "cannot connect");
    const int served = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
    require(served >= 0, "cannot accept");
    require(::send(served, answer.data(), answer.size(), MSG_NOSIGNAL) ==
                static_cast<ssize_t>(answer.size()),
            "the answer does not fit");
    ::shutdown(served, SHUT_WR);
    for (int i = 0; i < 3; ++i) {
      const auto result = client->request("status", {}, 1);
      if (!result) break;
      check_value(*result);
    }
    ::close(served);
  }

 private:
  std::filesystem::path directory_;
  std::filesystem::path path_;
  int fd_ = -1;
};

void try_answers(std::string_view bytes) {
  static const Listener listener;
  constexpr std::size_t kMost = 32 * 1024;
  listener.ask(bytes.substr(0, kMost));
}

void try_catalogue(const std::string& text) {
  Poco::Dynamic::Var json;
  try {
    Poco::JSON::Parser parser(new Poco::JSON::ParseHandler(true));
    json = parser.parse(text);
  } catch (const Poco::Exception&) {
    return;  // request() has done that before anything gets here
  }
  check_value(json);
  const auto catalogue = xmppctl::parse_catalogue(json);
  if (!catalogue) {
    require(!catalogue.error().text.empty(), "an error without a text");
    return;
  }
  for (const auto& command : *catalogue) require(!command.name.empty(), "a command without a name");
  (void)xmppctl::bash_completion(*catalogue);
  (void)xmppctl::order_arguments({"user", "add", "--password", "x", "a@b"}, *catalogue);
  (void)xmppctl::order_arguments({"--host=x", "roster", "lsit", "--", "-v"}, *catalogue);
}

void try_accounts(std::string_view text) {
  const auto lines = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;
  const auto accounts = xmppbench::parse_accounts(text, "accounts.txt", "localhost");
  if (!accounts) {
    require(!accounts.error().text.empty(), "an error without a text");
    return;
  }
  require(accounts->size() <= lines, "accounts out of nothing");
  for (const auto& account : *accounts) {
    require(!account.jid.local().empty() && account.jid.resource().empty(), "no account",
            account.jid.str());
    require(!account.password.reveal().empty(), "no password", account.jid.str());
  }
}

void try_report(const std::string& text) {
  xmppbench::RunResult now;
  now.command = xmppbench::Command::chat;
  now.server =
      xmppbench::ServerCost{.processes = 1, .cpu_us_per_msg = 5.5, .pss_kb_per_session = 7};
  std::ostringstream out;
  const auto compared = xmppbench::print_comparison(out, now, text);
  if (!compared) require(!compared.error().empty() && out.str().empty(), "half a comparison");
  check_printed(out.str());
  if (compared) require(out.str().ends_with('\n'), "a line without an end", out.str());
}

void try_thresholds(std::string_view text) {
  const auto thresholds = xmppbench::parse_thresholds(text);
  if (!thresholds) {
    require(!thresholds.error().empty(), "an error without a text");
    return;
  }
  using Compare = xmppbench::Threshold::Compare;
  const auto& names = xmppbench::metric_names();
  for (const auto& threshold : *thresholds) {
    require(std::ranges::find(names, threshold.metric) != names.end(), "no figure", threshold.text);
    require(std::isfinite(threshold.value), "a number that no figure has", threshold.text);
    const bool has_equal = threshold.compare == Compare::less_equal ||
                           threshold.compare == Compare::greater_equal ||
                           threshold.compare == Compare::equal;
    require(threshold.holds(threshold.value) == has_equal, "it does not compare", threshold.text);
  }
  std::ostringstream out;
  const bool all_hold = xmppbench::check_thresholds(out, {}, *thresholds);
  require(all_hold == (out.str().find(": MISSED (") == std::string::npos) ||
              text.find("MISSED") != std::string_view::npos,
          "another verdict than printed", out.str());
  const auto seconds = xmppbench::parse_time("--duration", std::string(text));
  if (seconds) require(*seconds >= xmpp::Duration::zero(), "less than no time", text);
}

void try_body(std::string_view body) {
  const auto tag = xmppbench::Tag::parse(body);
  if (!tag) return;
  std::string written(xmppbench::Tag::kBytes, ' ');
  tag->write(written.data());
  const auto again = xmppbench::Tag::parse(written);
  require(again && again->run == tag->run && again->sender == tag->sender &&
              again->number == tag->number && again->at == tag->at,
          "another tag than was read", written);
  // The numbers of whoever sent it, in any order.
  xmppbench::Audit audit;
  std::set<std::uint64_t> arrived;
  for (const char c : body.substr(xmppbench::Tag::kBytes)) {
    const std::uint64_t number = static_cast<unsigned char>(c);
    const auto arrival = audit.on_arrival(number);
    require((arrival == xmppbench::Audit::Arrival::duplicated) != arrived.insert(number).second,
            "arrived twice, or not at all");
  }
  require(audit.lost(0, 256) == 256 - arrived.size(), "sent is not received and lost");
}

// The file of a server that was killed, in memory; the header is that of this boot unless the input
// overwrites it.
void try_counters(std::string_view bytes) {
  static const int file = ::memfd_create("sm-counters", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  constexpr std::size_t kPlaces = 256;  // all that is used here lies in the first bytes
  if (bytes.size() < 2 || bytes.size() > kPlaces) return;
  {
    SmCounters before(path);
    before.forget_rest();
    for (const char* id : {"one", "two", "three"}) before.acquire(id)->handled = 7;
  }
  const off_t place = static_cast<unsigned char>(bytes[0]) << 8U & 0x100U;
  const off_t at = place | static_cast<unsigned char>(bytes[1]);
  bytes.remove_prefix(2);
  require(::pwrite(file, bytes.data(), bytes.size(), at) == static_cast<ssize_t>(bytes.size()),
          "cannot write");
  SmCounters after(path);
  std::set<const void*> taken;
  for (const char* id : {"one", "two", "three"}) {
    if (const auto* slot = after.find(id)) require(taken.insert(slot).second, "shared", id);
  }
  after.forget_rest();
  require(after.find("four") == nullptr, "a session out of nothing");
  for (int i = 0; i < 20; ++i) {
    auto* slot = after.acquire("new" + std::to_string(i));
    require(slot != nullptr && taken.insert(slot).second, "a slot of two sessions");
    require(slot->handled == 0 && slot->is_stale == 0, "a slot that is not new");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'a':
      try_answers(bytes);
      break;
    case 'c':
      try_catalogue(std::string(bytes));
      break;
    case 'u':
      try_accounts(bytes);
      break;
    case 'r':
      try_report(std::string(bytes));
      break;
    case 't':
      try_thresholds(bytes);
      break;
    case 'm':
      try_body(bytes);
      break;
    case 's':
      try_counters(bytes);
      break;
    default:
      break;
  }
  return 0;
}
