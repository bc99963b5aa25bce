// What the torture tests of Task share: a counter of what lives in frames, and small coroutines.
//
// Thread-safety: one thread.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "xmpp/base/task.h"

namespace xmpp {

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
inline std::string long_text(std::string text) {
  return text + std::string(64, '.');
}

inline Task<int> ready(int value) {
  co_return value;
}

inline Task<int> waits(Tickets& tickets) {
  Counted local;
  Completion<int> done;
  tickets.push_back(done.ticket());
  const int value = co_await done;
  co_return value;
}

inline Task<void> stores(Tickets& tickets, int& out) {
  Counted local;
  const int value = co_await waits(tickets);
  out = value;
}

inline Task<int> nested(Tickets& tickets, int depth) {
  Counted local(long_text("nested"));
  if (depth == 0) {
    const int leaf = co_await waits(tickets);
    co_return leaf;
  }
  const int below = co_await nested(tickets, depth - 1);
  co_return below + 1;
}

inline Task<void> stores_nested(Tickets& tickets, int depth, int& out) {
  const int value = co_await nested(tickets, depth);
  out = value;
}

}  // namespace xmpp
