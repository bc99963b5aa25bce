// Buckets and percentiles of Histogram.
#include "histogram.h"

#include <bit>
#include <cmath>

namespace xmppbench {

std::size_t Histogram::index_of(std::uint64_t value) noexcept {
  constexpr std::uint64_t kExact = std::uint64_t{1} << kPrecisionBits;
  if (value < kExact) return static_cast<std::size_t>(value);
  const auto shift = static_cast<unsigned>(std::bit_width(value)) - kPrecisionBits;
  // value >> shift lies in [kExact / 2, kExact); each shift has a row of kExact / 2 buckets.
  return static_cast<std::size_t>((value >> shift) + shift * (kExact / 2));
}

std::uint64_t Histogram::highest_in(std::size_t index) noexcept {
  constexpr std::uint64_t kHalf = std::uint64_t{1} << (kPrecisionBits - 1);
  if (index < 2 * kHalf) return index;
  const std::uint64_t shift = index / kHalf - 1;
  const std::uint64_t top = index - shift * kHalf;
  return ((top + 1) << shift) - 1;
}

Histogram::Histogram() : counts_(index_of(kHighest) + 1) {}

void Histogram::merge(const Histogram& other) noexcept {
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
}

double Histogram::mean() const noexcept {
  return count_ == 0 ? 0.0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

std::uint64_t Histogram::value_at(double percent) const noexcept {
  if (count_ == 0) return 0;
  const double exact = std::ceil(static_cast<double>(count_) * percent / 100.0);
  const auto wanted = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(exact), 1, count_);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen >= wanted) return std::min(highest_in(i), max_);
  }
  return max_;
}

}  // namespace xmppbench
