// Reading /proc.
#include "process_stats.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace xmppbench {
namespace {

TEST(ProcessStats, StatLineWithAnAwkwardName) {
  const auto line =
      parse_stat_line("42 (a b) c) S 7 42 42 0 -1 4194560 1 2 3 4 150 25 9 9 20 0 1 0 100 1 2");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->parent, 7);
  EXPECT_EQ(line->ticks, 175U);
  EXPECT_FALSE(parse_stat_line(""));
  EXPECT_FALSE(parse_stat_line("42 (x) S 7 42"));
}

TEST(ProcessStats, ReadsItself) {
  const auto stats = read_process_stats(::getpid(), true);
  ASSERT_TRUE(stats);
  EXPECT_EQ(stats->processes, 1);
  if (stats->has_pss) {
    EXPECT_GT(stats->pss_kb, 100);
  }
  EXPECT_GT(own_cpu_s(), 0);
  EXPECT_FALSE(read_process_stats(999'999'999, true));
}

}  // namespace
}  // namespace xmppbench
