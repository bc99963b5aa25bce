// Dns: the two blocking questions that connecting to a domain needs, and the parser of SRV answers.
//
// Specs: RFC 1035 (messages), RFC 2782 (SRV). Thread-safety: any thread; blocks, so on an Offload
// only.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "xmpp/base/random.h"

namespace xmpp::net {

struct SrvRecord {
  std::uint16_t priority = 0;
  std::uint16_t weight = 0;
  std::uint16_t port = 0;
  std::string target;       // without the final dot; empty: the service is decidedly not available
  bool direct_tls = false;  // an answer for _xmpps-; the parser leaves it false
  friend bool operator==(const SrvRecord&, const SrvRecord&) = default;
};

struct SrvAnswer {
  enum class Status : std::uint8_t {
    found,   // at least one record
    none,    // the name does not exist, or has no such records
    failed,  // no usable answer
  };
  Status status = Status::none;
  std::vector<SrvRecord> records;
  std::chrono::seconds ttl{0};  // the shortest of the records
};

// The SRV records of a DNS answer, aliases passed over. Anything malformed is `failed`.
[[nodiscard]] SrvAnswer parse_srv_answer(std::span<const unsigned char> message);
// Sorts by priority and, where that is equal, draws lots by weight (RFC 2782).
void order_srv(std::vector<SrvRecord>& records, Rng& rng);

// A domain as it is asked for in DNS and named in certificates: A-labels. Empty if it cannot be.
[[nodiscard]] std::string to_a_labels(std::string_view domain);

class Dns {
 public:
  Dns() = default;
  Dns(const Dns&) = delete;
  Dns& operator=(const Dns&) = delete;
  virtual ~Dns() = default;
  [[nodiscard]] virtual SrvAnswer find_srv(const std::string& name) = 0;
  // Numeric addresses in the order of preference (RFC 6724), both families; empty: none.
  [[nodiscard]] virtual std::vector<std::string> find_addresses(const std::string& host) = 0;
};

// The C library's resolver: /etc/resolv.conf and /etc/hosts.
[[nodiscard]] Dns& system_dns();

}  // namespace xmpp::net
