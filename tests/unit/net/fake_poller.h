// A Poller without an operating system: tests say which watch fires; waiting moves a ManualClock.
//
// Thread-safety: one thread.
#pragma once

#include <algorithm>
#include <vector>

#include "xmpp/base/time.h"
#include "xmpp/net/poller.h"

namespace xmpp::net {

class FakePoller final : public Poller {
 public:
  explicit FakePoller(ManualClock& clock) : clock_(clock) {}
  void watch(ByteChannel& channel, Watch& watch) override {
    watched_.push_back({&channel, -1, &watch});
  }
  void watch_fd(int fd, Watch& watch) override { watched_.push_back({nullptr, fd, &watch}); }
  void unwatch(ByteChannel& channel) noexcept override {
    std::erase_if(watched_, [&](const Entry& entry) { return entry.channel == &channel; });
  }
  void unwatch_fd(int fd) noexcept override {
    std::erase_if(watched_, [&](const Entry& entry) { return entry.fd == fd; });
  }
  void wait(Instant now, Instant deadline, std::vector<Fired>& out) override {
    last_deadline = deadline;
    out.insert(out.end(), ready_.begin(), ready_.end());
    const bool idle = ready_.empty() && !std::exchange(woken_, false);
    ready_.clear();
    if (idle && deadline > now && deadline != kNever) clock_.advance(deadline - now);
  }
  void wake() noexcept override {
    woken_ = true;
    ++wakes;
  }

  void fire(Watch& watch, Readiness readiness = Readiness::readable) {
    ready_.push_back({&watch, readiness});
  }
  [[nodiscard]] std::size_t watched() const noexcept { return watched_.size(); }

  Instant last_deadline{};
  int wakes = 0;

 private:
  struct Entry {
    ByteChannel* channel;
    int fd;
    Watch* watch;
  };
  ManualClock& clock_;
  std::vector<Entry> watched_;
  std::vector<Fired> ready_;
  bool woken_ = false;
};

}  // namespace xmpp::net
