// Histogram: counts of durations in the manner of HdrHistogram: buckets whose width doubles with
// the value, so that any percentile is known to three significant digits from a few microseconds to
// hours in constant memory, and recording is two shifts and an increment. Mergeable.
//
// Thread-safety: one thread; merge after the writers are done.
// Invariants: value_at() is never below the true value and exceeds it by less than 1/1,024 of it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace xmppbench {

class Histogram {
 public:
  // Values above are counted as this one (12.7 days in microseconds); max() stays exact.
  static constexpr std::uint64_t kHighest = (std::uint64_t{1} << 40) - 1;

  Histogram();

  // Negative values (clocks of one machine never give them) count as zero.
  void record(std::int64_t value, std::uint64_t times = 1) noexcept {
    const auto unsigned_value = static_cast<std::uint64_t>(std::max<std::int64_t>(value, 0));
    counts_[index_of(std::min(unsigned_value, kHighest))] += times;
    count_ += times;
    sum_ += unsigned_value * times;
    min_ = std::min(min_, unsigned_value);
    max_ = std::max(max_, unsigned_value);
  }
  void merge(const Histogram& other) noexcept;

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t min() const noexcept { return count_ == 0 ? 0 : min_; }
  [[nodiscard]] std::uint64_t max() const noexcept { return max_; }
  [[nodiscard]] double mean() const noexcept;
  // The smallest value that `percent` of all values do not exceed, e.g. 99.9. 0 if empty.
  [[nodiscard]] std::uint64_t value_at(double percent) const noexcept;

 private:
  // Values below 2^kPrecisionBits have a bucket each; every doubling above has
  // 2^(kPrecisionBits-1).
  static constexpr unsigned kPrecisionBits = 11;

  [[nodiscard]] static std::size_t index_of(std::uint64_t value) noexcept;
  [[nodiscard]] static std::uint64_t highest_in(std::size_t index) noexcept;

  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t min_ = ~std::uint64_t{0};
  std::uint64_t max_ = 0;
};

}  // namespace xmppbench
