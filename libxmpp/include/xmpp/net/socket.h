// TCP and Unix sockets: non-blocking channels and listeners. Poco::Net::SocketAddress parses and
// prints addresses; reading and writing are raw calls on the descriptor (Poco's throw on EAGAIN).
//
// Thread-safety: one thread each.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "xmpp/base/result.h"
#include "xmpp/net/poller.h"

namespace xmpp::net {

struct SocketError {
  int code = 0;      // errno
  std::string what;  // e.g. "bind 127.0.0.1:5222: Address already in use"
};

// "127.0.0.1:5222" or "[::1]:5222" from an IP literal and a port; a name stays as it is.
[[nodiscard]] std::string join_host_port(std::string_view host, std::uint16_t port);
struct HostPort {
  std::string host;  // without brackets
  std::uint16_t port = 0;
};
// Splits "host:port", "1.2.3.4:5", "[::1]:5"; nullopt if there is no valid port.
[[nodiscard]] std::optional<HostPort> parse_host_port(std::string_view text);
[[nodiscard]] bool is_ip_literal(std::string_view host) noexcept;  // without brackets

struct ListenOptions {
  bool reuse_port = false;  // SO_REUSEPORT: one listener per worker
  int backlog = 1024;
};

class Listener {
 public:
  // `address`: "127.0.0.1:5222", "[::1]:0", "unix:/path". [::] sockets are v6-only.
  [[nodiscard]] static Result<Listener, SocketError> listen(const std::string& address,
                                                            const ListenOptions& options = {});
  Listener(Listener&& other) noexcept;
  Listener& operator=(Listener&& other) noexcept;
  ~Listener();
  // The next waiting connection, or nullptr if there is none (or it failed; `error` then has
  // errno).
  [[nodiscard]] std::unique_ptr<ByteChannel> accept(int* error = nullptr) noexcept;
  [[nodiscard]] int fd() const noexcept { return fd_; }
  // Connections are refused from now on; fd() is -1.
  void close() noexcept;
  // With the port that was really bound.
  [[nodiscard]] std::string local_address() const;

 private:
  explicit Listener(int fd) noexcept : fd_(fd) {}
  int fd_ = -1;
};

// Takes over a connected socket (e.g. one end of a socketpair) and makes it non-blocking.
[[nodiscard]] std::unique_ptr<ByteChannel> make_channel(int fd) noexcept;

// For peers that vanish: silence after which TCP probes the peer (three probes, together as long
// again), and TCP_USER_TIMEOUT for sent bytes that stay unacknowledged. 0 leaves either to the
// system.
void set_dead_peer_timeout(ByteChannel& channel, std::chrono::seconds keepalive,
                           std::chrono::seconds unacknowledged) noexcept;

// Starts to connect to a numeric address ("127.0.0.1:5222", "[::1]:5222", "unix:/path"); the
// channel becomes writable when done (or hangs up). `local_address`: "127.0.1.5" or "127.0.1.5:0",
// the source to use.
[[nodiscard]] Result<std::unique_ptr<ByteChannel>, SocketError> connect_start(
    const std::string& address, const std::string& local_address = {});
// After the first writable or hangup event: 0 if connected, else errno.
[[nodiscard]] int connect_result(const ByteChannel& channel) noexcept;

// Where connections come from: the operating system, or a simulated network.
class Connector {
 public:
  Connector() = default;
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;
  virtual ~Connector() = default;
  // As connect_start() and connect_result().
  [[nodiscard]] virtual Result<std::unique_ptr<ByteChannel>, SocketError> start(
      const std::string& address, const std::string& local_address) = 0;
  [[nodiscard]] virtual int result(const ByteChannel& channel) noexcept = 0;
};
[[nodiscard]] Connector& system_connector();

}  // namespace xmpp::net
