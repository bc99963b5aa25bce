// What DNS says about a domain: any bytes as the answers to both SRV questions, then everything
// that is made of them, up to the addresses to connect to. Nothing crashes; names are host names,
// lists are bounded, priorities in order, and nobody is connected to who was not named.
//
// Input: two messages, each behind its length as over TCP (RFC 1035 4.2.2); of what is left every
// byte is an address of the hosts asked for, odd ones of IPv6; the text of it is a domain, too.
#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "xmpp/base/random.h"
#include "xmpp/base/utf8.h"
#include "xmpp/net/dns.h"
#include "xmpp/net/resolver.h"

namespace {

using xmpp::net::SrvAnswer;
using xmpp::net::SrvRecord;
using Addresses = std::vector<std::string>;

void require(bool condition, std::string_view what, std::string_view detail = {}) {
  if (condition) return;
  std::fprintf(stderr, "%s: %s\n", std::string(what).c_str(), std::string(detail).c_str());
  __builtin_trap();
}

std::string_view take_message(std::string_view& bytes) {
  if (bytes.size() < 2) return {};
  const std::size_t length = static_cast<std::size_t>(static_cast<unsigned char>(bytes[0])) << 8U |
                             static_cast<unsigned char>(bytes[1]);
  const std::string_view message = bytes.substr(2, length);
  bytes.remove_prefix(2 + message.size());
  return message;
}

Addresses make_addresses(std::string_view bytes) {
  Addresses addresses;
  for (const char c : bytes.substr(0, 100)) {
    const auto n = static_cast<unsigned char>(c);
    addresses.push_back((n & 1U) != 0 ? "2001:db8::" + std::to_string(n)
                                      : "192.0.2." + std::to_string(n));
  }
  return addresses;
}

// Not the library's own check: written from the wire's side, label by label.
bool is_host_name(std::string_view name) {
  while (true) {
    const std::string_view label = name.substr(0, name.find('.'));
    const bool is_good = std::all_of(label.begin(), label.end(), [](unsigned char c) {
      return c < 0x80 && (c == '-' || c == '_' || std::isalnum(c) != 0);
    });
    if (label.empty() || label.size() > 63 || !is_good) return false;
    if (label.size() == name.size()) return true;
    name.remove_prefix(label.size() + 1);
  }
}

SrvAnswer parse(std::string_view message) {
  const std::vector<unsigned char> bytes(message.begin(), message.end());  // its end is noticed
  SrvAnswer answer = xmpp::net::parse_srv_answer(bytes);
  require((answer.status == SrvAnswer::Status::found) == !answer.records.empty(),
          "records and status disagree");
  constexpr std::size_t kRecordBytes = 18;  // at least: two names, ten bytes, three numbers
  require(answer.records.size() <= message.size() / kRecordBytes, "records out of nothing");
  require(answer.ttl >= std::chrono::seconds(0), "a time in the past");
  for (const SrvRecord& record : answer.records) {
    require(record.target.size() <= 253, "a name that is too long", record.target);
    require(record.target.empty() || is_host_name(record.target), "no host name", record.target);
  }
  return answer;
}

auto key_of(const SrvRecord& record) {
  return std::tuple(record.priority, record.weight, record.port, record.target, record.direct_tls);
}

void check_order(std::vector<SrvRecord> records, xmpp::Rng& rng) {
  std::vector<SrvRecord> ordered = records;
  xmpp::net::order_srv(ordered, rng);
  require(std::ranges::is_sorted(ordered, {}, &SrvRecord::priority), "priorities out of order");
  std::ranges::sort(records, {}, key_of);
  std::ranges::sort(ordered, {}, key_of);
  require(records == ordered, "other records than before");
}

bool is_v6(const std::string& address) {
  return address.find(':') != std::string::npos;
}

void check_families(const Addresses& addresses) {
  const Addresses mixed = xmpp::net::alternate_families(addresses);
  for (const bool family : {false, true}) {
    Addresses before;
    Addresses after;
    std::ranges::copy_if(addresses, std::back_inserter(before),
                         [&](const auto& address) { return is_v6(address) == family; });
    std::ranges::copy_if(mixed, std::back_inserter(after),
                         [&](const auto& address) { return is_v6(address) == family; });
    require(before == after, "a family's addresses in another order");
  }
  require(mixed.size() == addresses.size(), "other addresses than before");
  if (!mixed.empty()) require(mixed.front() == addresses.front(), "the preferred one is not first");
  for (std::size_t i = 1; i < mixed.size(); ++i) {
    if (is_v6(mixed[i]) != is_v6(mixed[i - 1])) continue;
    const bool is_rest = std::all_of(mixed.begin() + static_cast<std::ptrdiff_t>(i), mixed.end(),
                                     [&](const auto& a) { return is_v6(a) == is_v6(mixed[i]); });
    require(is_rest, "the families do not alternate");
  }
}

class InputDns final : public xmpp::net::Dns {
 public:
  InputDns(std::string_view plain, std::string_view direct, Addresses addresses)
      : plain_(plain), direct_(direct), addresses_(std::move(addresses)) {}

  SrvAnswer find_srv(const std::string& name) override {
    return parse(name.starts_with("_xmpps-") ? direct_ : plain_);
  }
  Addresses find_addresses(const std::string& host) override {
    asked_.insert(host);
    return addresses_;
  }
  [[nodiscard]] const std::set<std::string>& asked() const { return asked_; }
  [[nodiscard]] const Addresses& addresses() const { return addresses_; }

 private:
  std::string_view plain_;
  std::string_view direct_;
  Addresses addresses_;
  std::set<std::string> asked_;
};

// Every endpoint is an address of a record's target at its port, or of the domain itself.
void check_plan(InputDns& dns, xmpp::Rng& rng) {
  const xmpp::net::ServiceQuery query{.domain = "example.org"};
  const auto answer = xmpp::net::ask_service(dns, query, rng);
  require(dns.asked().size() <= 16, "too many questions");
  std::set<std::pair<std::string, bool>> allowed;
  const auto allow = [&](std::uint16_t port, bool direct_tls) {
    for (const std::string& address : dns.addresses()) {
      const std::string host = is_v6(address) ? "[" + address + "]" : address;
      allowed.emplace(host + ":" + std::to_string(port), direct_tls);
    }
  };
  for (const auto& record : answer.plain.records) allow(record.port, false);
  for (const auto& record : answer.direct.records) allow(record.port, true);
  if (answer.plain.records.empty() && answer.direct.records.empty()) allow(5222, false);

  const auto plan = xmpp::net::plan_endpoints(query, answer, rng);
  if (!plan) {
    require(!plan.error().text.empty(), "an error without a text");
    return;
  }
  require(!plan->empty() && plan->size() <= 64, "none or too many endpoints");
  for (const auto& endpoint : *plan) {
    require(allowed.contains({endpoint.address, endpoint.direct_tls}), "nobody named it",
            endpoint.address);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const std::string_view plain = take_message(rest);
  const std::string_view direct = take_message(rest);
  xmpp::SeededRng rng(size);
  check_order(parse(plain).records, rng);
  const Addresses addresses = make_addresses(rest);
  check_families(addresses);
  InputDns dns(plain, direct, addresses);
  check_plan(dns, rng);
  if (xmpp::utf8::is_valid(rest)) {
    const std::string labels = xmpp::net::to_a_labels(rest);
    require(xmpp::utf8::is_ascii(labels), "an A-label that is none", labels);
  }
  return 0;
}
