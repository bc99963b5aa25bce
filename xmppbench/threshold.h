// Threshold: a condition on a figure of the report, e.g. "p99<50ms" or "lost=0". A run that misses
// one ends with exit code 99.
//
// Thread-safety: values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "xmpp/base/result.h"

namespace xmppbench {

struct Threshold {
  enum class Compare : std::uint8_t { less, less_equal, greater, greater_equal, equal, not_equal };
  std::string metric;
  Compare compare = Compare::less;
  double value = 0;  // durations in microseconds
  std::string text;  // as typed

  [[nodiscard]] bool holds(double measured) const noexcept;
};

// Names that thresholds may use; find_metric() of the report knows them all.
[[nodiscard]] const std::vector<std::string_view>& metric_names();

// A comma-separated list: NAME (< | <= | > | >= | = | !=) NUMBER [us|ms|s]. The error is for
// people.
[[nodiscard]] xmpp::Result<std::vector<Threshold>, std::string> parse_thresholds(
    std::string_view text);

}  // namespace xmppbench
