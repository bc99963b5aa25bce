#include "sim/sim_net.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "xmpp/base/assert.h"

namespace sim {

using xmpp::net::IoResult;
using xmpp::net::Readiness;

Duration KernelTimes::longest() const noexcept {
  if (keepalive == Duration::zero() || unacknowledged == Duration::zero()) return Duration::max();
  return std::max(keepalive + keepalive / 3, unacknowledged) + unacknowledged;
}

// As Linux does it: while something is unacknowledged only that counts, and nothing is probed; the
// time that sent bytes may stay unacknowledged also shortens the probing.
Instant SimNet::Connection::broken_at() const noexcept {
  if (!is_silent) return xmpp::kNever;
  const bool is_limited = times.unacknowledged != Duration::zero();
  if (unacknowledged_since != xmpp::kNever) {
    return is_limited ? unacknowledged_since + times.unacknowledged : xmpp::kNever;
  }
  if (times.keepalive == Duration::zero()) return xmpp::kNever;
  return silent_since + (is_limited
                             ? std::max(times.keepalive + times.keepalive / 3, times.unacknowledged)
                             : 2 * times.keepalive);
}

SimNet::Ends SimNet::connect(std::string client_address, const LinkQuality& quality,
                             const KernelTimes& times) {
  auto connection = std::make_shared<Connection>();
  connection->quality = quality;
  connection->times = times;
  std::erase_if(connections_, [](const auto& old) { return old.expired(); });
  connections_.push_back(connection);
  Ends ends;
  ends.client.reset(
      new SimChannel(*this, connection, connection->down, connection->up, "192.0.2.1:5222"));
  ends.server.reset(new SimChannel(*this, connection, connection->up, connection->down,
                                   std::move(client_address)));
  return ends;
}

Instant SimNet::next_arrival() const noexcept {
  Instant next = xmpp::kNever;
  for (const auto& weak : connections_) {
    const auto connection = weak.lock();
    if (!connection || connection->is_cut) continue;
    if (connection->is_silent) {
      const Instant broken_at = connection->broken_at();
      if (broken_at > now()) next = std::min(next, broken_at);
      continue;
    }
    for (const Pipe* pipe : {&connection->up, &connection->down}) {
      for (const Fragment& fragment : pipe->under_way) {
        if (fragment.at <= now()) continue;
        next = std::min(next, fragment.at);
        break;  // fragments of one pipe are in order of arrival
      }
    }
  }
  return next;
}

Instant SimNet::arrival_time(Connection& connection, const Pipe& pipe) {
  const auto& quality = connection.quality;
  const auto spread = static_cast<std::uint64_t>((quality.delay_max - quality.delay_min).count());
  const Duration delay =
      quality.delay_min + Duration(static_cast<Duration::rep>(rng_.below(spread + 1)));
  const Instant earliest = pipe.under_way.empty() ? Instant{} : pipe.under_way.back().at;
  return std::max(now() + delay, earliest);
}

void SimNet::send(Connection& connection, Pipe& pipe, std::string_view bytes) {
  pipe.unread += bytes.size();
  const auto fragment_max = connection.quality.fragment_max;
  while (!bytes.empty()) {
    std::size_t size = bytes.size();
    if (fragment_max != 0) size = std::min<std::size_t>(size, 1 + rng_.below(fragment_max));
    pipe.under_way.push_back({arrival_time(connection, pipe), std::string(bytes.substr(0, size))});
    bytes.remove_prefix(size);
  }
}

void SimNet::end(Connection& connection, Pipe& pipe) {
  if (pipe.is_ended) return;
  pipe.is_ended = true;
  pipe.under_way.push_back({arrival_time(connection, pipe), {}, true});
}

void SimNet::cut(Connection& connection) {
  connection.is_cut = true;
  for (Pipe* pipe : {&connection.up, &connection.down}) {
    pipe->under_way.clear();
    pipe->arrived.clear();
    pipe->unread = 0;
  }
}

void SimNet::cut_all() {
  for (const auto& weak : connections_) {
    if (const auto connection = weak.lock()) cut(*connection);
  }
}

void SimNet::settle(Pipe& pipe, Instant now) {
  while (!pipe.under_way.empty() && pipe.under_way.front().at <= now) {
    pipe.arrived += pipe.under_way.front().bytes;
    if (pipe.under_way.front().is_end) pipe.has_arrived_end = true;
    pipe.under_way.pop_front();
  }
}

// SimChannel
// ---------------------------------------------------------------------------------------------

SimChannel::SimChannel(SimNet& net, std::shared_ptr<SimNet::Connection> connection,
                       SimNet::Pipe& in, SimNet::Pipe& out, std::string peer_address)
    : net_(net),
      connection_(std::move(connection)),
      in_(in),
      out_(out),
      peer_address_(std::move(peer_address)),
      made_at_(net.now()),
      last_read_(made_at_) {
  in_.reader = this;
  out_.writer = this;
}

SimChannel::~SimChannel() {
  if (poller_ != nullptr) poller_->unwatch(*this);
  // As the kernel does it: a socket closed with unread input resets the connection.
  if (in_.unread != 0 && !connection_->is_silent) {
    cut();
  } else {
    shutdown_write();
  }
  in_.reader = nullptr;
  out_.writer = nullptr;
}

IoResult SimChannel::read(std::span<char> into) noexcept {
  if (is_broken()) return {IoResult::Status::failed, 0, ECONNRESET};
  if (in_.arrived.empty()) {
    if (in_.has_arrived_end) return {IoResult::Status::closed, 0, 0};
    return {IoResult::Status::would_block, 0, 0};
  }
  const std::size_t count = std::min(into.size(), in_.arrived.size());
  if (count == 0) return {IoResult::Status::ok, 0, 0};
  std::memcpy(into.data(), in_.arrived.data(), count);
  in_.arrived.erase(0, count);
  in_.unread -= count;
  bytes_read_ += count;
  last_read_ = net_.now();
  if (in_.was_full && in_.writer != nullptr) {
    in_.was_full = false;
    in_.writer->is_writable_edge_ = true;
  }
  return {IoResult::Status::ok, count, 0};
}

IoResult SimChannel::writev(std::span<const iovec> parts) noexcept {
  if (is_broken()) return {IoResult::Status::failed, 0, ECONNRESET};
  if (out_.is_ended) return {IoResult::Status::closed, 0, EPIPE};
  if (out_.reader == nullptr && !connection_->is_silent) {
    return {IoResult::Status::closed, 0, EPIPE};
  }
  std::size_t room =
      connection_->quality.window - std::min(connection_->quality.window, out_.unread);
  std::string bytes;
  std::size_t offered = 0;
  for (const iovec& part : parts) {
    offered += part.iov_len;
    const std::size_t fits = std::min(room, part.iov_len);
    bytes.append(static_cast<const char*>(part.iov_base), fits);
    room -= fits;
  }
  if (bytes.size() < offered) out_.was_full = true;
  if (bytes.empty() && offered != 0) return {IoResult::Status::would_block, 0, 0};
  net_.send(*connection_, out_, bytes);
  if (connection_->is_silent && connection_->unacknowledged_since == xmpp::kNever) {
    connection_->unacknowledged_since = net_.now();
  }
  return {IoResult::Status::ok, bytes.size(), 0};
}

void SimChannel::shutdown_write() noexcept {
  if (!connection_->is_cut) net_.end(*connection_, out_);
}

void SimChannel::cut() {
  SimNet::cut(*connection_);
}

void SimChannel::silence() {
  ++net_.silences_;
  connection_->is_silent = true;
  connection_->silent_since = net_.now();
  // (What has arrived is acknowledged, read or not.)
  if (!in_.under_way.empty()) connection_->unacknowledged_since = net_.now();
}

Instant SimChannel::silent_since() const noexcept {
  return connection_->is_silent ? connection_->silent_since : xmpp::kNever;
}

// (The client's end of a silent connection is gone.)
bool SimChannel::is_broken() const noexcept {
  return connection_->is_cut || net_.now() >= connection_->broken_at();
}

bool SimChannel::has_edges() const noexcept {
  if (is_broken()) return !is_cut_told_;
  if (is_writable_edge_) return true;
  if (connection_->is_silent) return false;
  if (in_.has_arrived_end && !is_end_told_) return true;
  return !in_.under_way.empty() && in_.under_way.front().at <= net_.now();
}

Readiness SimChannel::take_edges() {
  if (is_broken()) {
    if (is_cut_told_) return Readiness::none;
    is_cut_told_ = true;
    return Readiness::readable | Readiness::hangup;
  }
  auto edges = Readiness::none;
  if (is_writable_edge_) edges = edges | Readiness::writable;
  is_writable_edge_ = false;
  if (connection_->is_silent) return edges;
  const bool has_news = !in_.under_way.empty() && in_.under_way.front().at <= net_.now();
  SimNet::settle(in_, net_.now());
  if (has_news) edges = edges | Readiness::readable;
  // A peer that shut down its half is EPOLLRDHUP, which the pollers report as hangup too.
  if (in_.has_arrived_end && !is_end_told_) {
    is_end_told_ = true;
    edges = edges | Readiness::readable | Readiness::hangup;
  }
  return edges;
}

// SimPoller
// ----------------------------------------------------------------------------------------------

void SimPoller::watch(xmpp::net::ByteChannel& channel, xmpp::net::Watch& watch) {
  auto& simulated = static_cast<SimChannel&>(channel);
  simulated.poller_ = this;
  simulated.watch_ = &watch;
  simulated.is_writable_edge_ = true;
  // What has arrived already is told again, as EPOLL_CTL_ADD does.
  if (!simulated.in_.arrived.empty()) simulated.in_.under_way.push_front({Instant{}, {}, false});
  simulated.is_cut_told_ = false;
  simulated.is_end_told_ = false;
  channels_.push_back(&simulated);
}

void SimPoller::watch_fd(int, xmpp::net::Watch&) {
  XMPP_ASSERT(false && "no file descriptors in the simulator");
}

void SimPoller::unwatch(xmpp::net::ByteChannel& channel) noexcept {
  auto& simulated = static_cast<SimChannel&>(channel);
  simulated.poller_ = nullptr;
  simulated.watch_ = nullptr;
  std::erase(channels_, &simulated);
}

void SimPoller::wait(Instant, Instant, std::vector<xmpp::net::Fired>& out) {
  is_woken_ = false;
  for (SimChannel* channel : channels_) {
    const auto edges = channel->take_edges();
    if (edges != Readiness::none) out.push_back({channel->watch_, edges});
  }
}

bool SimPoller::is_ready() const noexcept {
  return is_woken_ || std::any_of(channels_.begin(), channels_.end(),
                                  [](const SimChannel* channel) { return channel->has_edges(); });
}

}  // namespace sim
