// Every limit of the server, declared once: name, default, bounds, unit and meaning. The struct's
// members, the parser of [limits] and docs/options.md come from this table.
//
// Thread-safety: plain data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "xmpp/base/time.h"

namespace xmppd {

// COUNT(name, default, min, max, help)   a number
// BYTES(name, default, min, max, help)   a size; "256KiB" in the file
// TIME(name, default_s, min_s, max_s, help)   a duration in seconds here; "60s" in the file
#define XMPPD_LIMITS(COUNT, BYTES, TIME)                                                           \
  BYTES(stanza_bytes, 262'144, 10'000, 16'777'216, "Largest stanza of an authenticated stream.")   \
  BYTES(stanza_bytes_unauthenticated, 32'768, 10'000, 1'048'576,                                   \
        "Largest first-level element before authentication.")                                      \
  COUNT(depth, 64, 8, 1'024, "Deepest nesting of elements in a stanza.")                           \
  COUNT(attributes, 64, 8, 1'024, "Most attributes of one element.")                               \
  TIME(unauthenticated_timeout, 60, 1, 3'600, "Time that a connection has to authenticate.")       \
  COUNT(                                                                                           \
      auth_failures, 3, 1, 20,                                                                     \
      "Wrong passwords on one connection before it is closed; refusals for other reasons do not "  \
      "count.")                                                                                    \
  COUNT(                                                                                           \
      auth_failures_per_account, 50, 0, 1'000'000,                                                 \
      "Wrong passwords for one account on all connections before more attempts are refused for a " \
      "while; 0 = no limit.")                                                                      \
  COUNT(auth_failures_per_address, 100, 0, 1'000'000,                                              \
        "The same for one IPv4 address or IPv6 /64, this machine excepted; 0 = no limit.")         \
  TIME(auth_failures_decay, 15, 1, 86'400,                                                         \
       "Time in which an account or address is forgiven one wrong password.")                      \
  COUNT(connections_per_address, 0, 0, 1'000'000,                                                  \
        "Connections of one IPv4 address or IPv6 /64 at a time; 0 = no limit.")                    \
  COUNT(connections, 0, 0, 10'000'000, "Connections at a time; 0 = no limit.")                     \
  BYTES(output_queue_bytes, 1'048'576, 65'536, 1'073'741'824,                                      \
        "Unsent output of a connection before it is closed.")                                      \
  COUNT(sessions_per_account, 32, 1, 10'000, "Sessions of one account at a time.")                 \
  COUNT(cached_accounts, 10'000, 0, 10'000'000,                                                    \
        "Accounts that a worker keeps in memory though nobody uses them.")                         \
  COUNT(mailbox_depth, 65'536, 1'024, 16'777'216,                                                  \
        "Messages waiting for a worker before the links that feed it are not read.")               \
  BYTES(stanza_rate, 0, 0, 1'073'741'824,                                                          \
        "Bytes per second read from one client's stream; 0 = no limit.")                           \
  BYTES(stanza_burst, 1'048'576, 16'384, 1'073'741'824,                                            \
        "Bytes that may exceed stanza_rate at once.")                                              \
  COUNT(offload_queue, 10'000, 16, 1'000'000, "Blocking jobs (PBKDF2, DNS) waiting for a thread.") \
  COUNT(storage_queue, 20'000, 16, 10'000'000, "Storage operations waiting for a thread.")         \
  TIME(idle_timeout, 0, 0, 604'800, "Silence of a client before it is closed; 0 = no limit.")      \
  TIME(tcp_keepalive, 120, 0, 86'400, "Idle time before TCP probes the peer; 0 = never.")          \
  TIME(tcp_user_timeout, 120, 0, 86'400,                                                           \
       "Time that sent bytes may stay unacknowledged before the connection is dropped; 0 = "       \
       "system's.")

struct Limits {
#define XMPPD_LIMIT_NUMBER(name, value, min, max, help) std::size_t name = value;
#define XMPPD_LIMIT_TIME(name, value, min, max, help) \
  xmpp::Duration name = std::chrono::seconds(value);
  XMPPD_LIMITS(XMPPD_LIMIT_NUMBER, XMPPD_LIMIT_NUMBER, XMPPD_LIMIT_TIME)
#undef XMPPD_LIMIT_NUMBER
#undef XMPPD_LIMIT_TIME
};

// One row of the table, for the parser and the documentation.
struct LimitInfo {
  enum class Unit : std::uint8_t { count, bytes, time };
  std::string_view name;
  Unit unit;
  std::uint64_t default_value;  // seconds if unit is time
  std::uint64_t min;
  std::uint64_t max;
  std::string_view help;
  std::size_t Limits::*number;   // set unless unit is time
  xmpp::Duration Limits::*time;  // set if unit is time
};

[[nodiscard]] std::span<const LimitInfo> limit_table() noexcept;

}  // namespace xmppd
