// TimerWheel: many deadlines, cheap to set and to cancel; time is an argument.
//
// A Timer is embedded in the object that it serves and leaves the wheel when it is destroyed. Four
// levels of 64 slots, one tick is a millisecond; deadlines further away than the wheel reaches (4.6
// hours) wait in a list that is dealt out whenever the wheel has turned once. A timer never fires
// early; it fires within one tick of its deadline or when advance() is next called.
//
// Thread-safety: one thread. Invariants: (1) a Timer is in at most one wheel. (2) The wheel
// outlives its timers' membership (its destructor unlinks them).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "xmpp/base/time.h"

namespace xmpp {

class TimerWheel;

class Timer {
 public:
  using Callback = std::function<void()>;
  Timer() = default;
  explicit Timer(Callback callback) : callback_(std::move(callback)) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer();

  // From inside the old callback, too; an empty one does not replace the callback that is running.
  void set_callback(Callback callback) { callback_ = std::move(callback); }
  void cancel() noexcept;
  [[nodiscard]] bool is_set() const noexcept { return wheel_ != nullptr; }
  // REQUIRES: is_set().
  [[nodiscard]] Instant deadline() const noexcept { return deadline_; }

 private:
  friend class TimerWheel;
  Callback callback_;
  TimerWheel* wheel_ = nullptr;
  Timer* previous_ = nullptr;
  Timer* next_ = nullptr;
  std::uint32_t slot_ = 0;
  Instant deadline_{};
  bool* destroyed_ = nullptr;  // set while the callback runs; told of our death
};

class TimerWheel {
 public:
  explicit TimerWheel(Instant start) noexcept;
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;
  ~TimerWheel();

  // Sets or moves `timer`. A deadline in the past fires at the next advance(); kNever cancels.
  void set(Timer& timer, Instant deadline) noexcept;
  // Fires everything due at `now`: first what was overdue when it was set, in the order of set();
  // then in order of deadline tick and, within a tick, of set(). A callback may set, cancel and
  // destroy timers, its own included, but not call advance() or destroy the wheel. Returns the
  // number fired.
  std::size_t advance(Instant now);
  // When advance() should next be called: never later than the earliest deadline rounded up to a
  // tick; may be earlier. kNever if no timer is set.
  [[nodiscard]] Instant next_deadline() const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  friend class Timer;
  static constexpr std::size_t kLevels = 4;
  static constexpr std::size_t kSlots = 64;
  // Slots that belong to no level: beyond the wheel's reach, and two lists of overdue timers (one
  // is filled while the other is fired).
  static constexpr std::uint32_t kFar = kLevels * kSlots;
  static constexpr std::uint32_t kDue = kFar + 1;
  static constexpr std::uint64_t kNoEvent = ~std::uint64_t{0};

  [[nodiscard]] std::uint32_t slot_of(std::uint64_t tick) const noexcept;
  void link(Timer& timer, std::uint32_t slot) noexcept;
  void detach(Timer& timer) noexcept;
  void unlink(Timer& timer) noexcept;
  void cascade() noexcept;
  std::size_t fire_slot(std::uint32_t slot);
  [[nodiscard]] std::uint64_t next_event() const noexcept;

  Timer* slots_[kDue + 2] = {};
  std::uint64_t occupied_[kLevels] = {};  // bit s: slot s of the level has timers
  std::uint64_t tick_ = 0;                // milliseconds since the epoch of Instant
  std::size_t size_ = 0;
  std::uint32_t due_ = 0;  // which overdue list is being filled
  bool advancing_ = false;
};

}  // namespace xmpp
