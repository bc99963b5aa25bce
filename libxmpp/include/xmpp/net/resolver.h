// Resolver: from a domain to the addresses to try, in order. SRV and address look-ups run on an
// Offload; their answers are cached; order and fall-back are decided anew for every request.
//
// Specs: RFC 6120 3.2 (client), XEP-0368 2.0 (_xmpps), RFC 2782 (order), RFC 8305 4 (families
// alternate). Thread-safety: the reactor's thread only; one Resolver per reactor, Offload and Dns
// may be shared. Invariants: (1) a request is answered at most once, never from within resolve().
// (2) Equal questions under way are asked once.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "xmpp/base/intrusive_list.h"
#include "xmpp/base/random.h"
#include "xmpp/base/result.h"
#include "xmpp/net/dns.h"
#include "xmpp/net/offload.h"
#include "xmpp/net/reactor.h"

namespace xmpp::net {

// One address to connect to.
struct Endpoint {
  std::string address;      // numeric, "192.0.2.1:5222"
  bool direct_tls = false;  // TLS from the first byte
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

struct ResolveError {
  enum class Code : std::uint8_t {
    not_found,    // no address at all
    not_offered,  // the domain says that it has no such service (SRV target ".")
    overloaded,   // the offload's queue is full
  };
  Code code = Code::not_found;
  std::string text;
};

struct ServiceQuery {
  std::string domain;
  std::string_view service = "client";  // or "server"
  bool plain = true;                    // look for _xmpp-<service>
  bool direct = true;                   // look for _xmpps-<service>
  std::uint16_t fallback_port = 5222;   // of the domain itself, where there is no SRV
  bool fallback_direct_tls = false;
};

// What DNS said about a ServiceQuery.
struct ServiceAnswer {
  SrvAnswer plain;
  SrvAnswer direct;
  std::map<std::string, std::vector<std::string>> addresses;  // of the targets, or of the domain
};
// Asks; blocks. Of many targets the 16 to try first, by lots from `rng`, get addresses.
[[nodiscard]] ServiceAnswer ask_service(Dns& dns, const ServiceQuery& query, Rng& rng);
// The endpoints in the order to try them.
[[nodiscard]] Result<std::vector<Endpoint>, ResolveError> plan_endpoints(
    const ServiceQuery& query, const ServiceAnswer& answer, Rng& rng);
// Lets the families alternate, the preferred one first.
[[nodiscard]] std::vector<std::string> alternate_families(
    const std::vector<std::string>& addresses);

class Resolver {
 public:
  using Answer = Result<std::vector<Endpoint>, ResolveError>;
  // Somebody who waits; destroying it cancels. `answered` may destroy the resolver.
  class Request : public ListHook<> {
   public:
    explicit Request(std::function<void(Answer)> answered) : answered_(std::move(answered)) {}

   private:
    friend class Resolver;
    std::function<void(Answer)> answered_;
    ServiceQuery query_;
  };

  // All must outlive the resolver.
  Resolver(Reactor& reactor, Offload& offload, Rng& rng, Dns& dns = system_dns());
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Answers in a later turn. REQUIRES: `request` is not under way.
  void resolve(ServiceQuery query, Request& request);
  // Addresses of one host (a name or an IP literal) and port, without SRV.
  void resolve_host(const std::string& host, std::uint16_t port, bool direct_tls, Request& request);
  void clear_cache();

 private:
  struct Entry {
    ServiceAnswer answer;
    Instant expires{};
    bool asking = false;
    IntrusiveList<Request> waiting;
  };
  void ask(const std::string& key, const ServiceQuery& query);
  void on_answer(const std::string& key, ServiceAnswer answer);
  void complete(const std::string& key);
  void on_overload(const std::string& key);
  void shrink_cache();

  Reactor& reactor_;
  Offload& offload_;
  Rng& rng_;
  Dns& dns_;
  std::map<std::string, Entry> cache_;
  // Work under way finds us through a weak_ptr; null when we are gone.
  std::shared_ptr<Resolver*> self_;
};

}  // namespace xmpp::net
