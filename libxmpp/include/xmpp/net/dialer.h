// Dialer: connects to the first of several endpoints that answers. They are tried in order, the
// next one as soon as one fails or after 250 ms (RFC 8305 5, "happy eyeballs"); the first that
// connects wins.
//
// Thread-safety: the reactor's thread only. Invariants: (1) `done` is called exactly once, from a
// turn and never from the constructor, unless the dialer is destroyed before; it may destroy the
// dialer.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "xmpp/base/result.h"
#include "xmpp/base/timer_wheel.h"
#include "xmpp/net/poller.h"
#include "xmpp/net/reactor.h"
#include "xmpp/net/resolver.h"
#include "xmpp/net/socket.h"

namespace xmpp::net {

class Dialer {
 public:
  static constexpr Duration kStagger = std::chrono::milliseconds(250);

  struct Connected {
    std::unique_ptr<ByteChannel> channel;  // not watched
    Endpoint endpoint;
  };
  // On failure the error of the attempt that failed last.
  using Done = std::function<void(Result<Connected, SocketError>)>;

  // REQUIRES: endpoints is not empty.
  Dialer(Reactor& reactor, Connector& connector, std::vector<Endpoint> endpoints,
         std::string local_address, Done done);
  ~Dialer();
  Dialer(const Dialer&) = delete;
  Dialer& operator=(const Dialer&) = delete;

 private:
  struct Attempt {
    Dialer* dialer;
    std::size_t endpoint;
    std::unique_ptr<ByteChannel> channel;
    Watch watch;
  };
  static void on_ready(void* self, Readiness readiness);
  void start_next();
  void on_result(Attempt& attempt);
  void drop(Attempt& attempt) noexcept;
  void finish(Result<Connected, SocketError> result);

  Reactor& reactor_;
  Connector& connector_;
  std::vector<Endpoint> endpoints_;
  std::string local_address_;
  Done done_;
  std::size_t next_ = 0;
  std::list<Attempt> attempts_;  // under way; watches must stay in place
  SocketError last_error_;
  Timer stagger_;
};

}  // namespace xmpp::net
