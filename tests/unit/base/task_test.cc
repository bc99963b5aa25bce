// Torture test of Task, TaskOwner and Completion, meant for ASan, UBSan and TSan builds:
// cancellation at every kind of suspension point, completions that are late, early, inline or never
// come, owners that die while their own task runs. It also pins down which co_await forms GCC 12
// compiles correctly.
#include "xmpp/base/task.h"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "xmpp/base/random.h"

namespace xmpp {
namespace {

// Counts the living, so that a frame that leaks or is destroyed twice shows even without
// sanitizers.
struct Counted {
  static inline int alive = 0;
  Counted() { ++alive; }
  explicit Counted(std::string t) : text(std::move(t)) { ++alive; }
  Counted(const Counted& other) : text(other.text) { ++alive; }
  Counted(Counted&& other) noexcept : text(std::move(other.text)) { ++alive; }
  Counted& operator=(const Counted&) = default;
  Counted& operator=(Counted&&) noexcept = default;
  ~Counted() { --alive; }
  std::string text;
};

class TaskTest : public ::testing::Test {
 protected:
  void SetUp() override { Counted::alive = 0; }
  void TearDown() override { EXPECT_EQ(Counted::alive, 0); }
};

using Tickets = std::vector<Completion<int>::Ticket>;

// A string long enough to live on the heap, where ASan sees a second destruction.
std::string long_text(std::string text) {
  return text + std::string(64, '.');
}

Task<int> ready(int value) {
  co_return value;
}

Task<int> waits(Tickets& tickets) {
  Counted local;
  Completion<int> done;
  tickets.push_back(done.ticket());
  const int value = co_await done;
  co_return value;
}

Task<void> stores(Tickets& tickets, int& out) {
  Counted local;
  const int value = co_await waits(tickets);
  out = value;
}

Task<int> nested(Tickets& tickets, int depth) {
  Counted local(long_text("nested"));
  if (depth == 0) {
    const int leaf = co_await waits(tickets);
    co_return leaf;
  }
  const int below = co_await nested(tickets, depth - 1);
  co_return below + 1;
}

Task<void> stores_nested(Tickets& tickets, int depth, int& out) {
  const int value = co_await nested(tickets, depth);
  out = value;
}

TEST_F(TaskTest, IsLazyAndFinishesInline) {
  Task<int> task = ready(7);
  EXPECT_FALSE(task.is_finished());
  task.start();
  ASSERT_TRUE(task.is_finished());
  EXPECT_EQ(task.take_result(), 7);
}

TEST_F(TaskTest, NeverStartedFrameIsFreed) {
  Tickets tickets;
  { Task<int> task = nested(tickets, 3); }
  EXPECT_TRUE(tickets.empty());
}

TEST_F(TaskTest, SpawnedTaskLivesUntilCompleted) {
  TaskOwner owner;
  Tickets tickets;
  int out = 0;
  owner.spawn(stores(tickets, out));
  EXPECT_EQ(owner.size(), 1U);
  EXPECT_EQ(out, 0);
  tickets[0].complete(5);
  EXPECT_EQ(out, 5);
  EXPECT_EQ(owner.size(), 0U);
  tickets[0].complete(6);  // late: ignored
  EXPECT_EQ(out, 5);
  EXPECT_FALSE(tickets[0].is_awaited());
}

TEST_F(TaskTest, NestedTasksResumeTheirParents) {
  TaskOwner owner;
  Tickets tickets;
  int out = 0;
  owner.spawn(stores_nested(tickets, 10, out));
  EXPECT_EQ(Counted::alive, 12);
  tickets[0].complete(100);
  EXPECT_EQ(out, 110);
  EXPECT_EQ(owner.size(), 0U);
}

TEST_F(TaskTest, DeepNestingDoesNotNeedTheStackToResume) {
  TaskOwner owner;
  Tickets tickets;
  int out = 0;
  constexpr int kDepth = 20'000;
  owner.spawn(stores_nested(tickets, kDepth, out));
  tickets[0].complete(0);
  EXPECT_EQ(out, kDepth);
}

TEST_F(TaskTest, OwnerDestroyedWhileChildIsSuspended) {
  Tickets tickets;
  int out = 0;
  {
    TaskOwner owner;
    owner.spawn(stores_nested(tickets, 4, out));
    owner.spawn(stores(tickets, out));
    EXPECT_GT(Counted::alive, 0);
  }
  EXPECT_EQ(Counted::alive, 0);
  for (auto& ticket : tickets) {
    EXPECT_FALSE(ticket.is_awaited());
    ticket.complete(1);
  }
  EXPECT_EQ(out, 0);
}

TEST_F(TaskTest, TaskAssignmentDestroysTheOldFrame) {
  Tickets tickets;
  Task<int> task = waits(tickets);
  task.start();
  EXPECT_EQ(Counted::alive, 1);
  task = ready(1);
  EXPECT_EQ(Counted::alive, 0);
  EXPECT_FALSE(tickets[0].is_awaited());
}

// --- completions
// -------------------------------------------------------------------------------------

Task<void> completes_itself(std::vector<int>& out) {
  Completion<int> done;
  done.ticket().complete(3);
  const int value = co_await done;
  out.push_back(value);
}

TEST_F(TaskTest, CompletingBeforeAwaiting) {
  TaskOwner owner;
  std::vector<int> out;
  owner.spawn(completes_itself(out));
  EXPECT_EQ(out, std::vector<int>({3}));
  EXPECT_EQ(owner.size(), 0U);
}

Task<void> inline_loop(int rounds, int& sum) {
  for (int i = 0; i < rounds; ++i) {
    Completion<int> done;
    done.ticket().complete(1);
    const int a = co_await done;
    const int b = co_await ready(1);
    sum += a + b;
  }
}

TEST_F(TaskTest, LongLoopsOfInlineResultsNeedNoStack) {
  TaskOwner owner;
  int sum = 0;
  owner.spawn(inline_loop(50'000, sum));
  EXPECT_EQ(sum, 100'000);
}

Task<void> suspended_loop(int rounds, Completion<int>::Ticket& ticket, int& sum) {
  for (int i = 0; i < rounds; ++i) {
    Completion<int> done;
    ticket = done.ticket();
    const int value = co_await done;
    sum += value;
  }
}

TEST_F(TaskTest, LongLoopsOfSuspensionsNeedNoStack) {
  TaskOwner owner;
  Completion<int>::Ticket ticket;
  int sum = 0;
  owner.spawn(suspended_loop(10'000, ticket, sum));
  for (int i = 0; i < 10'000; ++i) {
    const auto current = ticket;
    current.complete(1);
  }
  EXPECT_EQ(sum, 10'000);
  EXPECT_EQ(owner.size(), 0U);
}

Task<void> waits_for_news(Completion<void>& done, int& count) {
  co_await done;
  ++count;
}

TEST_F(TaskTest, VoidCompletion) {
  TaskOwner owner;
  Completion<void> done;
  int count = 0;
  owner.spawn(waits_for_news(done, count));
  done.ticket().complete();
  done.ticket().complete();
  EXPECT_EQ(count, 1);
  EXPECT_TRUE(done.is_completed());
}

TEST_F(TaskTest, CompletionOutsideTheTaskOutlivesIt) {
  Completion<void> done;
  int count = 0;
  {
    TaskOwner owner;
    owner.spawn(waits_for_news(done, count));
  }
  done.ticket().complete();  // must not resume the frame that is gone
  EXPECT_EQ(count, 0);
}

TEST_F(TaskTest, CompletionOutsideTheTaskDiesFirst) {
  TaskOwner owner;
  auto done = std::make_unique<Completion<void>>();
  const auto ticket = done->ticket();
  int count = 0;
  owner.spawn(waits_for_news(*done, count));
  done.reset();
  ticket.complete();
  EXPECT_EQ(count, 0);
  EXPECT_EQ(owner.size(), 1U);
  owner.cancel_all();
}

TEST_F(TaskTest, DefaultTicketIsIgnored) {
  const Completion<int>::Ticket ticket;
  EXPECT_FALSE(ticket.is_awaited());
  ticket.complete(1);
}

// --- move-only and non-trivial values
// ----------------------------------------------------------------

Task<std::unique_ptr<Counted>> make_counted(std::unique_ptr<Counted> in) {
  in->text += "!";
  co_return std::move(in);
}

Task<void> passes_move_only(Completion<std::unique_ptr<Counted>>::Ticket& ticket,
                            std::string& out) {
  Completion<std::unique_ptr<Counted>> done;
  ticket = done.ticket();
  std::unique_ptr<Counted> value = co_await done;
  Task<std::unique_ptr<Counted>> next = make_counted(std::move(value));
  const std::unique_ptr<Counted> result = co_await std::move(next);
  out = result->text;
}

TEST_F(TaskTest, MoveOnlyValues) {
  TaskOwner owner;
  Completion<std::unique_ptr<Counted>>::Ticket ticket;
  std::string out;
  owner.spawn(passes_move_only(ticket, out));
  ticket.complete(std::make_unique<Counted>(long_text("v")));
  EXPECT_EQ(out, long_text("v") + "!");
}

Task<Counted> echo(Counted in, std::string suffix) {
  in.text += suffix;
  co_return in;
}

// The form `auto v = co_await f(args)` with arguments that need destruction.
Task<void> temporaries_in_calls(std::string& out) {
  Counted seed(long_text("seed"));
  const std::string suffix = long_text("suffix");
  auto first = co_await echo(seed, suffix);
  auto second = co_await echo(std::move(first), suffix);
  out = second.text;
}

TEST_F(TaskTest, ArgumentsByValueAreDestroyedOnce) {
  TaskOwner owner;
  std::string out;
  owner.spawn(temporaries_in_calls(out));
  EXPECT_EQ(out, long_text("seed") + long_text("suffix") + long_text("suffix"));
}

struct Pair {
  Counted a;
  std::unique_ptr<int> b;
};

Task<Pair> make_pair_later(Tickets& tickets) {
  const int value = co_await waits(tickets);
  Pair pair;
  pair.a.text = long_text("a");
  pair.b = std::make_unique<int>(value);
  co_return pair;
}

Task<void> takes_pair(Tickets& tickets, int& out) {
  Pair pair = co_await make_pair_later(tickets);
  out = *pair.b;
}

TEST_F(TaskTest, AggregatesAsResults) {
  TaskOwner owner;
  Tickets tickets;
  int out = 0;
  owner.spawn(takes_pair(tickets, out));
  owner.spawn(takes_pair(tickets, out));  // this one is cancelled
  tickets[0].complete(9);
  EXPECT_EQ(out, 9);
}

// --- several children
// --------------------------------------------------------------------------------

Task<void> joins(Tickets& tickets, int& out) {
  Task<int> a = nested(tickets, 2);
  a.start();
  Task<int> b = waits(tickets);
  b.start();
  Task<int> c = ready(1000);
  c.start();
  const int first = co_await std::move(a);
  const int second = co_await std::move(b);
  const int third = co_await std::move(c);
  out = first + second + third;
}

TEST_F(TaskTest, ChildrenStartedTogetherFinishInAnyOrder) {
  for (const bool reverse : {false, true}) {
    TaskOwner owner;
    Tickets tickets;
    int out = 0;
    owner.spawn(joins(tickets, out));
    ASSERT_EQ(tickets.size(), 2U);
    tickets[reverse ? 1 : 0].complete(10);
    tickets[reverse ? 0 : 1].complete(20);
    EXPECT_EQ(out, 1032);
    EXPECT_EQ(owner.size(), 0U);
  }
}

TEST_F(TaskTest, CancellingAJoinCancelsItsChildren) {
  Tickets tickets;
  int out = 0;
  {
    TaskOwner owner;
    owner.spawn(joins(tickets, out));
    tickets[1].complete(1);
  }
  tickets[0].complete(1);
  EXPECT_EQ(out, 0);
}

// --- owners
// ------------------------------------------------------------------------------------------

struct Room {
  Counted counted;
  Completion<void> opened;
  std::unique_ptr<Room>* holder = nullptr;
  std::vector<std::string>* log = nullptr;
  TaskOwner tasks;

  // Destroys the room that owns this task, then goes on: it must die at its next suspension.
  Task<void> destroy_self(std::vector<std::string>* out) {
    Counted local;
    holder->reset();
    out->push_back("after destruction");
    co_await ready(1);
    out->push_back("not reached");
  }
  Task<void> destroy_self_and_return(std::vector<std::string>* out) {
    holder->reset();
    out->push_back("returned");
    co_return;
  }
  Task<int> destroy_from_child() {
    Counted local;
    co_await opened;
    holder->reset();
    co_return 1;
  }
  Task<void> await_child(std::vector<std::string>* out) {
    Counted local;
    const int value = co_await destroy_from_child();
    out->push_back("not reached " + std::to_string(value));
  }
  Task<void> start_child(std::vector<std::string>* out) {
    Counted local;
    Task<int> child = destroy_from_child();
    child.start();
    const int value = co_await std::move(child);
    out->push_back("not reached " + std::to_string(value));
  }
  Task<void> cancel_all_then_wait() {
    Counted local;
    tasks.cancel_all();
    log->push_back("cancelled");
    co_await opened;
    log->push_back("not reached");
  }
  Task<void> spawns(int depth) {
    Counted local;
    if (depth > 0) {
      tasks.spawn(spawns(depth - 1));
      tasks.spawn(spawns(depth - 1));
    }
    log->push_back("spawned");
    Completion<int> never;
    co_await never;
  }
};

struct RoomTest : TaskTest {
  RoomTest() : room(std::make_unique<Room>()) {
    room->holder = &room;
    room->log = &log;
  }
  void TearDown() override {
    room.reset();
    TaskTest::TearDown();
  }
  void SetUp() override { Counted::alive = 1; }  // the room stands already
  std::unique_ptr<Room> room;
  std::vector<std::string> log;
};

TEST_F(RoomTest, TaskDestroysItsOwnerOnItsFirstRun) {
  room->tasks.spawn(room->destroy_self(&log));
  EXPECT_EQ(room, nullptr);
  EXPECT_EQ(log, std::vector<std::string>({"after destruction"}));
}

TEST_F(RoomTest, TaskDestroysItsOwnerAndReturns) {
  room->tasks.spawn(room->destroy_self_and_return(&log));
  EXPECT_EQ(log, std::vector<std::string>({"returned"}));
}

TEST_F(RoomTest, ChildDestroysTheOwnerWhenResumed) {
  room->tasks.spawn(room->await_child(&log));
  const auto ticket = room->opened.ticket();
  ticket.complete();
  EXPECT_EQ(room, nullptr);
  EXPECT_TRUE(log.empty());
}

TEST_F(RoomTest, StartedChildDestroysTheOwnerOfItsParent) {
  room->tasks.spawn(room->start_child(&log));
  const auto ticket = room->opened.ticket();
  ticket.complete();
  EXPECT_EQ(room, nullptr);
  EXPECT_TRUE(log.empty());
}

TEST_F(RoomTest, TaskCancelsItself) {
  room->tasks.spawn(room->cancel_all_then_wait());
  EXPECT_EQ(room->tasks.size(), 0U);
  room->opened.ticket().complete();
  EXPECT_EQ(log, std::vector<std::string>({"cancelled"}));
}

TEST_F(RoomTest, TasksSpawnTasks) {
  room->tasks.spawn(room->spawns(6));
  EXPECT_EQ(room->tasks.size(), 127U);
  EXPECT_EQ(log.size(), 127U);
}

// A local whose destructor does something when the frame is cancelled.
struct OnDestruction {
  std::function<void()> action;
  ~OnDestruction() { action(); }
};

Task<void> acts_when_cancelled(Completion<int>& never, std::function<void()> action) {
  OnDestruction guard{std::move(action)};
  co_await never;
}

TEST_F(TaskTest, CancellationThatCompletesAndSpawnsOthers) {
  Tickets tickets;
  Completion<int> never_a;
  Completion<int> never_b;
  int out = 0;
  bool late = false;
  {
    TaskOwner owner;
    owner.spawn(stores(tickets, out));
    owner.spawn(acts_when_cancelled(never_a, [&] { tickets[0].complete(4); }));
    owner.spawn(acts_when_cancelled(never_b, [&] {
      owner.spawn(stores(tickets, out));
      late = true;
    }));
  }
  EXPECT_TRUE(late);
  EXPECT_EQ(out, 4);
}

TEST_F(TaskTest, TaskCompletesAnotherTask) {
  TaskOwner owner;
  Tickets tickets;
  std::vector<int> out(3);
  for (int& value : out) owner.spawn(stores(tickets, value));
  Completion<int> trigger;
  owner.spawn(acts_when_cancelled(trigger, [&] {
    for (const auto& ticket : Tickets(tickets)) ticket.complete(8);
  }));
  trigger.ticket().complete(0);
  EXPECT_EQ(out, std::vector<int>({8, 8, 8}));
  EXPECT_EQ(owner.size(), 0U);
}

TEST_F(TaskTest, ManyTasksInRandomOrder) {
  SeededRng rng(1);
  TaskOwner owner;
  Tickets tickets;
  std::vector<int> out(5'000);
  for (std::size_t i = 0; i < out.size(); ++i) {
    owner.spawn(stores_nested(tickets, static_cast<int>(i % 5), out[i]));
  }
  std::vector<std::size_t> order(out.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
  const std::size_t half = order.size() / 2;
  for (std::size_t i = 0; i < half; ++i) tickets[order[i]].complete(10);
  EXPECT_EQ(owner.size(), order.size() - half);
  for (std::size_t i = 0; i < order.size(); ++i) {
    EXPECT_EQ(out[order[i]], i < half ? 10 + static_cast<int>(order[i] % 5) : 0);
  }
}

// A random mix of everything at once; what counts is that the sanitizers and Counted stay silent.
Task<void> random_walk(SeededRng& rng, Tickets& tickets, TaskOwner& owner, int budget) {
  Counted local(long_text("walk"));
  while (budget-- > 0) {
    switch (rng.below(4)) {
      case 0: {
        const int value = co_await waits(tickets);
        budget += value;
        break;
      }
      case 1: {
        const int value = co_await nested(tickets, static_cast<int>(rng.below(4)));
        budget -= value;
        break;
      }
      case 2:
        if (owner.size() < 50) owner.spawn(random_walk(rng, tickets, owner, budget / 2));
        break;
      default: {
        Task<int> child = waits(tickets);
        child.start();
        if (rng.below(2) == 0) {
          const int value = co_await std::move(child);
          budget += value;
        }
        break;
      }
    }
  }
}

TEST_F(TaskTest, RandomWalks) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SeededRng rng(seed);
    Tickets tickets;
    TaskOwner owner;
    for (int step = 0; step < 300; ++step) {
      const auto action = rng.below(20);
      if (action == 0) {
        owner.cancel_all();
      } else if (action < 5 || tickets.empty()) {
        owner.spawn(random_walk(rng, tickets, owner, 8));
      } else {
        const std::size_t index = rng.below(tickets.size());
        const auto ticket = tickets[index];
        tickets[index] = tickets.back();
        tickets.pop_back();
        ticket.complete(static_cast<int>(rng.below(2)));
      }
    }
  }
}

// Tickets may travel to another thread and die there, as long as complete() is called at home.
TEST_F(TaskTest, TicketsTravelThroughThreads) {
  TaskOwner owner;
  Tickets tickets;
  int out = 0;
  owner.spawn(stores(tickets, out));
  Tickets back;
  std::thread worker([&back, ticket = tickets[0]] { back.push_back(ticket); });
  tickets.clear();
  worker.join();
  back[0].complete(2);
  EXPECT_EQ(out, 2);
}

TEST(TaskDeathTest, MisuseIsCaught) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        Task<int> task = ready(1);
        task.start();
        task.start();
      },
      "started");
  EXPECT_DEATH({ ready(1).take_result(); }, "is_finished");
}

}  // namespace
}  // namespace xmpp
