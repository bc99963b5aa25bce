// ListenerSet: one listening socket per worker and address (SO_REUSEPORT), so that accepting and
// the work before authentication spread evenly. An address that another process listens on is
// refused, which SO_REUSEPORT alone would not notice.
//
// Thread-safety: made and destroyed while no worker runs; each socket is accepted on by its worker
// only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/entrance.h"
#include "xmpp/net/socket.h"

namespace xmppd {

class Server;
class Worker;

class ListenerSet {
 public:
  // Throws std::runtime_error naming the address and the remedy.
  ListenerSet(Server& server, const std::vector<ListenConfig>& config);
  ~ListenerSet();
  ListenerSet(const ListenerSet&) = delete;
  ListenerSet& operator=(const ListenerSet&) = delete;

  // Starts to accept on all workers. Before their threads start.
  void start();
  // Each worker stops to accept. REQUIRES: called on the worker's thread.
  void stop(Worker& worker) noexcept;
  // "c2s=127.0.0.1:5222 c2s-direct-tls=127.0.0.1:5223"
  [[nodiscard]] const std::string& summary() const noexcept { return summary_; }

 private:
  struct Socket;
  void accept_all(Socket& socket);

  Server& server_;
  std::vector<std::unique_ptr<Socket>> sockets_;
  std::string summary_;
};

}  // namespace xmppd
