// The open loop: intended times come from the rate alone.
#include "schedule.h"

#include <gtest/gtest.h>

#include <vector>

#include "histogram.h"

namespace xmppbench {
namespace {

using xmpp::Duration;
using xmpp::Instant;

const Instant kStart{Duration(1'000'000)};

TEST(OpenLoop, SpreadsEvenly) {
  OpenLoop loop(kStart, 2000);
  for (int k = 0; k < 10'000; ++k) {
    EXPECT_EQ(loop.next(), kStart + Duration(500 * k));
    loop.advance();
  }
}

TEST(OpenLoop, FractionsDoNotAddUp) {
  const OpenLoop loop(kStart, 3);
  EXPECT_EQ(loop.intended(1), kStart + Duration(333'333));
  EXPECT_EQ(loop.intended(3), kStart + Duration(1'000'000));
  EXPECT_EQ(loop.intended(3'000'000), kStart + Duration(1'000'000'000'000));
}

TEST(OpenLoop, ReactorsShareOneSchedule) {
  OpenLoop whole(kStart, 700);
  std::vector<OpenLoop> shares;
  for (std::uint64_t index = 0; index < 3; ++index) shares.emplace_back(kStart, 700, index, 3);
  for (std::size_t k = 0; k < 100; ++k) {
    EXPECT_EQ(shares[k % 3].next(), whole.next());
    shares[k % 3].advance();
    whole.advance();
  }
}

// A server that stalls for a second while 1,000 messages/s are due: the messages that could not be
// sent meanwhile must show the stall as well. A closed loop would record one slow message and 9,000
// fast ones.
TEST(OpenLoop, AStallIsNotOmitted) {
  OpenLoop loop(kStart, 1000);
  Histogram latency;
  Instant now = kStart;
  const Instant stall_begin = kStart + Duration(4'000'000);
  const Instant stall_end = stall_begin + Duration(1'000'000);
  for (int k = 0; k < 10'000; ++k) {
    now = std::max(now, loop.next());
    if (now >= stall_begin && now < stall_end) now = stall_end;  // nothing moves
    const Instant answered = now + Duration(100);
    latency.record((answered - loop.next()).count());
    loop.advance();
  }
  EXPECT_EQ(latency.value_at(50), 100U);
  // Every message of the stalled second waited: a tenth of all.
  EXPECT_GE(latency.value_at(95), 400'000U);
  EXPECT_GE(latency.max(), 1'000'000U);
}

}  // namespace
}  // namespace xmppbench
