// The simulated network: connections in memory, and the poller that knows when they are ready.
//
// Bytes travel in fragments with seeded delays, in order, through a window of limited size, so that
// writers see short writes and readers see every split. A connection may be cut (both ends see a
// reset) or go silent (nothing arrives any more, nobody is told). Waiting never moves the clock:
// the world does.
//
// Thread-safety: one thread. Invariants: (1) bytes of one direction arrive in order, once. (2)
// Equal seeds and equal calls give equal deliveries. (3) An edge is announced for every arrival, as
// epoll would.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "xmpp/base/random.h"
#include "xmpp/base/time.h"
#include "xmpp/net/poller.h"

namespace sim {

using xmpp::Duration;
using xmpp::Instant;

// How a connection behaves; both directions alike.
struct LinkQuality {
  Duration delay_min{200};
  Duration delay_max{2'000};
  std::size_t fragment_max = 0;     // 0: writes stay whole; else fragments of 1..fragment_max bytes
  std::size_t window = 256 * 1024;  // bytes under way or unread before writes are short
};

class SimChannel;
class SimPoller;

class SimNet {
 public:
  SimNet(xmpp::Clock& clock, std::uint64_t seed) : clock_(clock), rng_(seed) {}

  struct Ends {
    std::unique_ptr<SimChannel> client;
    std::unique_ptr<SimChannel> server;
  };
  // `client_address` is what the server sees as its peer's address.
  [[nodiscard]] Ends connect(std::string client_address, const LinkQuality& quality);
  // Every connection breaks.
  void cut_all();
  // The earliest arrival that lies in the future; kNever if nothing is under way.
  [[nodiscard]] Instant next_arrival() const noexcept;
  [[nodiscard]] Instant now() const noexcept { return clock_.now(); }

 private:
  friend class SimChannel;
  struct Fragment {
    Instant at;
    std::string bytes;
    bool is_end = false;
  };
  // One direction.
  struct Pipe {
    std::deque<Fragment> under_way;
    std::string arrived;
    std::size_t unread = 0;  // under way and arrived together
    bool is_ended = false;   // the writer has said so
    bool has_arrived_end = false;
    bool was_full = false;  // the writer waits for room
    SimChannel* reader = nullptr;
    SimChannel* writer = nullptr;
  };
  struct Connection {
    LinkQuality quality;
    Pipe up;    // client to server
    Pipe down;  // server to client
    bool is_cut = false;
    bool is_silent = false;
  };
  void send(Connection& connection, Pipe& pipe, std::string_view bytes);
  void end(Connection& connection, Pipe& pipe);
  static void cut(Connection& connection);
  [[nodiscard]] Instant arrival_time(Connection& connection, const Pipe& pipe);
  static void settle(Pipe& pipe, Instant now);

  xmpp::Clock& clock_;
  xmpp::SeededRng rng_;
  std::vector<std::weak_ptr<Connection>> connections_;
};

class SimChannel final : public xmpp::net::ByteChannel {
 public:
  ~SimChannel() override;
  xmpp::net::IoResult read(std::span<char> into) noexcept override;
  xmpp::net::IoResult writev(std::span<const iovec> parts) noexcept override;
  void shutdown_write() noexcept override;
  [[nodiscard]] int fd() const noexcept override { return -1; }
  [[nodiscard]] std::string peer_address() const override { return peer_address_; }

  // The connection breaks: both ends see a reset, what was under way is lost.
  void cut();
  // Nothing arrives any more, in either direction, and nobody is told.
  void silence();
  [[nodiscard]] const std::string& address() const noexcept { return peer_address_; }
  // What this end has read so far, when it last did, and when the connection was made.
  [[nodiscard]] std::uint64_t bytes_read() const noexcept { return bytes_read_; }
  [[nodiscard]] Instant last_read() const noexcept { return last_read_; }
  [[nodiscard]] Instant made_at() const noexcept { return made_at_; }

 private:
  friend class SimNet;
  friend class SimPoller;
  SimChannel(SimNet& net, std::shared_ptr<SimNet::Connection> connection, SimNet::Pipe& in,
             SimNet::Pipe& out, std::string peer_address);
  // What has become ready since the last call.
  [[nodiscard]] xmpp::net::Readiness take_edges();
  [[nodiscard]] bool has_edges() const noexcept;

  SimNet& net_;
  std::shared_ptr<SimNet::Connection> connection_;
  SimNet::Pipe& in_;
  SimNet::Pipe& out_;
  std::string peer_address_;
  const Instant made_at_;
  Instant last_read_;
  std::uint64_t bytes_read_ = 0;
  SimPoller* poller_ = nullptr;
  xmpp::net::Watch* watch_ = nullptr;
  bool is_writable_edge_ = true;
  bool is_cut_told_ = false;
  bool is_end_told_ = false;
};

class SimPoller final : public xmpp::net::Poller {
 public:
  void watch(xmpp::net::ByteChannel& channel, xmpp::net::Watch& watch) override;
  void watch_fd(int fd, xmpp::net::Watch& watch) override;
  void unwatch(xmpp::net::ByteChannel& channel) noexcept override;
  void unwatch_fd(int) noexcept override {}
  void wait(Instant now, Instant deadline, std::vector<xmpp::net::Fired>& out) override;
  void wake() noexcept override { is_woken_ = true; }

  // Would wait() report something now?
  [[nodiscard]] bool is_ready() const noexcept;

 private:
  friend class SimChannel;
  std::vector<SimChannel*>
      channels_;  // in the order of watch(): addresses would not be reproducible
  bool is_woken_ = false;
};

}  // namespace sim
