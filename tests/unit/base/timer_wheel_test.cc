// TimerWheel: cascades, far deadlines, callbacks that rearrange timers, and a seeded script
// compared with a naive model.
#include "xmpp/base/timer_wheel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <vector>

#include "xmpp/base/random.h"

namespace xmpp {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

const Instant kStart{hours(1)};

TEST(TimerWheelTest, FiresOnceNeverEarly) {
  for (const Duration delay :
       {Duration(1), Duration(999), Duration(1000), Duration(1001), Duration(milliseconds(63)),
        Duration(milliseconds(64)), Duration(milliseconds(65)), Duration(milliseconds(4095)),
        Duration(milliseconds(4096)), Duration(seconds(262)), Duration(seconds(263)),
        Duration(hours(4)), Duration(hours(5)), Duration(hours(100)), Duration(hours(24 * 400))}) {
    TimerWheel wheel(kStart);
    int fired = 0;
    Timer timer([&] { ++fired; });
    wheel.set(timer, kStart + delay);
    EXPECT_LE(wheel.next_deadline(), kStart + delay + microseconds(999));
    EXPECT_EQ(wheel.advance(kStart + delay - microseconds(1)), 0U) << delay.count();
    EXPECT_TRUE(timer.is_set());
    EXPECT_EQ(wheel.advance(kStart + delay + milliseconds(1)), 1U) << delay.count();
    EXPECT_FALSE(timer.is_set());
    wheel.advance(kStart + delay + hours(10));
    EXPECT_EQ(fired, 1);
    EXPECT_EQ(wheel.next_deadline(), kNever);
  }
}

TEST(TimerWheelTest, FollowingNextDeadlineReachesFarTimers) {
  TimerWheel wheel(kStart);
  const Instant deadline = kStart + hours(24 * 30) + microseconds(1);
  bool fired = false;
  Timer timer([&] { fired = true; });
  wheel.set(timer, deadline);
  int steps = 0;
  Instant now = kStart;
  while (!fired) {
    ASSERT_LT(++steps, 1000);
    now = wheel.next_deadline();
    wheel.advance(now);
  }
  EXPECT_EQ(now, kStart + hours(24 * 30) + milliseconds(1));
}

TEST(TimerWheelTest, OrderWithinAndAcrossTicks) {
  TimerWheel wheel(kStart);
  std::vector<int> order;
  std::vector<std::unique_ptr<Timer>> timers;
  const int delays[] = {5, 300, 5, 70, 1, 300, 5000, 70, 5, -10, -20};
  for (int i = 0; i < 11; ++i) {
    timers.push_back(std::make_unique<Timer>([&order, i] { order.push_back(i); }));
    wheel.set(*timers.back(), kStart + milliseconds(delays[i]));
  }
  EXPECT_EQ(wheel.size(), 11U);
  EXPECT_EQ(wheel.advance(kStart + seconds(10)), 11U);
  EXPECT_EQ(order, std::vector<int>({9, 10, 4, 0, 2, 8, 3, 7, 1, 5, 6}));
  EXPECT_EQ(wheel.size(), 0U);
}

TEST(TimerWheelTest, MovingAndCancelling) {
  TimerWheel wheel(kStart);
  int fired = 0;
  Timer timer([&] { ++fired; });
  timer.cancel();
  wheel.set(timer, kStart + milliseconds(10));
  wheel.set(timer, kStart + milliseconds(5000));
  EXPECT_EQ(wheel.size(), 1U);
  EXPECT_EQ(wheel.advance(kStart + milliseconds(100)), 0U);
  wheel.set(timer, kStart + milliseconds(200));
  EXPECT_EQ(timer.deadline(), kStart + milliseconds(200));
  EXPECT_EQ(wheel.advance(kStart + milliseconds(200)), 1U);
  wheel.set(timer, kStart + milliseconds(300));
  timer.cancel();
  EXPECT_EQ(wheel.next_deadline(), kNever);
  wheel.set(timer, kStart + milliseconds(400));
  wheel.set(timer, kNever);
  EXPECT_FALSE(timer.is_set());
  EXPECT_EQ(wheel.advance(kStart + seconds(10)), 0U);
  EXPECT_EQ(fired, 1);
}

TEST(TimerWheelTest, PastDeadlinesFireAtTheNextAdvanceOnly) {
  TimerWheel wheel(kStart);
  int fired = 0;
  Timer timer;
  timer.set_callback([&] {
    ++fired;
    wheel.set(timer, kStart);  // overdue again: must not keep advance() busy
  });
  wheel.set(timer, kStart - seconds(1));
  EXPECT_LE(wheel.next_deadline(), kStart);
  EXPECT_EQ(wheel.advance(kStart), 1U);
  EXPECT_EQ(wheel.advance(kStart), 1U);
  EXPECT_EQ(wheel.advance(kStart - hours(1)), 1U);  // a clock that steps back does no harm
  EXPECT_EQ(fired, 3);
}

TEST(TimerWheelTest, PeriodicTimersCatchUp) {
  TimerWheel wheel(kStart);
  int fired = 0;
  Timer timer;
  timer.set_callback([&] {
    ++fired;
    wheel.set(timer, timer.deadline() + milliseconds(100));
  });
  wheel.set(timer, kStart + milliseconds(100));
  wheel.advance(kStart + seconds(10));
  EXPECT_EQ(fired, 100);
}

TEST(TimerWheelTest, CallbacksDestroyTimers) {
  TimerWheel wheel(kStart);
  std::string text(100, 'x');
  std::size_t length = 0;
  auto a = std::make_unique<Timer>();
  auto b = std::make_unique<Timer>([] { FAIL(); });
  auto c = std::make_unique<Timer>([] { FAIL(); });
  a->set_callback([&, text] {
    a.reset();
    b.reset();
    c.reset();
    length = text.size();  // what the callback captured outlives its timer
  });
  wheel.set(*a, kStart + milliseconds(5));
  wheel.set(*b, kStart + milliseconds(5));
  wheel.set(*c, kStart + milliseconds(500));
  EXPECT_EQ(wheel.advance(kStart + seconds(1)), 1U);
  EXPECT_EQ(length, 100U);
  EXPECT_EQ(wheel.size(), 0U);
}

TEST(TimerWheelTest, CallbacksReplaceThemselves) {
  TimerWheel wheel(kStart);
  std::vector<int> order;
  Timer timer;
  timer.set_callback([&] {
    order.push_back(1);
    timer.set_callback([&] { order.push_back(2); });
    wheel.set(timer, kStart + milliseconds(20));
  });
  wheel.set(timer, kStart + milliseconds(10));
  wheel.advance(kStart + milliseconds(30));
  wheel.set(timer, kStart + milliseconds(40));
  wheel.advance(kStart + milliseconds(50));
  EXPECT_EQ(order, std::vector<int>({1, 2, 2}));
}

TEST(TimerWheelTest, TheWheelMayDieFirst) {
  Timer timer([] { FAIL(); });
  {
    TimerWheel wheel(kStart);
    wheel.set(timer, kStart + hours(10));
  }
  EXPECT_FALSE(timer.is_set());
}

// What the wheel must do, done slowly: every timer fires in the first advance() at or after its
// deadline rounded up to a tick.
struct Model {
  struct Entry {
    bool is_set = false;
    std::int64_t tick = 0;
  };
  std::vector<Entry> entries;
  std::int64_t now = 0;

  static std::int64_t ceil(Instant at) { return (at.time_since_epoch().count() + 999) / 1000; }
  std::vector<std::size_t> advance(std::int64_t to) {
    now = std::max(now, to);
    std::vector<std::size_t> fired;
    for (std::size_t i = 0; i < entries.size(); ++i) {
      if (!entries[i].is_set || entries[i].tick > now) continue;
      entries[i].is_set = false;
      fired.push_back(i);
    }
    return fired;
  }
  [[nodiscard]] std::int64_t earliest() const {
    std::int64_t tick = std::numeric_limits<std::int64_t>::max();
    for (const Entry& entry : entries) {
      if (entry.is_set) tick = std::min(tick, entry.tick);
    }
    return tick;
  }
};

// A delay of any magnitude, from overdue to days.
Duration random_delay(SeededRng& rng) {
  const std::uint64_t magnitude = rng.below(38);
  return Duration(static_cast<std::int64_t>(rng.below(std::uint64_t{1} << magnitude)) -
                  static_cast<std::int64_t>(rng.below(3000)));
}

class Script {
 public:
  explicit Script(std::uint64_t seed)
      : rng_(seed), now_(kStart + Duration(rng_.below(1ULL << 36))) {
    wheel_ = std::make_unique<TimerWheel>(now_);
    model_.now = now_.time_since_epoch().count() / 1000;
    model_.entries.resize(100);
    for (std::size_t i = 0; i < model_.entries.size(); ++i) {
      timers_.push_back(std::make_unique<Timer>([this, i] { fired_.push_back(i); }));
    }
  }
  void step() {
    const std::size_t i = rng_.below(timers_.size());
    const std::uint64_t action = rng_.below(10);
    if (action < 6) {
      const Instant deadline = now_ + random_delay(rng_);
      wheel_->set(*timers_[i], deadline);
      model_.entries[i] = {true, Model::ceil(deadline)};
    } else if (action < 7) {
      timers_[i]->cancel();
      model_.entries[i].is_set = false;
    } else {
      advance();
    }
    check();
  }

 private:
  void advance() {
    if (rng_.below(2) == 0 && wheel_->size() > 0) {
      now_ = std::max(now_, wheel_->next_deadline());
    } else {
      now_ += std::max(Duration(0), random_delay(rng_));
    }
    fired_.clear();
    const std::size_t count = wheel_->advance(now_);
    ASSERT_EQ(count, fired_.size());
    std::vector<std::size_t> expected = model_.advance(now_.time_since_epoch().count() / 1000);
    std::sort(fired_.begin(), fired_.end());
    ASSERT_EQ(fired_, expected);
  }
  void check() {
    std::size_t set = 0;
    for (std::size_t i = 0; i < timers_.size(); ++i) {
      ASSERT_EQ(timers_[i]->is_set(), model_.entries[i].is_set);
      set += model_.entries[i].is_set ? 1 : 0;
    }
    ASSERT_EQ(wheel_->size(), set);
    if (set == 0) {
      ASSERT_EQ(wheel_->next_deadline(), kNever);
    } else {
      const std::int64_t next = wheel_->next_deadline().time_since_epoch().count() / 1000;
      ASSERT_LE(next, std::max(model_.earliest(), model_.now));
    }
  }

  SeededRng rng_;
  Instant now_;
  std::unique_ptr<TimerWheel> wheel_;
  Model model_;
  std::vector<std::size_t> fired_;
  std::vector<std::unique_ptr<Timer>> timers_;
};

TEST(TimerWheelTest, AgreesWithTheModel) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Script script(seed);
    for (int step = 0; step < 1000; ++step) {
      script.step();
      if (HasFatalFailure()) {
        ADD_FAILURE() << "seed " << seed << " step " << step;
        return;
      }
    }
  }
}

}  // namespace
}  // namespace xmpp
