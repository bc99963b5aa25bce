// Time: Instant (monotonic, for deadlines), Timestamp (wall clock, for people and protocols),
// Duration, the Clock that supplies both, and XEP-0082 text.
//
// Protocol code never reads a clock; it is told the time. Drivers own a Clock: SystemClock in the
// real programs, a virtual one in tests and in the simulator.
//
// Thread-safety: Clock::now and Clock::wall may be called from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace xmpp {

using Duration = std::chrono::microseconds;

struct MonotonicEpoch {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  static constexpr bool is_steady = true;
};
struct WallEpoch {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  static constexpr bool is_steady = false;
};

// Monotonic time in microseconds; only differences mean anything.
using Instant = std::chrono::time_point<MonotonicEpoch, Duration>;
// Microseconds since 1970-01-01T00:00:00Z.
using Timestamp = std::chrono::time_point<WallEpoch, Duration>;

constexpr Instant kNever = Instant::max();

class Clock {
 public:
  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;
  [[nodiscard]] virtual Instant now() noexcept = 0;
  [[nodiscard]] virtual Timestamp wall() noexcept = 0;
};

// CLOCK_MONOTONIC and CLOCK_REALTIME.
class SystemClock final : public Clock {
 public:
  [[nodiscard]] Instant now() noexcept override;
  [[nodiscard]] Timestamp wall() noexcept override;
};

// Time that moves only when told to; for tests and simulation.
class ManualClock final : public Clock {
 public:
  [[nodiscard]] Instant now() noexcept override { return now_; }
  [[nodiscard]] Timestamp wall() noexcept override { return wall_; }
  void advance(Duration by) noexcept {
    now_ += by;
    wall_ += by;
  }

 private:
  Instant now_{std::chrono::hours(1)};
  Timestamp wall_{std::chrono::hours(24 * 365 * 50)};
};

// XEP-0082 DateTime, e.g. "2002-09-10T23:08:25Z"; milliseconds only if not zero.
[[nodiscard]] std::string format_timestamp(Timestamp at);
// Accepts every XEP-0082 DateTime: any fraction, "Z" or a numeric zone. nullopt for anything else,
// impossible dates included.
[[nodiscard]] std::optional<Timestamp> parse_timestamp(std::string_view text);

// Configuration durations: "500ms", "60s", "5m", "2h", "7d"; nullopt for anything else.
[[nodiscard]] std::optional<Duration> parse_duration(std::string_view text);
// In the largest of those units that needs no fraction ("us" below a millisecond, which is not
// parsed).
[[nodiscard]] std::string format_duration(Duration value);

}  // namespace xmpp
