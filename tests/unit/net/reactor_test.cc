#include "xmpp/net/reactor.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "unit/net/fake_poller.h"

namespace xmpp::net {
namespace {

using namespace std::chrono_literals;

struct Probe {
  explicit Probe(std::function<void(Readiness)> on_ready) : body(std::move(on_ready)) {
    watch.self = this;
    watch.on_ready = [](void* self, Readiness readiness) {
      static_cast<Probe*>(self)->body(readiness);
    };
  }
  std::function<void(Readiness)> body;
  Watch watch;
};

struct Output : Flushable {
  explicit Output(std::function<void()> flush)
      : Flushable([](Flushable* self) { static_cast<Output*>(self)->body(); }),
        body(std::move(flush)) {}
  std::function<void()> body;
};

struct ReactorTest : testing::Test {
  ManualClock clock;
  FakePoller poller{clock};
  Reactor reactor{poller, clock};
};

TEST_F(ReactorTest, RunsTheStepsOfATurnInOrder) {
  std::string log;
  Output output([&] { log += "flush "; });
  Probe probe([&](Readiness) {
    log += "ready ";
    reactor.mark_dirty(output);
    reactor.mark_dirty(output);
    reactor.call([&] { log += "mail "; });
  });
  Timer timer([&] { log += "timer "; });
  reactor.timers().set(timer, reactor.now());
  reactor.at_end_of_turn([&] { log += "end "; });
  reactor.watch_fd(3, probe.watch);
  poller.fire(probe.watch);
  reactor.turn();
  EXPECT_EQ(log, "ready mail timer end flush ");
  EXPECT_EQ(reactor.mails(), 1u);
  EXPECT_EQ(reactor.turns(), 1u);
  EXPECT_EQ(reactor.mail_depth(), 0u);
  reactor.unwatch_fd(3, probe.watch);
}

// What it refers to must stay where it is, however many there are then.
TEST_F(ReactorTest, ACallAtTheEndOfATurnMayRegisterOthers) {
  int others = 0;
  struct Registering {
    Reactor& reactor;
    int& others;
    void operator()() const {
      for (int i = 0; i < 100; ++i) reactor.at_end_of_turn([&count = others] { ++count; });
      ++others;
    }
  };
  static_assert(std::is_trivially_copyable_v<Registering>);  // so it is kept in place
  reactor.at_end_of_turn(Registering{reactor, others});
  reactor.turn(reactor.now());
  EXPECT_EQ(others, 101);
}

TEST_F(ReactorTest, WaitsForTheNextTimerOrTheCaller) {
  int fired = 0;
  Timer timer([&] { ++fired; });
  const Instant start = reactor.now();
  reactor.timers().set(timer, start + 5s);
  reactor.turn(start + 1s);
  EXPECT_EQ(poller.last_deadline, start + 1s);
  EXPECT_EQ(fired, 0);
  while (fired == 0) reactor.turn();
  EXPECT_GE(reactor.now(), start + 5s);
  EXPECT_LE(reactor.now(), start + 5s + 2ms);
  reactor.turn();
  EXPECT_EQ(poller.last_deadline, kNever);
}

TEST_F(ReactorTest, ARemovedWatchGetsNoFurtherEvent) {
  int second_calls = 0;
  auto second = std::make_unique<Probe>([&](Readiness) { ++second_calls; });
  Probe first([&](Readiness) {
    reactor.unwatch_fd(4, second->watch);
    second.reset();
  });
  reactor.watch_fd(3, first.watch);
  reactor.watch_fd(4, second->watch);
  reactor.read_again(second->watch);
  poller.fire(first.watch);
  poller.fire(second->watch);
  reactor.turn();
  reactor.turn();
  EXPECT_EQ(second_calls, 0);
  EXPECT_EQ(poller.watched(), 1u);
}

TEST_F(ReactorTest, AHandlerMayRemoveItselfAndAWatchWaitingToBeCalledAgain) {
  auto other = std::make_unique<Probe>([](Readiness) { FAIL(); });
  std::unique_ptr<Probe> self;
  self = std::make_unique<Probe>([&](Readiness) {
    reactor.read_again(self->watch);
    reactor.read_again(other->watch);
    reactor.unwatch_fd(3, self->watch);
    reactor.unwatch_fd(4, other->watch);
    other.reset();
    auto keep = std::move(self);  // dies when the handler returns
  });
  reactor.watch_fd(3, self->watch);
  reactor.watch_fd(4, other->watch);
  poller.fire(self->watch);
  reactor.turn();
  EXPECT_EQ(self, nullptr);
  reactor.turn(reactor.now() + 1ms);
}

TEST_F(ReactorTest, ReadAgainCallsOnceInTheNextTurnWithoutWaiting) {
  std::vector<Readiness> calls;
  Probe probe([&](Readiness readiness) {
    calls.push_back(readiness);
    if (calls.size() == 1) {
      reactor.read_again(probe.watch);
      reactor.read_again(probe.watch);
    }
  });
  poller.fire(probe.watch);
  reactor.turn();
  ASSERT_EQ(calls.size(), 1u);
  poller.fire(probe.watch, Readiness::writable);  // merged with the wish to be called again
  reactor.turn();
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_LE(poller.last_deadline, reactor.now());
  EXPECT_TRUE(has(calls[1], Readiness::readable));
  EXPECT_TRUE(has(calls[1], Readiness::writable));
  reactor.turn();
  EXPECT_EQ(calls.size(), 2u);
}

TEST_F(ReactorTest, AFlushableIsFlushedOnceATurn) {
  int flushes = 0;
  Output output([&] {
    if (++flushes == 1) reactor.mark_dirty(output);
  });
  reactor.mark_dirty(output);  // outside a turn: the next one does not wait
  reactor.turn();
  EXPECT_LE(poller.last_deadline, reactor.now());
  EXPECT_EQ(flushes, 1);
  reactor.turn();
  EXPECT_LE(poller.last_deadline, reactor.now());
  EXPECT_EQ(flushes, 2);
  reactor.turn();
  EXPECT_EQ(poller.last_deadline, kNever);
  EXPECT_EQ(flushes, 2);
}

TEST_F(ReactorTest, AFlushMayDestroyAnotherDirtyOne) {
  auto second = std::make_unique<Output>([] { FAIL(); });
  Output first([&] { second.reset(); });
  reactor.mark_dirty(first);
  reactor.mark_dirty(*second);
  reactor.turn();
  EXPECT_EQ(second, nullptr);
}

TEST_F(ReactorTest, MailHasABudgetAndStaysInOrder) {
  static constexpr int kMails = 5000;
  std::vector<int> seen;
  for (int i = 0; i < kMails; ++i) reactor.call([&seen, i] { seen.push_back(i); });
  EXPECT_EQ(poller.wakes, 0);  // nobody sleeps: no system call
  EXPECT_EQ(reactor.mail_depth(), static_cast<std::size_t>(kMails));
  reactor.turn();
  const std::size_t first = seen.size();
  EXPECT_LT(first, static_cast<std::size_t>(kMails));
  EXPECT_EQ(reactor.mail_depth(), kMails - first);
  reactor.call([&seen] { seen.push_back(kMails); });
  while (reactor.mail_depth() > 0) reactor.turn();
  ASSERT_EQ(seen.size(), static_cast<std::size_t>(kMails) + 1);
  for (int i = 0; i <= kMails; ++i) ASSERT_EQ(seen[static_cast<std::size_t>(i)], i);
}

TEST_F(ReactorTest, WhatDoesNotFitIntoASliceComesFirstInTheNextTurn) {
  std::string log;
  auto slow = [&](char name) {
    return std::make_unique<Probe>([&log, name, this](Readiness) {
      log += name;
      clock.advance(6ms);
    });
  };
  auto a = slow('a');
  auto b = slow('b');
  auto c = slow('c');
  for (const auto& probe : {&a, &b, &c}) poller.fire((*probe)->watch);
  reactor.turn();
  EXPECT_EQ(log, "ab");
  poller.fire(a->watch);
  poller.fire(c->watch);  // once more: called once
  reactor.turn();
  EXPECT_LE(poller.last_deadline, reactor.now());
  EXPECT_EQ(log, "abca");
  EXPECT_EQ(reactor.late_turns(), 0u);
}

// Mail for a link may make it read again while the link itself waits for its turn to write.
TEST_F(ReactorTest, ReadAgainIsNotForgottenForOneThatWaits) {
  Probe slow([&](Readiness) { clock.advance(20ms); });
  std::vector<Readiness> calls;
  Probe probe([&](Readiness readiness) { calls.push_back(readiness); });
  poller.fire(slow.watch);
  poller.fire(probe.watch, Readiness::writable);
  reactor.turn();
  ASSERT_TRUE(calls.empty());
  reactor.read_again(probe.watch);
  reactor.turn();
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_TRUE(has(calls[0], Readiness::readable));
  EXPECT_TRUE(has(calls[0], Readiness::writable));
}

TEST_F(ReactorTest, PatientWatchesComeLastButAreNotStarved) {
  std::string log;
  auto slow = [&](char name, Duration takes) {
    return std::make_unique<Probe>([&log, name, takes, this](Readiness) {
      log += name;
      clock.advance(takes);
    });
  };
  auto stranger = slow('s', 2ms);
  auto greedy = slow('g', 2ms);
  auto member = slow('m', 20ms);
  stranger->watch.is_patient = true;
  reactor.read_again(greedy->watch);
  poller.fire(stranger->watch);
  poller.fire(member->watch);
  reactor.turn();
  EXPECT_EQ(log, "mgs");
  log.clear();
  for (int i = 0; i < 3; ++i) {
    reactor.read_again(greedy->watch);
    poller.fire(stranger->watch);
    poller.fire(member->watch);
    reactor.turn();
  }
  EXPECT_EQ(log, "mgsmgsmgs");
}

TEST_F(ReactorTest, AHandlerLearnsThatItsSliceIsOver) {
  bool before = true;
  bool after = false;
  Probe probe([&](Readiness) {
    before = reactor.is_slice_over();
    clock.advance(2ms);
    after = reactor.is_slice_over();
  });
  poller.fire(probe.watch);
  reactor.turn();
  EXPECT_FALSE(before);
  EXPECT_TRUE(after);
}

TEST_F(ReactorTest, MailAndFlushesHaveSlices) {
  int mails = 0;
  for (int i = 0; i < 100; ++i) {
    reactor.call([&] {
      ++mails;
      clock.advance(1ms);
    });
  }
  reactor.turn();
  EXPECT_LT(mails, 100);
  while (mails < 100) reactor.turn();

  int flushes = 0;
  std::vector<std::unique_ptr<Output>> outputs;
  for (int i = 0; i < 100; ++i) {
    outputs.push_back(std::make_unique<Output>([&] {
      ++flushes;
      clock.advance(1ms);
    }));
    reactor.mark_dirty(*outputs.back());
  }
  reactor.turn();
  EXPECT_LT(flushes, 100);
  while (flushes < 100) reactor.turn();
  reactor.turn();
  EXPECT_EQ(flushes, 100);
}

TEST_F(ReactorTest, MailPostedByMailRunsInTheNextTurn) {
  int runs = 0;
  reactor.call([&] {
    ++runs;
    reactor.call([&] { ++runs; });
  });
  reactor.turn();
  EXPECT_EQ(runs, 1);
  reactor.turn();
  EXPECT_EQ(runs, 2);
}

TEST_F(ReactorTest, DropsMailThatNeverRan) {
  auto token = std::make_shared<int>(0);
  {
    Reactor other(poller, clock);
    for (int i = 0; i < 5000; ++i) other.call([token] {});
    other.turn();
    EXPECT_GT(token.use_count(), 1);
  }
  EXPECT_EQ(token.use_count(), 1);
}

TEST_F(ReactorTest, StopEndsRun) {
  reactor.call([&] { reactor.stop(); });
  reactor.run();
  EXPECT_EQ(reactor.turns(), 1u);
  reactor.stop();
  reactor.run();  // stopped before it began
  EXPECT_EQ(reactor.turns(), 1u);
  EXPECT_EQ(reactor.read_buffer().size(), 64u * 1024);
}

// The sleep protocol on the real poller: a lost wake-up hangs the test.
TEST(ReactorThreads, ThrowsMailBackAndForthBetweenTwoLoops) {
  SystemClock clock;
  auto poller_a = make_epoll_poller();
  auto poller_b = make_epoll_poller();
  Reactor a(*poller_a, clock);
  Reactor b(*poller_b, clock);
  constexpr int kRounds = 5000;
  int rounds = 0;
  struct Ball {
    Reactor& here;
    Reactor& there;
    int& rounds;
    void operator()() const {
      if (++rounds == kRounds) {
        here.stop();
        there.stop();
        return;
      }
      there.call(Ball{there, here, rounds});
    }
  };
  std::jthread other([&b] { b.run(); });
  a.call(Ball{a, b, rounds});
  a.run();
  other.join();
  EXPECT_EQ(rounds, kRounds);
}

TEST(ReactorThreads, ManyProducersOneLoop) {
  SystemClock clock;
  auto poller = make_epoll_poller();
  Reactor reactor(*poller, clock);
  constexpr int kProducers = 3;
  constexpr int kMails = 3000;
  std::vector<int> next(kProducers, 0);
  bool in_order = true;
  int total = 0;
  std::vector<std::jthread> producers;
  for (int p = 0; p < kProducers; ++p) {
    producers.emplace_back([&, p] {
      for (int i = 0; i < kMails; ++i) {
        reactor.call([&, p, i] {
          if (next[static_cast<std::size_t>(p)]++ != i) in_order = false;
          if (++total == kProducers * kMails) reactor.stop();
        });
        if (i % 64 == 0) std::this_thread::yield();
      }
    });
  }
  reactor.run();
  EXPECT_TRUE(in_order);
  EXPECT_EQ(total, kProducers * kMails);
}

}  // namespace
}  // namespace xmpp::net
