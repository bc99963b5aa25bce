// Torture test of TaskOwner, meant for ASan, UBSan and TSan builds: owners that die while their own
// task runs, cancellation that starts and ends other tasks, and random mixes of everything.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "unit/base/task_fixture.h"
#include "xmpp/base/random.h"
#include "xmpp/base/task.h"

namespace xmpp {
namespace {

struct TaskOwnerTest : TaskTest {};

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

TEST_F(TaskOwnerTest, CancellationThatCompletesAndSpawnsOthers) {
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

TEST_F(TaskOwnerTest, TaskCompletesAnotherTask) {
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

TEST_F(TaskOwnerTest, ManyTasksInRandomOrder) {
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

TEST_F(TaskOwnerTest, RandomWalks) {
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
TEST_F(TaskOwnerTest, TicketsTravelThroughThreads) {
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

}  // namespace
}  // namespace xmpp
