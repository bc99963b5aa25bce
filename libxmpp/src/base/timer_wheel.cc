// See xmpp/base/timer_wheel.h.
//
// A timer's level is that of the highest bit (in groups of six) in which its tick differs from the
// current one, its slot that group of bits. So everything in a level is due before everything in
// the level above, a level's slots are in order and never wrap around, and timers of one tick
// always travel together, which keeps them in the order in which they were set. When the current
// tick enters a slot of a higher level, that slot is dealt out to the levels below.
#include "xmpp/base/timer_wheel.h"

#include <bit>
#include <iterator>
#include <utility>

#include "xmpp/base/assert.h"

namespace xmpp {
namespace {

constexpr unsigned kSlotBits = 6;

std::uint64_t floor_tick(Instant at) noexcept {
  const auto count = at.time_since_epoch().count();
  return count <= 0 ? 0 : static_cast<std::uint64_t>(count) / 1000;
}

std::uint64_t ceil_tick(Instant at) noexcept {
  const auto count = at.time_since_epoch().count();
  return count <= 0 ? 0 : (static_cast<std::uint64_t>(count) + 999) / 1000;
}

}  // namespace

Timer::~Timer() {
  cancel();
  if (destroyed_ != nullptr) *destroyed_ = true;
}

void Timer::cancel() noexcept {
  if (wheel_ != nullptr) wheel_->unlink(*this);
}

TimerWheel::TimerWheel(Instant start) noexcept : tick_(floor_tick(start)) {}

TimerWheel::~TimerWheel() {
  XMPP_ASSERT(!advancing_);
  for (std::uint32_t slot = 0; slot < std::size(slots_); ++slot) {
    while (Timer* first = slots_[slot]) {
      XMPP_ASSERT(first->slot_ == slot);
      unlink(*first);
    }
  }
}

void TimerWheel::set(Timer& timer, Instant deadline) noexcept {
  timer.cancel();
  if (deadline == kNever) return;
  timer.wheel_ = this;
  timer.deadline_ = deadline;
  ++size_;
  const std::uint64_t tick = ceil_tick(deadline);
  link(timer, tick <= tick_ ? kDue + due_ : slot_of(tick));
}

// REQUIRES: tick >= tick_.
std::uint32_t TimerWheel::slot_of(std::uint64_t tick) const noexcept {
  const std::uint64_t difference = (tick ^ tick_) | 1;
  const auto level = static_cast<std::uint32_t>((std::bit_width(difference) - 1) / kSlotBits);
  if (level >= kLevels) return kFar;
  return level * kSlots + static_cast<std::uint32_t>(tick >> (kSlotBits * level) & (kSlots - 1));
}

// Each slot is a circular list; the slot points at its first timer.
void TimerWheel::link(Timer& timer, std::uint32_t slot) noexcept {
  timer.slot_ = slot;
  Timer*& head = slots_[slot];
  if (head == nullptr) {
    head = timer.previous_ = timer.next_ = &timer;
    if (slot < kFar) occupied_[slot / kSlots] |= std::uint64_t{1} << (slot % kSlots);
    return;
  }
  timer.next_ = head;
  timer.previous_ = head->previous_;
  head->previous_->next_ = &timer;
  head->previous_ = &timer;
}

void TimerWheel::detach(Timer& timer) noexcept {
  Timer*& head = slots_[timer.slot_];
  if (timer.next_ == &timer) {
    head = nullptr;
    if (timer.slot_ < kFar) {
      occupied_[timer.slot_ / kSlots] &= ~(std::uint64_t{1} << (timer.slot_ % kSlots));
    }
  } else {
    timer.previous_->next_ = timer.next_;
    timer.next_->previous_ = timer.previous_;
    if (head == &timer) head = timer.next_;
  }
  timer.previous_ = timer.next_ = nullptr;
}

void TimerWheel::unlink(Timer& timer) noexcept {
  detach(timer);
  timer.wheel_ = nullptr;
  --size_;
}

std::size_t TimerWheel::advance(Instant now) {
  XMPP_ASSERT(!advancing_);
  advancing_ = true;
  // What callbacks set into the past goes to the other list and waits for the next advance(), so
  // that a timer which sets itself to "now" does not keep us here.
  const std::uint32_t due = kDue + std::exchange(due_, due_ ^ 1);
  std::size_t fired = fire_slot(due);
  const std::uint64_t target = floor_tick(now);
  while (tick_ < target) {
    const std::uint64_t event = next_event();
    if (event > target) {
      tick_ = target;
      break;
    }
    tick_ = event;
    cascade();
    fired += fire_slot(static_cast<std::uint32_t>(tick_ % kSlots));
  }
  advancing_ = false;
  return fired;
}

// The first tick after the current one at which a slot has to be fired or dealt out.
std::uint64_t TimerWheel::next_event() const noexcept {
  for (unsigned level = 0; level < kLevels; ++level) {
    if (occupied_[level] == 0) continue;
    const unsigned shift = kSlotBits * level;
    const auto slot = static_cast<std::uint64_t>(std::countr_zero(occupied_[level]));
    return ((tick_ >> shift & ~std::uint64_t{kSlots - 1}) | slot) << shift;
  }
  if (slots_[kFar] == nullptr) return kNoEvent;
  constexpr unsigned kReach = kSlotBits * kLevels;
  return ((tick_ >> kReach) + 1) << kReach;
}

// Deals out the slots of the higher levels that the current tick has just entered, the highest
// first.
void TimerWheel::cascade() noexcept {
  for (unsigned level = kLevels; level > 0; --level) {
    const unsigned shift = kSlotBits * level;
    if ((tick_ & ((std::uint64_t{1} << shift) - 1)) != 0) continue;
    const std::uint32_t slot =
        level == kLevels
            ? kFar
            : level * kSlots + static_cast<std::uint32_t>(tick_ >> shift & (kSlots - 1));
    // Timers that stay far away come back to the list we empty: stop at the first one seen twice.
    Timer* last = slots_[slot] == nullptr ? nullptr : slots_[slot]->previous_;
    while (last != nullptr) {
      Timer& timer = *slots_[slot];
      if (&timer == last) last = nullptr;
      detach(timer);
      link(timer, slot_of(ceil_tick(timer.deadline_)));
    }
  }
}

std::size_t TimerWheel::fire_slot(std::uint32_t slot) {
  std::size_t fired = 0;
  while (slots_[slot] != nullptr) {
    Timer& timer = *slots_[slot];
    unlink(timer);
    ++fired;
    // The callback may destroy its timer, so it must not run from inside it.
    Timer::Callback callback = std::exchange(timer.callback_, nullptr);
    if (!callback) continue;
    bool destroyed = false;
    timer.destroyed_ = &destroyed;
    callback();
    if (destroyed) continue;
    timer.destroyed_ = nullptr;
    if (!timer.callback_) timer.callback_ = std::move(callback);
  }
  return fired;
}

Instant TimerWheel::next_deadline() const noexcept {
  if (size_ == 0) return kNever;
  const bool is_overdue = slots_[kDue] != nullptr || slots_[kDue + 1] != nullptr;
  const std::uint64_t tick = is_overdue ? tick_ : next_event();
  return Instant(std::chrono::milliseconds(tick));
}

}  // namespace xmpp
