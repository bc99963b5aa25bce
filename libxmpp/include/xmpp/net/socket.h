// TCP and Unix sockets: non-blocking channels and listeners. Poco::Net::SocketAddress parses and prints
// addresses; reading and writing are raw calls on the descriptor (Poco's throw on EAGAIN).
//
// Thread-safety: one thread each.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "xmpp/base/result.h"
#include "xmpp/net/poller.h"

namespace xmpp::net {

struct SocketError {
  int code = 0;  // errno
  std::string what;  // e.g. "bind 127.0.0.1:5222: Address already in use"
};

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
  // The next waiting connection, or nullptr if there is none (or it failed; `error` then has errno).
  [[nodiscard]] std::unique_ptr<ByteChannel> accept(int* error = nullptr) noexcept;
  [[nodiscard]] int fd() const noexcept { return fd_; }
  // With the port that was really bound.
  [[nodiscard]] std::string local_address() const;

 private:
  explicit Listener(int fd) : fd_(fd) {}
  int fd_ = -1;
};

// Keepalive and TCP_USER_TIMEOUT for peers that vanish; TCP_NODELAY is always set.
void set_dead_peer_timeout(ByteChannel& channel, std::chrono::seconds timeout) noexcept;

// Starts to connect to a numeric address; the channel becomes writable when done (or hangs up).
[[nodiscard]] Result<std::unique_ptr<ByteChannel>, SocketError> connect_start(
    const std::string& address, const std::string& local_address = {});
// After the first writable or hangup event: 0 if connected, else errno.
[[nodiscard]] int connect_result(const ByteChannel& channel) noexcept;

}  // namespace xmpp::net
