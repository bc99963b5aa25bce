// Reactor: the event loop of one thread, in turns. One turn is
//   1. wait in the poller (not at all if there is work left),  2. handlers of ready channels,
//   3. mail, up to a budget,  4. timers,  5. end-of-turn calls (publish outboxes),
//   6. flush everything that was marked dirty, once.
// Nothing writes to a socket outside step 6. The same loop drives server workers, clients and
// xmppbench; in the simulator somebody else calls turn().
//
// Thread-safety: post(), stop() and load figures any thread; everything else the loop's thread
// only. Invariants: (1) now() does not change within a turn's step. (2) A Flushable is flushed at
// most once a turn. (3) A watch removed during dispatch gets no further event. (4) A turn that has
// work left (mail, read_again, dirty) does not wait.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "xmpp/base/intrusive_list.h"
#include "xmpp/base/time.h"
#include "xmpp/base/timer_wheel.h"
#include "xmpp/net/mailbox.h"
#include "xmpp/net/poller.h"

namespace xmpp::net {

// Something with output to send at the end of the turn.
class Flushable : public ListHook<> {
 public:
  using Flush = void (*)(Flushable* self);
  explicit Flushable(Flush flush) noexcept : flush_(flush) {}

 private:
  friend class Reactor;
  Flush flush_;
};

class Reactor {
 public:
  // Both must outlive the reactor.
  Reactor(Poller& poller, Clock& clock);
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  // Runs turns until stop().
  void run();
  // One turn; waits at most until `latest` (kNever: as long as it takes).
  void turn(Instant latest = kNever);
  // Any thread; run() returns after the turn in progress.
  void stop() noexcept;

  [[nodiscard]] Instant now() const noexcept { return now_; }
  [[nodiscard]] Timestamp wall() noexcept { return clock_.wall(); }
  [[nodiscard]] Clock& clock() noexcept { return clock_; }
  [[nodiscard]] TimerWheel& timers() noexcept { return timers_; }

  void watch(ByteChannel& channel, Watch& watch);
  void watch_fd(int fd, Watch& watch);
  void unwatch(ByteChannel& channel, Watch& watch) noexcept;
  void unwatch_fd(int fd, Watch& watch) noexcept;
  // Calls the watch again in the next turn as if readable: its handler stopped at its budget.
  void read_again(Watch& watch);

  // Scratch memory for one read: valid until the next handler runs. 64 KiB, one for the whole
  // reactor, so that idle connections hold no input buffer.
  [[nodiscard]] std::span<char> read_buffer();

  // Flush at the end of this turn (of the next, if called by a flush). Idempotent within a turn.
  void mark_dirty(Flushable& flushable) noexcept;

  // Any thread: publishes one mail and wakes the loop if it sleeps. Mail posted by one thread runs
  // in order.
  void post(Mail* mail) noexcept;
  // The same for a chain (newest to oldest), for outboxes.
  void post_chain(Mail* newest, Mail* oldest, std::size_t count) noexcept;
  template <typename F>
  void call(F&& function) {
    post(make_mail(std::forward<F>(function)));
  }
  // Mails that wait. Any thread.
  [[nodiscard]] std::size_t mail_depth() const noexcept { return mailbox_.depth(); }

  // When a turn is due though neither poller nor mailbox have news: at once (the past) if the last
  // one left work, else at the next timer; kNever if there is none. For who calls turn() itself.
  [[nodiscard]] Instant next_turn() const noexcept {
    const bool work_left = backlog_ != nullptr || !again_.empty() || !dirty_.empty();
    return work_left ? Instant{} : timers_.next_deadline();
  }

  // Called in step 5 of every turn, in order of registration; for outboxes. Not removable.
  void at_end_of_turn(std::function<void()> call);

  // Turns so far; mails run so far.
  [[nodiscard]] std::uint64_t turns() const noexcept { return turns_; }
  [[nodiscard]] std::uint64_t mails() const noexcept { return mails_; }

 private:
  void poll(Instant latest);
  void dispatch();
  void run_mail();
  void flush_dirty();
  void forget(Watch& watch) noexcept;

  Poller& poller_;
  Clock& clock_;
  Instant now_;
  TimerWheel timers_;
  Mailbox mailbox_;
  Mail* backlog_ = nullptr;  // taken, beyond the budget of the last turn; oldest first
  std::vector<Fired> fired_;
  std::vector<Watch*> again_;
  std::unique_ptr<char[]> read_buffer_;
  IntrusiveList<Flushable> dirty_;
  std::vector<std::function<void()>> end_of_turn_;
  std::atomic<bool> stopping_{false};
  std::uint64_t turns_ = 0;
  std::uint64_t mails_ = 0;
};

}  // namespace xmpp::net
