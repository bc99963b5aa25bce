// A network in memory: channels, the poller that knows their readiness, and a connector that obeys
// the test. Waiting moves a ManualClock.
//
// Thread-safety: one thread (wake() excepted, which nobody needs here).
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "xmpp/base/time.h"
#include "xmpp/net/poller.h"
#include "xmpp/net/socket.h"

namespace xmpp::net {

class MemoryPoller;

class MemoryChannel final : public ByteChannel {
 public:
  explicit MemoryChannel(MemoryPoller& poller) : poller_(poller) {}
  ~MemoryChannel() override;
  static void join(MemoryChannel& a, MemoryChannel& b) {
    a.peer_ = &b;
    b.peer_ = &a;
  }
  IoResult read(std::span<char> into) noexcept override {
    ++reads;
    if (in_.empty()) {
      return {ended_ ? IoResult::Status::closed : IoResult::Status::would_block, 0, 0};
    }
    const std::size_t count = std::min({into.size(), in_.size(), read_max});
    std::memcpy(into.data(), in_.data(), count);
    in_.erase(0, count);
    return {IoResult::Status::ok, count, 0};
  }
  IoResult writev(std::span<const iovec> parts) noexcept override;
  void shutdown_write() noexcept override;
  [[nodiscard]] int fd() const noexcept override { return -1; }
  [[nodiscard]] std::string peer_address() const override { return "memory"; }

  // Lets the other side write on after its writes were short.
  void drained();

  std::size_t capacity = SIZE_MAX;  // bytes that fit into our input before writes are short
  std::size_t read_max = SIZE_MAX;
  int reads = 0;
  int writes = 0;
  int connect_code = 0;

 private:
  MemoryPoller& poller_;
  MemoryChannel* peer_ = nullptr;
  std::string in_;
  bool ended_ = false;
};

class MemoryPoller final : public Poller {
 public:
  explicit MemoryPoller(ManualClock& clock) : clock_(clock) {}
  void watch(ByteChannel& channel, Watch& watch) override { channels_[&channel].watch = &watch; }
  void watch_fd(int, Watch&) override { ADD_FAILURE() << "no descriptors here"; }
  void unwatch(ByteChannel& channel) noexcept override { channels_[&channel].watch = nullptr; }
  void unwatch_fd(int) noexcept override {}
  void wait(Instant now, Instant deadline, std::vector<Fired>& out) override {
    for (auto& [channel, state] : channels_) {
      if (state.watch == nullptr || state.pending == Readiness::none) continue;
      out.push_back({state.watch, std::exchange(state.pending, Readiness::none)});
    }
    if (out.empty() && deadline > now && deadline != kNever) clock_.advance(deadline - now);
  }
  void wake() noexcept override {}

  void signal(const ByteChannel& channel, Readiness readiness) {
    auto& state = channels_[&channel];
    state.pending = state.pending | readiness;
  }
  void forget(const ByteChannel& channel) { channels_.erase(&channel); }
  [[nodiscard]] bool is_quiet() const {
    return std::none_of(channels_.begin(), channels_.end(), [](const auto& item) {
      return item.second.watch != nullptr && item.second.pending != Readiness::none;
    });
  }
  [[nodiscard]] std::size_t watched() const {
    return static_cast<std::size_t>(
        std::count_if(channels_.begin(), channels_.end(),
                      [](const auto& item) { return item.second.watch != nullptr; }));
  }

 private:
  struct State {
    Watch* watch = nullptr;
    Readiness pending = Readiness::none;
  };
  ManualClock& clock_;
  std::map<const ByteChannel*, State> channels_;
};

inline MemoryChannel::~MemoryChannel() {
  shutdown_write();
  if (peer_ != nullptr) peer_->peer_ = nullptr;
  poller_.forget(*this);
}

inline IoResult MemoryChannel::writev(std::span<const iovec> parts) noexcept {
  ++writes;
  if (peer_ == nullptr || peer_->ended_) return {IoResult::Status::closed, 0, EPIPE};
  std::size_t count = 0;
  for (const iovec& part : parts) {
    const std::size_t room = peer_->capacity - std::min(peer_->capacity, peer_->in_.size());
    const std::size_t fits = std::min(room, part.iov_len);
    peer_->in_.append(static_cast<const char*>(part.iov_base), fits);
    count += fits;
    if (fits < part.iov_len) break;
  }
  if (count == 0) return {IoResult::Status::would_block, 0, 0};
  poller_.signal(*peer_, Readiness::readable);
  return {IoResult::Status::ok, count, 0};
}

inline void MemoryChannel::shutdown_write() noexcept {
  if (peer_ == nullptr || peer_->ended_) return;
  peer_->ended_ = true;
  poller_.signal(*peer_, Readiness::readable | Readiness::hangup);
}

inline void MemoryChannel::drained() {
  if (peer_ != nullptr) poller_.signal(*peer_, Readiness::writable);
}

// What happens to those who connect, by address; accepted connections wait in `accepted`.
class MemoryConnector final : public Connector {
 public:
  enum class Behaviour { accept, refuse_at_once, refuse, hang };
  explicit MemoryConnector(MemoryPoller& poller) : poller_(poller) {}

  Result<std::unique_ptr<ByteChannel>, SocketError> start(
      const std::string& address, const std::string& local_address) override {
    started.push_back(address);
    last_local_address = local_address;
    const Behaviour what = behaviour.contains(address) ? behaviour[address] : Behaviour::accept;
    if (what == Behaviour::refuse_at_once)
      return Err(SocketError{ENETUNREACH, "connect " + address});
    auto channel = std::make_unique<MemoryChannel>(poller_);
    if (what == Behaviour::refuse) {
      channel->connect_code = ECONNREFUSED;
      poller_.signal(*channel, Readiness::hangup | Readiness::readable);
    } else if (what == Behaviour::accept) {
      auto server = std::make_unique<MemoryChannel>(poller_);
      MemoryChannel::join(*channel, *server);
      poller_.signal(*channel, Readiness::writable);
      accepted.push_back(std::move(server));
    }
    return std::unique_ptr<ByteChannel>(std::move(channel));
  }
  int result(const ByteChannel& channel) noexcept override {
    return static_cast<const MemoryChannel&>(channel).connect_code;
  }

  std::map<std::string, Behaviour> behaviour;
  std::vector<std::string> started;
  std::string last_local_address;
  std::deque<std::unique_ptr<MemoryChannel>> accepted;

 private:
  MemoryPoller& poller_;
};

}  // namespace xmpp::net
