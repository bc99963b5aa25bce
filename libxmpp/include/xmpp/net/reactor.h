// Reactor: the event loop of one thread, in turns. One turn is
//   1. wait in the poller (not at all if there is work left),  2. handlers of ready channels,
//   3. mail, up to a budget,  4. timers,  5. end-of-turn calls (publish outboxes),
//   6. flush everything that was marked dirty, once.
// Steps 2, 3 and 6 have a slice of time each; what does not fit is done in the next turn, which
// does not wait, before what is new. Nothing writes to a socket outside step 6. The same loop
// drives server workers, clients and xmppbench; in the simulator somebody else calls turn().
//
// Thread-safety: post(), stop() and load figures any thread; everything else the loop's thread
// only. Invariants: (1) now() does not change within a turn's step. (2) A Flushable is flushed at
// most once a turn. (3) A watch removed during dispatch gets no further event. (4) A turn that has
// work left (mail, read_again, dirty) does not wait.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
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

// What a turn may last: the slices of its parts, and as much again for the last handler of each.
inline constexpr Duration kTurnBudget = std::chrono::milliseconds(50);

// How long the parts of a turn may go on before the rest waits for the next one, and one handler
// that asks. What is patient has a slice of its own, so that others do not starve it.
struct TurnSlices {
  Duration prompt = std::chrono::milliseconds(10);
  Duration patient = std::chrono::milliseconds(3);
  Duration handler = std::chrono::milliseconds(1);
  Duration mail = std::chrono::milliseconds(10);
  Duration flush = std::chrono::milliseconds(15);
};

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
  // Calls the watch again in the next turn as if readable: its handler stopped at its budget. It
  // counts as patient then: who wants much waits for who wants little.
  void read_again(Watch& watch);

  // For tests: with slices of nothing, everything that can wait does.
  void set_slices(const TurnSlices& slices) noexcept { slices_ = slices; }
  // Has the handler that runs used its slice? One that may take long asks, and goes on another
  // time.
  [[nodiscard]] bool is_slice_over() noexcept { return clock_.now() >= slice_end_; }

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
    return has_work() ? Instant{} : timers_.next_deadline();
  }

  // Called in step 5 of every turn, in order of registration; for outboxes. Not removable.
  void at_end_of_turn(std::function<void()> call);

  // Turns so far; mails run so far.
  [[nodiscard]] std::uint64_t turns() const noexcept { return turns_; }
  [[nodiscard]] std::uint64_t mails() const noexcept { return mails_; }
  // The longest turn so far without its wait, and how many were longer than kTurnBudget; of the
  // time in which the thread had a processor. Any thread.
  [[nodiscard]] Duration longest_turn() const noexcept {
    return Duration(longest_turn_us_.load(std::memory_order_relaxed));
  }
  [[nodiscard]] std::uint64_t late_turns() const noexcept {
    return late_turns_.load(std::memory_order_relaxed);
  }

 private:
  void poll(Instant latest);
  void sort_fired();
  void dispatch(std::vector<Watch*>& ready, Duration slice);
  void run_mail();
  void flush_dirty();
  void measure(Instant begun);
  [[nodiscard]] bool has_work() const noexcept {
    return backlog_ != nullptr || !prompt_.empty() || !patient_.empty() || !again_.empty() ||
           !dirty_.empty();
  }
  void forget(Watch& watch) noexcept;

  Poller& poller_;
  Clock& clock_;
  Instant now_;
  TimerWheel timers_;
  Mailbox mailbox_;
  Mail* backlog_ = nullptr;   // taken, beyond the budget of the last turn; oldest first
  std::vector<Fired> fired_;  // of this turn's wait
  // To be called in this turn, or left over from the last one; null if unwatched meanwhile.
  std::vector<Watch*> prompt_;
  std::vector<Watch*> patient_;
  std::vector<Watch*> again_;  // asked for by read_again()
  TurnSlices slices_;
  Instant slice_end_{};
  std::unique_ptr<char[]> read_buffer_;
  IntrusiveList<Flushable> dirty_;
  // A call may register another, so they must stay where they are.
  std::deque<std::function<void()>> end_of_turn_;
  std::atomic<bool> stopping_{false};
  std::uint64_t turns_ = 0;
  std::uint64_t mails_ = 0;
  std::atomic<Duration::rep> longest_turn_us_{0};
  std::atomic<std::uint64_t> late_turns_{0};
  Duration cpu_mark_{};  // the thread's processor time, and when it was looked at
  Instant cpu_marked_at_{};
};

}  // namespace xmpp::net
