#include "xmpp/net/reactor.h"

#include <algorithm>
#include <cstddef>

#include "xmpp/base/assert.h"

namespace xmpp::net {
namespace {

// Mails run in one turn; what is left waits until links had their turn.
constexpr std::size_t kMailsPerTurn = 2048;
constexpr std::size_t kReadBufferBytes = 64 * 1024;
// Behind the buffer, so that wide scans need no bounds checks.
constexpr std::size_t kReadBufferSlack = 64;

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
  dispatch();
  run_mail();
  now_ = clock_.now();
  timers_.advance(now_);
  // By index: a call may register another.
  for (std::size_t i = 0; i < end_of_turn_.size(); ++i) end_of_turn_[i]();
  flush_dirty();
}

void Reactor::stop() noexcept {
  stopping_.store(true);
  poller_.wake();
}

void Reactor::poll(Instant latest) {
  now_ = clock_.now();
  fired_.clear();
  const bool work_left =
      backlog_ != nullptr || !again_.empty() || !dirty_.empty() || stopping_.load();
  const Instant deadline = work_left ? now_ : std::min(latest, timers_.next_deadline());
  const bool sleeps = deadline > now_ && mailbox_.prepare_sleep();
  poller_.wait(now_, sleeps ? deadline : now_, fired_);
  if (sleeps) {
    mailbox_.awake();
    now_ = clock_.now();
  }
}

void Reactor::dispatch() {
  // One list with one entry per watch: a watch that both fired and asked to be called again is
  // called once.
  for (Fired& fired : fired_) {
    if (!fired.watch->is_queued) continue;
    fired.watch->is_queued = false;
    fired.readiness = fired.readiness | Readiness::readable;
  }
  for (Watch* watch : again_) {
    if (watch == nullptr || !watch->is_queued) continue;
    watch->is_queued = false;
    fired_.push_back({watch, Readiness::readable});
  }
  again_.clear();
  // Handlers may unwatch (entries become null) but never add to this list.
  for (std::size_t i = 0; i < fired_.size(); ++i) {
    const Fired fired = fired_[i];
    if (fired.watch != nullptr) fired.watch->on_ready(fired.watch->self, fired.readiness);
  }
  fired_.clear();
}

void Reactor::run_mail() {
  if (backlog_ == nullptr) backlog_ = mailbox_.take();
  std::size_t count = 0;
  while (backlog_ != nullptr && count < kMailsPerTurn) {
    Mail* mail = backlog_;
    backlog_ = mail->next;
    ++count;
    mail->act(mail, true);
  }
  if (count == 0) return;
  mailbox_.settle(count);
  mails_ += count;
}

void Reactor::flush_dirty() {
  // What a flush marks (itself or another) goes to the next turn, which then does not wait.
  IntrusiveList<Flushable> now;
  now.splice_back(dirty_);
  while (Flushable* flushable = now.pop_front()) flushable->flush_(flushable);
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
  for (Fired& fired : fired_) {
    if (fired.watch == &watch) fired.watch = nullptr;
  }
  if (!watch.is_queued) return;
  watch.is_queued = false;
  std::replace(again_.begin(), again_.end(), &watch, static_cast<Watch*>(nullptr));
}

void Reactor::read_again(Watch& watch) {
  if (watch.is_queued) return;
  watch.is_queued = true;
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
