// The simulated network: connections in memory, and the poller that knows when they are ready.
//
// Bytes travel in fragments with seeded delays, in order, through a window of limited size, so that
// writers see short writes and readers see every split. A connection may be cut (both ends see a
// reset) or go silent (half-open: the client's machine is gone, nothing arrives any more and nobody
// is told, but that the kernel of the server gives up when KernelTimes say). Waiting never moves
// the clock: the world does.
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

// When the server's kernel gives up a peer that has gone silent (set_dead_peer_timeout() of
// xmpp/net/socket.h); 0: never.
struct KernelTimes {
  Duration keepalive{};       // silence before the first of three probes, which take as long again
  Duration unacknowledged{};  // of what was sent, or of silence that was probed
  // The longest that may take, also if something is sent meanwhile; kNever's distance if for ever.
  [[nodiscard]] Duration longest() const noexcept;
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
  [[nodiscard]] Ends connect(std::string client_address, const LinkQuality& quality,
                             const KernelTimes& times = {});
  // Every connection breaks.
  void cut_all();
  // The earliest arrival that lies in the future; kNever if nothing is under way.
  [[nodiscard]] Instant next_arrival() const noexcept;
  [[nodiscard]] Instant now() const noexcept { return clock_.now(); }
  // How many connections went silent.
  [[nodiscard]] std::uint64_t silences() const noexcept { return silences_; }

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
    KernelTimes times;
    bool is_cut = false;
    bool is_silent = false;
    Instant silent_since{};
    Instant unacknowledged_since = xmpp::kNever;  // of what the server sent to who is silent

    // When the server's kernel breaks it, as things are.
    [[nodiscard]] Instant broken_at() const noexcept;
  };
  void send(Connection& connection, Pipe& pipe, std::string_view bytes);
  void end(Connection& connection, Pipe& pipe);
  static void cut(Connection& connection);
  [[nodiscard]] Instant arrival_time(Connection& connection, const Pipe& pipe);
  static void settle(Pipe& pipe, Instant now);

  xmpp::Clock& clock_;
  xmpp::SeededRng rng_;
  std::vector<std::weak_ptr<Connection>> connections_;
  std::uint64_t silences_ = 0;
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
  // Nothing arrives any more, in either direction, and nobody is told. Of the client's end, which
  // is to be destroyed.
  void silence();
  // Since when; kNever: it is not.
  [[nodiscard]] Instant silent_since() const noexcept;
  [[nodiscard]] const KernelTimes& times() const noexcept { return connection_->times; }
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
  [[nodiscard]] bool is_broken() const noexcept;

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
