// TimerWheel: many deadlines, cheap to set and to cancel; time is an argument.
//
// A Timer is embedded in the object that it serves and leaves the wheel when it is destroyed. Four levels
// of 64 slots, one tick is a millisecond; deadlines further away than the wheel reaches wait in the last
// slot and are put back. A timer never fires early; it fires within one tick of its deadline or when
// advance() is next called.
//
// Thread-safety: one thread. Invariants: (1) a Timer is in at most one wheel. (2) The wheel outlives its
// timers' membership (its destructor unlinks them).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

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
  ~Timer() { cancel(); }

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
};

class TimerWheel {
 public:
  explicit TimerWheel(Instant start) noexcept;
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;
  ~TimerWheel();

  // Sets or moves `timer`. A deadline in the past fires at the next advance().
  void set(Timer& timer, Instant deadline) noexcept;
  // Fires everything due at `now`, in order of deadline tick. A callback may set, cancel and destroy
  // timers, its own included. Returns the number fired.
  std::size_t advance(Instant now);
  // When advance() should next be called: never later than the earliest deadline rounded up to a tick;
  // may be earlier. kNever if no timer is set.
  [[nodiscard]] Instant next_deadline() const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  friend class Timer;
  static constexpr std::size_t kLevels = 4;
  static constexpr std::size_t kSlots = 64;
  void unlink(Timer& timer) noexcept;
  void link(Timer& timer) noexcept;

  Timer* slots_[kLevels * kSlots] = {};
  std::uint64_t occupied_[kLevels] = {};  // bit s: slot s of the level has timers
  std::uint64_t tick_ = 0;                // milliseconds since the epoch of Instant
  std::size_t size_ = 0;
};

}  // namespace xmpp
