#include "xmpp/net/offload.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "unit/net/fake_poller.h"

namespace xmpp::net {
namespace {

struct OffloadTest : testing::Test {
  ManualClock clock;
  FakePoller poller{clock};
  Reactor reactor{poller, clock};
};

TEST_F(OffloadTest, WorksWhenToldToWithoutThreads) {
  Offload offload(0);
  int worked = 0;
  int got = 0;
  bool done = false;
  EXPECT_TRUE(offload.submit([&] { return ++worked; }, reactor, [&](int value) { got = value; }));
  EXPECT_TRUE(offload.submit([] {}, reactor, [&] { done = true; }));
  EXPECT_EQ(offload.pending(), 2u);
  EXPECT_TRUE(offload.run_one());
  EXPECT_EQ(worked, 1);
  EXPECT_EQ(got, 0);  // the answer is mail
  EXPECT_TRUE(offload.run_one());
  EXPECT_FALSE(offload.run_one());
  reactor.turn();
  EXPECT_EQ(got, 1);
  EXPECT_TRUE(done);
}

TEST_F(OffloadTest, RefusesMoreThanItsQueueHolds) {
  Offload offload(0, 1);
  int runs = 0;
  EXPECT_TRUE(offload.submit([] {}, reactor, [&] { ++runs; }));
  EXPECT_FALSE(offload.submit([] {}, reactor, [&] { ++runs; }));
  while (offload.run_one()) {
  }
  reactor.turn();
  EXPECT_EQ(runs, 1);
}

TEST_F(OffloadTest, DropsWhatDidNotRun) {
  auto token = std::make_shared<int>(0);
  {
    Offload offload(0);
    EXPECT_TRUE(offload.submit([token] {}, reactor, [token] { FAIL(); }));
    EXPECT_TRUE(offload.submit([token] { return 1; }, reactor, [](int) { FAIL(); }));
    EXPECT_EQ(token.use_count(), 4);
  }
  EXPECT_EQ(token.use_count(), 1);
  reactor.turn(reactor.now());
}

Task<void> ask(Offload& offload, Reactor& reactor, std::optional<int>& out, bool& finished) {
  auto asked = offload.run(reactor, [] { return 42; });
  auto answer = co_await asked;
  out = answer;
  finished = true;
}

TEST_F(OffloadTest, ServesCoroutines) {
  Offload offload(0, 1);
  TaskOwner owner;
  std::optional<int> first;
  std::optional<int> second;
  bool first_finished = false;
  bool second_finished = false;
  owner.spawn(ask(offload, reactor, first, first_finished));
  owner.spawn(ask(offload, reactor, second, second_finished));
  EXPECT_TRUE(second_finished);  // overload is an answer
  EXPECT_EQ(second, std::nullopt);
  offload.run_one();
  reactor.turn();
  EXPECT_TRUE(first_finished);
  EXPECT_EQ(first, 42);
}

TEST_F(OffloadTest, IgnoresTheAnswerToACancelledTask) {
  Offload offload(0);
  std::optional<int> out;
  bool finished = false;
  {
    TaskOwner owner;
    owner.spawn(ask(offload, reactor, out, finished));
  }
  offload.run_one();
  reactor.turn();
  EXPECT_FALSE(finished);
}

TEST(OffloadThreads, AnswersOnTheReactorsThread) {
  SystemClock clock;
  auto poller = make_epoll_poller();
  Reactor reactor(*poller, clock);
  constexpr int kJobs = 500;
  int answers = 0;
  int sum = 0;
  const auto here = std::this_thread::get_id();
  bool elsewhere = false;
  Offload offload(3, kJobs);
  for (int i = 0; i < kJobs; ++i) {
    EXPECT_TRUE(offload.submit([i] { return std::pair(i, std::this_thread::get_id()); }, reactor,
                               [&](std::pair<int, std::thread::id> result) {
                                 sum += result.first;
                                 elsewhere = elsewhere || result.second == here ||
                                             std::this_thread::get_id() != here;
                                 if (++answers == kJobs) reactor.stop();
                               }));
  }
  reactor.run();
  EXPECT_EQ(sum, kJobs * (kJobs - 1) / 2);
  EXPECT_FALSE(elsewhere);
}

}  // namespace
}  // namespace xmpp::net
