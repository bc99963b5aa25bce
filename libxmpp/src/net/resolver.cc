#include "xmpp/net/resolver.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <set>

#include "xmpp/base/assert.h"
#include "xmpp/net/socket.h"

namespace xmpp::net {
namespace {

using std::chrono::seconds;

constexpr std::size_t kCacheEntriesMax = 1024;
constexpr std::size_t kTargetsMax = 16;
// Records times addresses, both chosen by whoever owns the domain; nobody tries so many.
constexpr std::size_t kEndpointsMax = 64;
constexpr seconds kPositiveMin{10};
// The C library does not tell how long addresses are valid: not for long.
constexpr seconds kPositiveMax{120};
constexpr seconds kNegative{10};

bool is_usable(const SrvAnswer& answer) noexcept {
  return answer.status == SrvAnswer::Status::found;
}

// RFC 2782: a single record with target "." says that the service is not there.
bool is_refused(const SrvAnswer& answer) noexcept {
  return is_usable(answer) &&
         std::all_of(answer.records.begin(), answer.records.end(),
                     [](const SrvRecord& record) { return record.target.empty(); });
}

bool has_targets(const SrvAnswer& answer) noexcept {
  return is_usable(answer) && !is_refused(answer);
}

// RFC 6120 3.2.1: without an answer to the SRV query the domain itself is tried; not after a
// refusal of either service (XEP-0368 3), and not if there are records, however useless they turn
// out to be.
bool may_fall_back(const ServiceAnswer& answer) noexcept {
  return !has_targets(answer.plain) && !has_targets(answer.direct) && !is_refused(answer.plain) &&
         !is_refused(answer.direct);
}

// XEP-0368 3: records of both services are one set. In the order to try them.
std::vector<SrvRecord> ordered_records(const ServiceAnswer& answer, Rng& rng) {
  std::vector<SrvRecord> records;
  for (const SrvAnswer* srv : {&answer.plain, &answer.direct}) {
    for (const SrvRecord& record : srv->records) {
      if (record.target.empty()) continue;
      records.push_back(record);
      records.back().direct_tls = srv == &answer.direct;
    }
  }
  order_srv(records, rng);
  return records;
}

std::string key_of(const ServiceQuery& query) {
  std::string key(query.service);
  key += query.plain ? " p" : " -";
  key += query.direct ? "d " : "- ";
  key += query.domain;
  return key;
}

void append_endpoints(std::vector<Endpoint>& out, const ServiceAnswer& answer,
                      const std::string& host, std::uint16_t port, bool direct_tls) {
  const auto addresses = answer.addresses.find(host);
  if (addresses == answer.addresses.end()) return;
  for (const std::string& address : alternate_families(addresses->second)) {
    if (out.size() == kEndpointsMax) return;
    out.push_back({join_host_port(address, port), direct_tls});
  }
}

}  // namespace

std::vector<std::string> alternate_families(const std::vector<std::string>& addresses) {
  if (addresses.empty()) return {};
  const auto is_v6 = [](const std::string& address) {
    return address.find(':') != std::string::npos;
  };
  const bool v6_first = is_v6(addresses.front());
  std::vector<std::string> first;
  std::vector<std::string> second;
  for (const std::string& address : addresses) {
    (is_v6(address) == v6_first ? first : second).push_back(address);
  }
  std::vector<std::string> out;
  out.reserve(addresses.size());
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) out.push_back(std::move(first[i]));
    if (i < second.size()) out.push_back(std::move(second[i]));
  }
  return out;
}

ServiceAnswer ask_service(Dns& dns, const ServiceQuery& query, Rng& rng) {
  ServiceAnswer answer;
  const std::string domain = to_a_labels(query.domain);
  if (domain.empty()) return answer;
  const std::string suffix = std::string(query.service) + "._tcp." + domain;
  if (query.plain) answer.plain = dns.find_srv("_xmpp-" + suffix);
  if (query.direct) answer.direct = dns.find_srv("_xmpps-" + suffix);
  // What is too much is what would have been tried last (RFC 2782), wherever it stands.
  std::set<std::string> hosts;
  for (const SrvRecord& record : ordered_records(answer, rng)) {
    if (hosts.size() < kTargetsMax) hosts.insert(record.target);
  }
  if (may_fall_back(answer)) {
    answer.addresses[query.domain] = dns.find_addresses(domain);
  }
  for (const std::string& host : hosts) answer.addresses[host] = dns.find_addresses(host);
  return answer;
}

Result<std::vector<Endpoint>, ResolveError> plan_endpoints(const ServiceQuery& query,
                                                           const ServiceAnswer& answer, Rng& rng) {
  std::vector<Endpoint> endpoints;
  if (may_fall_back(answer)) {
    append_endpoints(endpoints, answer, query.domain, query.fallback_port,
                     query.fallback_direct_tls);
  } else {
    const std::vector<SrvRecord> records = ordered_records(answer, rng);
    if (records.empty()) {
      return Err(ResolveError{ResolveError::Code::not_offered,
                              query.domain + " does not offer xmpp-" + std::string(query.service)});
    }
    for (const SrvRecord& record : records) {
      if (endpoints.size() == kEndpointsMax) break;
      append_endpoints(endpoints, answer, record.target, record.port, record.direct_tls);
    }
  }
  if (endpoints.empty()) {
    return Err(ResolveError{ResolveError::Code::not_found, "no address for " + query.domain});
  }
  return endpoints;
}

Resolver::Resolver(Reactor& reactor, Offload& offload, Rng& rng, Dns& dns)
    : reactor_(reactor),
      offload_(offload),
      rng_(rng),
      dns_(dns),
      self_(std::make_shared<Resolver*>(this)) {}

Resolver::~Resolver() {
  *self_ = nullptr;
}

void Resolver::resolve(ServiceQuery query, Request& request) {
  XMPP_ASSERT(!request.is_linked());
  const std::string key = key_of(query);
  request.query_ = std::move(query);
  Entry& entry = cache_[key];
  entry.waiting.push_back(request);
  if (entry.asking) return;
  entry.asking = true;
  if (entry.expires > reactor_.now()) {
    reactor_.call([weak = std::weak_ptr(self_), key] {
      if (auto self = weak.lock()) (*self)->complete(key);
    });
    return;
  }
  ask(key, request.query_);
}

void Resolver::resolve_host(const std::string& host, std::uint16_t port, bool direct_tls,
                            Request& request) {
  // A service that is looked up by neither name: only the fall-back is left.
  ServiceQuery query;
  query.domain = host;
  query.plain = false;
  query.direct = false;
  query.fallback_port = port;
  query.fallback_direct_tls = direct_tls;
  resolve(std::move(query), request);
}

void Resolver::ask(const std::string& key, const ServiceQuery& query) {
  auto work = [&dns = dns_, query, seed = rng_.next_u64()] {
    SeededRng rng(seed);  // ours is not for other threads
    return ask_service(dns, query, rng);
  };
  auto done = [weak = std::weak_ptr(self_), key](ServiceAnswer answer) {
    if (auto self = weak.lock()) (*self)->on_answer(key, std::move(answer));
  };
  if (offload_.submit(std::move(work), reactor_, std::move(done))) return;
  reactor_.call([weak = std::weak_ptr(self_), key] {
    if (auto self = weak.lock()) (*self)->on_overload(key);
  });
}

void Resolver::on_answer(const std::string& key, ServiceAnswer answer) {
  Entry& entry = cache_[key];
  const bool found = std::any_of(answer.addresses.begin(), answer.addresses.end(),
                                 [](const auto& host) { return !host.second.empty(); });
  seconds ttl = found ? kPositiveMax : kNegative;
  for (const SrvAnswer* srv : {&answer.plain, &answer.direct}) {
    if (found && is_usable(*srv)) ttl = std::clamp(srv->ttl, kPositiveMin, ttl);
  }
  entry.answer = std::move(answer);
  entry.expires = reactor_.now() + ttl;
  shrink_cache();  // not this entry: it is still asking
  complete(key);
}

void Resolver::complete(const std::string& key) {
  Entry& entry = cache_[key];
  entry.asking = false;
  // Who asks from inside an answer waits for the next turn.
  IntrusiveList<Request> waiting;
  waiting.splice_back(entry.waiting);
  // A handler may clear the cache or add to it.
  const ServiceAnswer answer = entry.answer;
  // ... or destroy the resolver: who still waits is not answered then.
  const auto self = self_;
  while (Request* request = *self == nullptr ? nullptr : waiting.pop_front()) {
    auto plan = plan_endpoints(request->query_, answer, rng_);
    // A copy: answering may destroy the request.
    const auto answered = request->answered_;
    answered(std::move(plan));
  }
}

void Resolver::on_overload(const std::string& key) {
  Entry& entry = cache_[key];
  entry.asking = false;
  IntrusiveList<Request> waiting;
  waiting.splice_back(entry.waiting);
  const auto self = self_;
  while (Request* request = *self == nullptr ? nullptr : waiting.pop_front()) {
    const auto answered = request->answered_;
    answered(Err(ResolveError{ResolveError::Code::overloaded, "too many look-ups under way"}));
  }
}

void Resolver::clear_cache() {
  std::erase_if(cache_, [](const auto& item) { return !item.second.asking; });
}

void Resolver::shrink_cache() {
  if (cache_.size() <= kCacheEntriesMax) return;
  std::erase_if(cache_, [this](const auto& item) {
    return !item.second.asking && item.second.expires <= reactor_.now();
  });
  if (cache_.size() > kCacheEntriesMax) clear_cache();
}

}  // namespace xmpp::net
