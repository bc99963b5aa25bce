#include "xmpp/net/socket.h"

#include <Poco/Net/IPAddress.h>
#include <Poco/Net/SocketAddress.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <system_error>
#include <utility>

#include "xmpp/base/assert.h"

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

namespace xmpp::net {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
  [[nodiscard]] const sockaddr* get() const noexcept {
    return reinterpret_cast<const sockaddr*>(&storage);
  }
  [[nodiscard]] int family() const noexcept { return storage.ss_family; }
};

std::string errno_text(int code) {
  return std::generic_category().message(code);
}

Err<SocketError> failure(const std::string& action, int code) {
  return Err(SocketError{code, action + ": " + errno_text(code)});
}

std::optional<Address> parse_unix(std::string_view path) noexcept {
  Address address;
  auto& target = reinterpret_cast<sockaddr_un&>(address.storage);
  if (path.empty() || path.size() >= sizeof target.sun_path) return std::nullopt;
  target.sun_family = AF_UNIX;
  std::memcpy(target.sun_path, path.data(), path.size());
  address.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return address;
}

std::optional<Address> make_ip(const std::string& host, std::uint16_t port) {
  Poco::Net::IPAddress ip;
  if (!Poco::Net::IPAddress::tryParse(host, ip)) return std::nullopt;
  const Poco::Net::SocketAddress parsed(ip, port);
  Address address;
  std::memcpy(&address.storage, parsed.addr(), parsed.length());
  address.length = parsed.length();
  return address;
}

std::optional<Address> parse_address(const std::string& text) {
  if (text.starts_with(kUnixPrefix))
    return parse_unix(std::string_view(text).substr(kUnixPrefix.size()));
  auto parts = parse_host_port(text);
  if (!parts) return std::nullopt;
  return make_ip(parts->host, parts->port);
}

std::string format_address(const Address& address) {
  if (address.family() == AF_UNIX) {
    const auto& local = reinterpret_cast<const sockaddr_un&>(address.storage);
    constexpr std::size_t kPath = offsetof(sockaddr_un, sun_path);
    // A socketpair and the connecting end have no path; abstract ones begin with a zero byte.
    if (address.length <= kPath || local.sun_path[0] == '\0') return std::string(kUnixPrefix);
    return std::string(kUnixPrefix) + local.sun_path;
  }
  try {
    return Poco::Net::SocketAddress(address.get(), address.length).toString();
  } catch (const Poco::Exception&) {
    return {};
  }
}

template <typename Call>
std::string name_of(int fd, Call call) {
  Address address;
  address.length = sizeof address.storage;
  if (call(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.length) != 0) return {};
  return format_address(address);
}

bool set_option(int fd, int level, int name, int value) noexcept {
  return ::setsockopt(fd, level, name, &value, sizeof value) == 0;
}

IoResult io_failure() noexcept {
  const int code = errno;
  if (code == EAGAIN || code == EWOULDBLOCK) return {IoResult::Status::would_block, 0, 0};
  return {IoResult::Status::failed, 0, code};
}

class SocketChannel final : public ByteChannel {
 public:
  explicit SocketChannel(int fd) noexcept : fd_(fd) {}
  ~SocketChannel() override { ::close(fd_); }

  IoResult read(std::span<char> into) noexcept override {
    while (true) {
      const ssize_t count = ::recv(fd_, into.data(), into.size(), 0);
      if (count > 0) return {IoResult::Status::ok, static_cast<std::size_t>(count), 0};
      if (count == 0) return {IoResult::Status::closed, 0, 0};
      if (errno != EINTR) return io_failure();
    }
  }

  IoResult writev(std::span<const iovec> parts) noexcept override {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts.data());  // sendmsg does not write to it
    message.msg_iovlen = parts.size();
    while (true) {
      // One part is the usual case, and cheaper for the kernel.
      const ssize_t count = parts.size() == 1
                                ? ::send(fd_, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL)
                                : ::sendmsg(fd_, &message, MSG_NOSIGNAL);
      if (count >= 0) return {IoResult::Status::ok, static_cast<std::size_t>(count), 0};
      if (errno == EPIPE) return {IoResult::Status::closed, 0, 0};
      if (errno != EINTR) return io_failure();
    }
  }

  void shutdown_write() noexcept override { ::shutdown(fd_, SHUT_WR); }
  [[nodiscard]] int fd() const noexcept override { return fd_; }
  [[nodiscard]] std::string peer_address() const override { return name_of(fd_, ::getpeername); }

 private:
  int fd_;
};

// Closes unless released.
class FdGuard {
 public:
  explicit FdGuard(int fd) noexcept : fd_(fd) {}
  FdGuard(const FdGuard&) = delete;
  FdGuard& operator=(const FdGuard&) = delete;
  ~FdGuard() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

int make_socket(int family) noexcept {
  return ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int bind_source(int fd, const std::string& text, int family) {
  auto source = make_ip(text, 0);
  if (!source) source = parse_address(text);
  if (!source || source->family() != family) return EAFNOSUPPORT;
  // The port is chosen at connect(), when the destination is known: far more connections per
  // source.
  if (family == AF_INET || family == AF_INET6)
    set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  return ::bind(fd, source->get(), source->length) == 0 ? 0 : errno;
}

}  // namespace

std::string join_host_port(std::string_view host, std::uint16_t port) {
  const bool brackets = host.find(':') != std::string_view::npos;
  std::string text;
  if (brackets) text += '[';
  text += host;
  if (brackets) text += ']';
  text += ':';
  text += std::to_string(port);
  return text;
}

std::optional<HostPort> parse_host_port(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return std::nullopt;  // an IPv6 literal needs brackets
  }
  std::uint16_t port = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (host.empty() || parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size()) {
    return std::nullopt;
  }
  return HostPort{std::string(host), port};
}

bool is_ip_literal(std::string_view host) noexcept {
  try {
    Poco::Net::IPAddress ip;
    return Poco::Net::IPAddress::tryParse(std::string(host), ip);
  } catch (const Poco::Exception&) {
    return false;
  }
}

std::unique_ptr<ByteChannel> make_channel(int fd) noexcept {
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  return std::make_unique<SocketChannel>(fd);
}

Result<Listener, SocketError> Listener::listen(const std::string& address,
                                               const ListenOptions& options) {
  const auto target = parse_address(address);
  if (!target) return Err(SocketError{EINVAL, "not an address to listen on: " + address});
  FdGuard fd(make_socket(target->family()));
  if (fd.get() < 0) return failure("socket " + address, errno);
  if (target->family() != AF_UNIX) {
    set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    // Accepted sockets inherit it.
    set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
    if (target->family() == AF_INET6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
    if (options.reuse_port && !set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1)) {
      return failure("SO_REUSEPORT " + address, errno);
    }
  }
  if (::bind(fd.get(), target->get(), target->length) != 0)
    return failure("bind " + address, errno);
  if (::listen(fd.get(), options.backlog) != 0) return failure("listen " + address, errno);
  return Listener(fd.release());
}

Listener::Listener(Listener&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Listener& Listener::operator=(Listener&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Listener::~Listener() {
  close();
}

void Listener::close() noexcept {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

std::unique_ptr<ByteChannel> Listener::accept(int* error) noexcept {
  if (error != nullptr) *error = 0;
  while (true) {
    const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) return std::make_unique<SocketChannel>(fd);
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (error != nullptr && errno != EAGAIN && errno != EWOULDBLOCK) *error = errno;
    return nullptr;
  }
}

std::string Listener::local_address() const {
  return name_of(fd_, ::getsockname);
}

void set_dead_peer_timeout(ByteChannel& channel, std::chrono::seconds keepalive,
                           std::chrono::seconds unacknowledged) noexcept {
  const int fd = channel.fd();
  if (fd < 0) return;
  if (keepalive.count() > 0) {
    // Three probes, together as long as the silence before them.
    const auto idle = static_cast<int>(keepalive.count());
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle);
    set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, std::max(1, idle / 3));
    set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
  }
  if (unacknowledged.count() > 0) {
    set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(unacknowledged.count()) * 1000);
  }
}

Result<std::unique_ptr<ByteChannel>, SocketError> connect_start(const std::string& address,
                                                                const std::string& local_address) {
  const auto target = parse_address(address);
  if (!target) return Err(SocketError{EINVAL, "not a numeric address: " + address});
  FdGuard fd(make_socket(target->family()));
  if (fd.get() < 0) return failure("socket " + address, errno);
  if (target->family() != AF_UNIX) set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  if (!local_address.empty()) {
    const int code = bind_source(fd.get(), local_address, target->family());
    if (code != 0) return failure("bind " + local_address, code);
  }
  if (::connect(fd.get(), target->get(), target->length) != 0 && errno != EINPROGRESS) {
    return failure("connect " + address, errno);
  }
  return std::unique_ptr<ByteChannel>(std::make_unique<SocketChannel>(fd.release()));
}

int connect_result(const ByteChannel& channel) noexcept {
  int code = 0;
  socklen_t length = sizeof code;
  if (::getsockopt(channel.fd(), SOL_SOCKET, SO_ERROR, &code, &length) != 0) return errno;
  return code;
}

Connector& system_connector() {
  class System final : public Connector {
   public:
    Result<std::unique_ptr<ByteChannel>, SocketError> start(
        const std::string& address, const std::string& local_address) override {
      return connect_start(address, local_address);
    }
    int result(const ByteChannel& channel) noexcept override { return connect_result(channel); }
  };
  static System connector;
  return connector;
}

}  // namespace xmpp::net
