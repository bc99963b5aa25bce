// Torture test of Task and Completion, meant for ASan, UBSan and TSan builds: cancellation at every
// kind of suspension point, completions that are late, early, inline or never come. It also pins
// down which co_await forms GCC 12 compiles correctly.
#include "xmpp/base/task.h"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "unit/base/task_fixture.h"

namespace xmpp {
namespace {

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

Task<int> throws_after(Tickets& tickets) {
  Counted local(long_text("throws"));
  const int value = co_await waits(tickets);
  if (value > 0) throw std::runtime_error(long_text("thrown"));
  co_return value;
}

Task<void> catches(Tickets& tickets, std::string& out) {
  Counted local;
  Task<int> child = throws_after(tickets);
  try {
    const int value = co_await std::move(child);
    out = "value " + std::to_string(value);
  } catch (const std::runtime_error& error) {
    out = error.what();
  }
}

Task<void> lets_through(Tickets& tickets) {
  Counted local;
  (void)co_await throws_after(tickets);
}

TEST_F(TaskTest, ExceptionsReachWhoAwaits) {
  TaskOwner owner;
  Tickets tickets;
  std::string out;
  owner.spawn(catches(tickets, out));
  tickets[0].complete(1);
  EXPECT_EQ(out, long_text("thrown"));
  owner.spawn(catches(tickets, out));
  tickets[1].complete(0);
  EXPECT_EQ(out, "value 0");
  EXPECT_EQ(owner.size(), 0U);
  Task<int> alone = throws_after(tickets);
  alone.start();
  tickets[2].complete(1);
  ASSERT_TRUE(alone.is_finished());
  EXPECT_THROW((void)alone.take_result(), std::runtime_error);
}

TEST_F(TaskTest, ExceptionsOfSpawnedTasksGoToTheHandler) {
  static int noted;
  noted = 0;
  on_task_exception([](const std::exception_ptr& thrown) noexcept {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::runtime_error& error) {
      noted += error.what() == long_text("thrown") ? 1 : 100;
    }
  });
  TaskOwner owner;
  Tickets tickets;
  owner.spawn(lets_through(tickets));
  owner.spawn(lets_through(tickets));
  tickets[0].complete(1);
  tickets[1].complete(1);
  EXPECT_EQ(noted, 2);
  EXPECT_EQ(owner.size(), 0U);
  on_task_exception(nullptr);
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

// --- completions ---

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

// --- move-only and non-trivial values ---

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

// --- several children ---

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
