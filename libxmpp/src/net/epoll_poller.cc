// The Poller of the real programs. A channel is registered once, edge-triggered, for everything
// that we may ever want to know, so no message costs an epoll_ctl.
//
// Thread-safety: as Poller. Invariants: (1) `fds` in the kernel's set are owned by their watchers.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <ctime>

#include "xmpp/base/assert.h"
#include "xmpp/net/poller.h"

namespace xmpp::net {
namespace {

constexpr std::size_t kEventsMax = 512;

Readiness readiness_of(std::uint32_t events) noexcept {
  Readiness readiness = Readiness::none;
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
    readiness = readiness | Readiness::readable;
  }
  if ((events & EPOLLOUT) != 0) readiness = readiness | Readiness::writable;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) readiness = readiness | Readiness::hangup;
  return readiness;
}

class EpollPoller final : public Poller {
 public:
  EpollPoller()
      : epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    XMPP_ASSERT(epoll_ >= 0 && wake_ >= 0);
    // Edge-triggered too: every write is an edge, so the counter need never be read back.
    add(wake_, EPOLLIN | EPOLLET, nullptr);
  }
  ~EpollPoller() override {
    ::close(wake_);
    ::close(epoll_);
  }

  void watch(ByteChannel& channel, Watch& watch) override {
    add(channel.fd(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, &watch);
  }
  void watch_fd(int fd, Watch& watch) override { add(fd, EPOLLIN, &watch); }
  void unwatch(ByteChannel& channel) noexcept override { remove(channel.fd()); }
  void unwatch_fd(int fd) noexcept override { remove(fd); }

  void wait(Instant now, Instant deadline, std::vector<Fired>& out) override {
    const int count = wait_for_events(now, deadline);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events_[static_cast<std::size_t>(i)];
      if (event.data.ptr == nullptr) continue;  // wake()
      out.push_back({static_cast<Watch*>(event.data.ptr), readiness_of(event.events)});
    }
  }

  void wake() noexcept override {
    const std::uint64_t one = 1;
    // Fails only if 2^64 wakes were never read, and then an edge is pending anyway.
    [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
  }

 private:
  void add(int fd, std::uint32_t events, Watch* watch) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = watch;
    XMPP_ASSERT(::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) == 0);
  }
  void remove(int fd) noexcept { ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr); }

  int wait_for_events(Instant now, Instant deadline) noexcept {
    const auto size = static_cast<int>(events_.size());
    int count = 0;
    if (deadline <= now) {
      count = ::epoll_wait(epoll_, events_.data(), size, 0);
    } else if (deadline == kNever) {
      count = ::epoll_wait(epoll_, events_.data(), size, -1);
    } else {
      count = wait_at_most(deadline - now, size);
    }
    XMPP_ASSERT(count >= 0 || errno == EINTR);
    return std::max(count, 0);
  }

  int wait_at_most(Duration time, int size) noexcept {
    if (has_pwait2_) {
      const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
      timespec timeout{};
      timeout.tv_sec = static_cast<time_t>(seconds.count());
      timeout.tv_nsec = static_cast<long>(std::chrono::nanoseconds(time - seconds).count());
      const int count = ::epoll_pwait2(epoll_, events_.data(), size, &timeout, nullptr);
      if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
      has_pwait2_ = false;  // kernels before 5.11, strict sandboxes: milliseconds must do
    }
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(time).count();
    constexpr std::int64_t kLongest = 3'600'000;
    return ::epoll_wait(epoll_, events_.data(), size,
                        static_cast<int>(std::min<std::int64_t>(ms, kLongest)));
  }

  int epoll_;
  int wake_;
  bool has_pwait2_ = true;
  std::array<epoll_event, kEventsMax> events_;
};

}  // namespace

std::unique_ptr<Poller> make_epoll_poller() {
  return std::make_unique<EpollPoller>();
}

}  // namespace xmpp::net
