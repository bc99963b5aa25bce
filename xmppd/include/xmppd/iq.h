// Answering iq requests. A handler is registered for (payload type, targets); the payload is
// decoded before the call, a payload that cannot be decoded is answered with bad-request by the
// core, and forgetting to answer is impossible because the handler returns IqReply or
// Task<IqReply>.
//
// Thread-safety: the worker that the request reached (Target::host: any; accounts: their owner).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "xmpp/base/task.h"
#include "xmpp/core/stanza.h"
#include "xmpp/core/stanza_error.h"
#include "xmpp/xml/codec.h"

namespace xmppd {

class Account;
class Host;
class Session;

// To whom a request may be addressed so that a handler gets it; combine with |.
enum class Target : std::uint8_t {
  host = 1,             // the domain
  own_account = 2,      // the bare JID of the sender (or no `to`)
  account = 4,          // the bare JID of somebody else's account
  nobody = 16,          // a bare JID of the host that is no account's
  unauthenticated = 8,  // sent before authentication (XEP-0077); the host is IqCall::host
};
[[nodiscard]] constexpr Target operator|(Target a, Target b) noexcept {
  return static_cast<Target>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
[[nodiscard]] constexpr bool has(Target set, Target one) noexcept {
  return (static_cast<unsigned>(set) & static_cast<unsigned>(one)) != 0;
}

// Which requests a handler takes.
enum class IqKind : std::uint8_t { get = 1, set = 2, both = 3 };

class IqReply {
 public:
  // An empty result.
  [[nodiscard]] static IqReply ok() { return {}; }
  // A result with one payload that has a codec.
  template <typename T>
  [[nodiscard]] static IqReply with(const T& payload) {
    return with(xmpp::Payload(T::codec.name, xmpp::xml::to_xml(payload)));
  }
  // A result with one payload.
  [[nodiscard]] static IqReply with(xmpp::Payload payload) {
    IqReply reply;
    reply.payload_ = std::move(payload);
    return reply;
  }
  [[nodiscard]] static IqReply error(xmpp::StanzaError error) {
    IqReply reply;
    reply.error_ = std::move(error);
    return reply;
  }

  [[nodiscard]] const std::optional<xmpp::StanzaError>& error() const noexcept { return error_; }
  [[nodiscard]] const std::optional<xmpp::Payload>& payload() const noexcept { return payload_; }

 private:
  IqReply() = default;
  std::optional<xmpp::Payload> payload_;
  std::optional<xmpp::StanzaError> error_;
};

// One request. Lives until it is answered, so a handler may suspend and go on using it, but must
// look up accounts and sessions again after a suspension.
struct IqCall {
  xmpp::Stanza request;
  Host& host;
  Target target = Target::host;
  Account* account = nullptr;  // the addressed account (own_account, account)
  Session* session = nullptr;  // the sender's session, if it is on this worker
  std::string address;         // unauthenticated: the peer's address
  bool is_loopback = false;    // unauthenticated: the peer is on this machine
  bool is_secure = false;      // unauthenticated: TLS is up
  // unauthenticated: a small number, the same for all addresses of one IPv6 /64; for tables.
  std::uint32_t address_key = 0;
  bool is_set() const noexcept { return request.type() == xmpp::StanzaType::set; }
};

}  // namespace xmppd
