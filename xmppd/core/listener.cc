#include "core/listener.h"

#include <cerrno>
#include <stdexcept>

#include "core/server.h"
#include "core/worker.h"

namespace xmppd {
namespace {

constexpr int kAcceptsPerTurn = 64;
// Out of descriptors the socket stays readable: ask again when some may have been closed.
constexpr xmpp::Duration kRetry = std::chrono::milliseconds(200);
const xmpp::log::Context kLog{.component = "listener"};

[[noreturn]] void refuse(const xmpp::net::SocketError& error, bool is_dev) {
  std::string text = error.what;
  if (error.code == EADDRINUSE)
    text += is_dev ? " (another server runs there: stop it; --dev always uses these ports, a file "
                     "given with --config may choose others in [[listen]])"
                   : " (another server runs there; stop it or change [[listen]])";
  if (error.code == EACCES) text += " (ports below 1024 need the capability CAP_NET_BIND_SERVICE)";
  throw std::runtime_error(text);
}

}  // namespace

struct ListenerSet::Socket {
  Socket(ListenerSet& s, Worker& w, xmpp::net::Listener l, std::shared_ptr<const Entrance> e)
      : set(s), worker(w), listener(std::move(l)), entrance(std::move(e)) {
    watch = {[](void* self, xmpp::net::Readiness) {
               auto& socket = *static_cast<Socket*>(self);
               socket.set.accept_all(socket);
             },
             this, /*is_patient=*/true};
    retry.set_callback([this] { watch_it(); });
  }
  ListenerSet& set;
  Worker& worker;
  xmpp::net::Listener listener;
  std::shared_ptr<const Entrance> entrance;
  xmpp::net::Watch watch;
  xmpp::Timer retry;
  bool is_watched = false;

  void watch_it() {
    worker.reactor().watch_fd(listener.fd(), watch);
    is_watched = true;
  }
  void unwatch_it() noexcept {
    if (is_watched) worker.reactor().unwatch_fd(listener.fd(), watch);
    is_watched = false;
  }
};

ListenerSet::ListenerSet(Server& server, const std::vector<ListenConfig>& config)
    : server_(server) {
  const bool is_dev = server.config().file.empty();
  for (const ListenConfig& listen : config) {
    for (const ListenAddress& configured : listen.address) {
      auto entrance = std::make_shared<const Entrance>(
          Entrance{listen.service, listen.tls, configured.is_loopback()});
      auto address = to_string(configured);
      {
        // Alone on the address? Without SO_REUSEPORT the kernel tells.
        auto probe = xmpp::net::Listener::listen(address, {.reuse_port = false});
        if (!probe) refuse(probe.error(), is_dev);
      }
      std::string bound;
      for (std::size_t i = 0; i < server.worker_count(); ++i) {
        auto listener = xmpp::net::Listener::listen(address, {.reuse_port = true});
        if (!listener) refuse(listener.error(), is_dev);
        if (bound.empty()) {
          // Port 0 is resolved once; the other workers join the same port.
          bound = listener->local_address();
          address = bound;
        }
        sockets_.push_back(
            std::make_unique<Socket>(*this, server.worker(i), std::move(*listener), entrance));
      }
      if (!summary_.empty()) summary_ += ' ';
      summary_ += std::string(to_string(listen.service)) + "=" + bound;
    }
  }
}

ListenerSet::~ListenerSet() = default;

void ListenerSet::start() {
  for (auto& socket : sockets_) socket->watch_it();
}

void ListenerSet::stop(Worker& worker) noexcept {
  for (auto& socket : sockets_) {
    if (&socket->worker != &worker) continue;
    socket->retry.cancel();
    socket->unwatch_it();
    // Or else the kernel goes on to let clients in, whom nobody will ever serve.
    socket->listener.close();
  }
}

void ListenerSet::accept_all(Socket& socket) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    int error = 0;
    auto channel = socket.listener.accept(&error);
    if (!channel) {
      if (error == EMFILE || error == ENFILE) {
        xmpp::log::error(kLog, "out of file descriptors: raise LimitNOFILE (ulimit -n)");
        socket.unwatch_it();
        auto& reactor = socket.worker.reactor();
        reactor.timers().set(socket.retry, reactor.now() + kRetry);
      }
      return;
    }
    server_.admit(socket.worker, std::move(channel), socket.entrance);
  }
}

}  // namespace xmppd
