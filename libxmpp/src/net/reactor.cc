#include "xmpp/net/reactor.h"

#include <algorithm>
#include <cstddef>
#include <ctime>

#include "xmpp/base/assert.h"

namespace xmpp::net {
namespace {

// Mails run in one turn; what is left waits until links had their turn.
constexpr std::size_t kMailsPerTurn = 2048;
// Mails and flushes between two looks at the clock.
constexpr std::size_t kMailsPerLook = 32;
constexpr std::size_t kFlushesPerLook = 8;
constexpr Duration kCpuLook = std::chrono::milliseconds(1);
constexpr std::size_t kReadBufferBytes = 64 * 1024;
// Behind the buffer, so that wide scans need no bounds checks.
constexpr std::size_t kReadBufferSlack = 64;

Duration thread_time() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::duration_cast<Duration>(std::chrono::seconds(now.tv_sec) +
                                              std::chrono::nanoseconds(now.tv_nsec));
}

}  // namespace

Reactor::Reactor(Poller& poller, Clock& clock)
    : poller_(poller), clock_(clock), now_(clock.now()), timers_(now_) {}

Reactor::~Reactor() {
  while (backlog_ != nullptr) {
    Mail* mail = backlog_;
    backlog_ = mail->next;
    mail->act(mail, false);
  }
}

void Reactor::run() {
  while (!stopping_.load()) turn();
  stopping_.store(false);
}

void Reactor::turn(Instant latest) {
  ++turns_;
  poll(latest);
  const Instant begun = now_;
  sort_fired();
  dispatch(prompt_, slices_.prompt);
  dispatch(patient_, slices_.patient);
  run_mail();
  slice_end_ = now_ + slices_.handler;
  timers_.advance(now_);
  // By index: a call may register another, which is called in the same turn.
  for (std::size_t i = 0; i < end_of_turn_.size(); ++i) end_of_turn_[i]();
  flush_dirty();
  measure(begun);
}

void Reactor::stop() noexcept {
  stopping_.store(true);
  poller_.wake();
}

void Reactor::poll(Instant latest) {
  now_ = clock_.now();
  fired_.clear();
  const bool work_left = has_work() || stopping_.load();
  const Instant deadline = work_left ? now_ : std::min(latest, timers_.next_deadline());
  const bool sleeps = deadline > now_ && mailbox_.prepare_sleep();
  poller_.wait(now_, sleeps ? deadline : now_, fired_);
  if (sleeps) {
    mailbox_.awake();
    now_ = clock_.now();
  }
}

// One list entry per watch: one that both fired and waits from before is called once.
void Reactor::sort_fired() {
  for (Watch* watch : std::exchange(again_, {})) {
    if (watch != nullptr) patient_.push_back(watch);
  }
  for (const Fired& fired : fired_) {
    Watch& watch = *fired.watch;
    watch.pending = watch.pending | fired.readiness;
    if (std::exchange(watch.is_queued, true)) continue;
    (watch.is_patient ? patient_ : prompt_).push_back(&watch);
  }
  fired_.clear();
}

// Handlers may unwatch (entries become null) but never add to this list.
void Reactor::dispatch(std::vector<Watch*>& ready, Duration slice) {
  // Asking for the time is not for nothing: each step goes on from the end of the one before it.
  Instant now = now_;
  const Instant end = now + slice;
  std::size_t i = 0;
  // At least one, whatever the clock does.
  while (i < ready.size()) {
    Watch* watch = std::exchange(ready[i++], nullptr);
    if (watch == nullptr) continue;
    watch->is_queued = false;
    slice_end_ = now + slices_.handler;
    watch->on_ready(watch->self, std::exchange(watch->pending, Readiness::none));
    now = clock_.now();
    if (now >= end) break;
  }
  now_ = now;
  ready.erase(ready.begin(), ready.begin() + static_cast<std::ptrdiff_t>(i));
}

void Reactor::run_mail() {
  if (backlog_ == nullptr) backlog_ = mailbox_.take();
  if (backlog_ == nullptr) return;
  Instant now = now_;
  const Instant end = now + slices_.mail;
  std::size_t count = 0;
  // At least some, whatever the clock does.
  do {
    slice_end_ = now + slices_.handler;
    for (std::size_t i = 0; i < kMailsPerLook && backlog_ != nullptr; ++i) {
      Mail* mail = backlog_;
      backlog_ = mail->next;
      ++count;
      mail->act(mail, true);
    }
    now = clock_.now();
  } while (backlog_ != nullptr && count < kMailsPerTurn && now < end);
  now_ = now;
  mailbox_.settle(count);
  mails_ += count;
}

void Reactor::flush_dirty() {
  // What a flush marks (itself or another) goes to the next turn, which then does not wait.
  IntrusiveList<Flushable> ready;
  ready.splice_back(dirty_);
  const Instant end = now_ + slices_.flush;
  std::size_t count = 0;
  while (Flushable* flushable = ready.pop_front()) {
    flushable->flush_(flushable);
    if (++count % kFlushesPerLook == 0 && clock_.now() >= end) break;
  }
  ready.splice_back(dirty_);
  dirty_.splice_back(ready);
}

// A thread that waits for a processor is not to blame: if the turn seems long, the thread's own
// time counts. Asking for that costs too much to do it in every turn, so it may include some of
// earlier ones (a millisecond's).
void Reactor::measure(Instant begun) {
  const Instant end = clock_.now();
  Duration lasted = end - begun;
  const bool is_suspect = lasted.count() > longest_turn_us_.load(std::memory_order_relaxed);
  if (is_suspect || lasted > kTurnBudget || end - cpu_marked_at_ > kCpuLook) {
    const Duration cpu = thread_time();
    lasted = std::min(lasted, cpu - cpu_mark_);
    cpu_mark_ = cpu;
    cpu_marked_at_ = end;
  }
  if (lasted.count() > longest_turn_us_.load(std::memory_order_relaxed)) {
    longest_turn_us_.store(lasted.count(), std::memory_order_relaxed);
  }
  if (lasted > kTurnBudget) late_turns_.fetch_add(1, std::memory_order_relaxed);
}

void Reactor::watch(ByteChannel& channel, Watch& watch) {
  poller_.watch(channel, watch);
}

void Reactor::watch_fd(int fd, Watch& watch) {
  poller_.watch_fd(fd, watch);
}

void Reactor::unwatch(ByteChannel& channel, Watch& watch) noexcept {
  poller_.unwatch(channel);
  forget(watch);
}

void Reactor::unwatch_fd(int fd, Watch& watch) noexcept {
  poller_.unwatch_fd(fd);
  forget(watch);
}

void Reactor::forget(Watch& watch) noexcept {
  if (!watch.is_queued) return;
  watch.is_queued = false;
  watch.pending = Readiness::none;
  for (auto* list : {&prompt_, &patient_, &again_}) {
    std::replace(list->begin(), list->end(), &watch, static_cast<Watch*>(nullptr));
  }
}

void Reactor::read_again(Watch& watch) {
  // One that is queued already may be so for something else.
  watch.pending = watch.pending | Readiness::readable;
  if (std::exchange(watch.is_queued, true)) return;
  again_.push_back(&watch);
}

std::span<char> Reactor::read_buffer() {
  if (!read_buffer_) read_buffer_ = std::make_unique<char[]>(kReadBufferBytes + kReadBufferSlack);
  return {read_buffer_.get(), kReadBufferBytes};
}

void Reactor::mark_dirty(Flushable& flushable) noexcept {
  if (!flushable.is_linked()) dirty_.push_back(flushable);
}

void Reactor::post(Mail* mail) noexcept {
  post_chain(mail, mail, 1);
}

void Reactor::post_chain(Mail* newest, Mail* oldest, std::size_t count) noexcept {
  if (mailbox_.push(newest, oldest, count)) poller_.wake();
}

void Reactor::at_end_of_turn(std::function<void()> call) {
  end_of_turn_.push_back(std::move(call));
}

}  // namespace xmpp::net
