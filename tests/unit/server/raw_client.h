// A client that is raw bytes in the simulated world, so that they can be cut anywhere, and what it
// says to log in.
//
// Thread-safety: one thread.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>

#include "sim/sim_net.h"
#include "sim/sim_world.h"
#include "xmpp/base/encoding.h"

namespace xmppd {

using sim::SimWorld;

inline const std::string kHeader =
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
    "to='localhost' version='1.0'>";
inline std::string bind(const std::string& resource) {
  return "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" +
         resource + "</resource></bind></iq>";
}
inline const std::string kBind = bind("r");

inline std::string plain(const std::string& user) {
  using namespace std::string_literals;
  return "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" +
         xmpp::base64_encode("\0"s + user + "\0"s + std::string(sim::kPassword)) + "</auth>";
}
inline std::string login(const std::string& user, const std::string& resource = "r") {
  return kHeader + plain(user) + kHeader + bind(resource);
}

// A world with a loop for its clients.
struct World : SimWorld {
  using SimWorld::SimWorld;
  xmpp::net::Reactor& loop = make_reactor();
};

class RawClient {
 public:
  explicit RawClient(World& world, sim::LinkQuality quality = {},
                     const std::string& address = "127.0.0.1:40000")
      : loop_(world.loop), channel_(world.connect(quality, address)) {
    watch_ = {[](void* self, xmpp::net::Readiness) { static_cast<RawClient*>(self)->read(); },
              this};
    loop_.watch(*channel_, watch_);
  }
  ~RawClient() { loop_.unwatch(*channel_, watch_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  void write(std::string_view bytes) {
    const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    ASSERT_EQ(channel_->writev({&part, 1}).bytes, bytes.size());
  }
  // Everything that came so far.
  [[nodiscard]] const std::string& seen() const { return seen_; }
  [[nodiscard]] bool saw(std::string_view text) const {
    return seen_.find(text) != std::string::npos;
  }
  sim::SimChannel& channel() { return *channel_; }
  // What comes stays in the connection until it reads again.
  void stop_reading() { is_reading_ = false; }
  void read_again() {
    is_reading_ = true;
    read();
  }

 private:
  void read() {
    char buffer[4096];
    while (is_reading_) {
      auto got = channel_->read(buffer);
      if (got.status != xmpp::net::IoResult::Status::ok) return;
      seen_.append(buffer, got.bytes);
    }
  }
  xmpp::net::Reactor& loop_;
  std::unique_ptr<sim::SimChannel> channel_;
  xmpp::net::Watch watch_;
  std::string seen_;
  bool is_reading_ = true;
};

}  // namespace xmppd
