// Error bounds, percentiles and merging of Histogram.
#include "histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace xmppbench {
namespace {

TEST(Histogram, EmptyGivesZeros) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0U);
  EXPECT_EQ(histogram.min(), 0U);
  EXPECT_EQ(histogram.max(), 0U);
  EXPECT_EQ(histogram.value_at(99), 0U);
  EXPECT_EQ(histogram.mean(), 0.0);
}

TEST(Histogram, SmallValuesAreExact) {
  Histogram histogram;
  for (int value = 1; value <= 2000; ++value) histogram.record(value);
  EXPECT_EQ(histogram.value_at(50), 1000U);
  EXPECT_EQ(histogram.value_at(99), 1980U);
  EXPECT_EQ(histogram.value_at(100), 2000U);
  EXPECT_EQ(histogram.value_at(0), 1U);
  EXPECT_EQ(histogram.min(), 1U);
  EXPECT_DOUBLE_EQ(histogram.mean(), 1000.5);
}

TEST(Histogram, EveryValueKeepsThreeDigits) {
  for (std::uint64_t value = 1; value < Histogram::kHighest; value = value * 5 / 4 + 1) {
    Histogram histogram;
    histogram.record(static_cast<std::int64_t>(value));
    // A larger one, so that the result is not clipped to the maximum.
    histogram.record(static_cast<std::int64_t>(Histogram::kHighest));
    const std::uint64_t found = histogram.value_at(50);
    EXPECT_GE(found, value);
    EXPECT_LE(static_cast<double>(found), static_cast<double>(value) * (1 + 1.0 / 1024)) << value;
  }
}

TEST(Histogram, BordersOfBucketsStayInOrder) {
  for (unsigned bit = 10; bit < 40; ++bit) {
    for (const std::int64_t offset : {-1, 0, 1}) {
      const std::int64_t value = (std::int64_t{1} << bit) + offset;
      Histogram histogram;
      histogram.record(value);
      histogram.record(static_cast<std::int64_t>(Histogram::kHighest));
      EXPECT_GE(static_cast<std::int64_t>(histogram.value_at(50)), value);
      EXPECT_LE(static_cast<std::int64_t>(histogram.value_at(50)), value + value / 1024 + 1);
    }
  }
}

TEST(Histogram, PercentilesOfRandomValuesMatchSorting) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> latency(7.0, 2.0);
  Histogram histogram;
  std::vector<std::int64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(static_cast<std::int64_t>(latency(random)));
    histogram.record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double percent : {1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 99.99}) {
    const auto rank =
        static_cast<std::size_t>(std::ceil(static_cast<double>(values.size()) * percent / 100));
    const auto exact = static_cast<double>(values[rank - 1]);
    const auto found = static_cast<double>(histogram.value_at(percent));
    EXPECT_GE(found, exact) << percent;
    EXPECT_LE(found, exact * (1 + 1.0 / 1024) + 1) << percent;
  }
}

TEST(Histogram, MergeIsAsIfRecordedInOne) {
  Histogram one;
  Histogram other;
  Histogram all;
  for (std::int64_t i = 0; i < 5000; ++i) {
    const std::int64_t value = i * i;
    (i % 3 == 0 ? one : other).record(value);
    all.record(value);
  }
  one.merge(other);
  one.merge(Histogram());
  EXPECT_EQ(one.count(), all.count());
  EXPECT_EQ(one.min(), all.min());
  EXPECT_EQ(one.max(), all.max());
  EXPECT_DOUBLE_EQ(one.mean(), all.mean());
  for (double percent = 0; percent <= 100; percent += 0.5) {
    EXPECT_EQ(one.value_at(percent), all.value_at(percent));
  }
}

TEST(Histogram, ExtremesDoNotBreakIt) {
  Histogram histogram;
  histogram.record(-5);
  histogram.record(INT64_MAX);
  EXPECT_EQ(histogram.min(), 0U);
  EXPECT_EQ(histogram.max(), static_cast<std::uint64_t>(INT64_MAX));
  EXPECT_EQ(histogram.value_at(100), Histogram::kHighest);
}

}  // namespace
}  // namespace xmppbench
