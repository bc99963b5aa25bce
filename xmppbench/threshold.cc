// Parsing and checking thresholds.
#include "threshold.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <system_error>
#include <utility>

namespace xmppbench {
namespace {

using Compare = Threshold::Compare;

// Longer signs before those that they begin with.
constexpr auto kSigns = std::to_array<std::pair<std::string_view, Compare>>({
    {"<=", Compare::less_equal},
    {">=", Compare::greater_equal},
    {"!=", Compare::not_equal},
    {"==", Compare::equal},
    {"<", Compare::less},
    {">", Compare::greater},
    {"=", Compare::equal},
});

std::string_view trim(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

std::optional<double> parse_value(std::string_view text) {
  double value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc()) return std::nullopt;
  const std::string_view unit(parsed.ptr,
                              static_cast<std::size_t>(text.data() + text.size() - parsed.ptr));
  if (unit == "ms") {
    value *= 1e3;
  } else if (unit == "s") {
    value *= 1e6;
  } else if (!unit.empty() && unit != "us") {
    return std::nullopt;
  }
  // from_chars takes "nan" and "inf", too: a figure compared with these tells nothing.
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

xmpp::Result<Threshold, std::string> parse_threshold(std::string_view text) {
  const auto wrong = [&](const std::string& why) {
    return xmpp::Err("--threshold \"" + std::string(text) + "\": " + why);
  };
  const std::size_t at = text.find_first_of("<>=!");
  if (at == std::string_view::npos) return wrong("expected e.g. p99<50ms or lost=0");
  const auto sign = std::find_if(kSigns.begin(), kSigns.end(), [&](const auto& candidate) {
    return text.substr(at).starts_with(candidate.first);
  });
  if (sign == kSigns.end()) return wrong("expected one of < <= > >= = !=");
  Threshold threshold;
  threshold.metric = trim(text.substr(0, at));
  threshold.compare = sign->second;
  threshold.text = text;
  const auto& names = metric_names();
  if (std::find(names.begin(), names.end(), threshold.metric) == names.end()) {
    std::string known;
    for (const std::string_view name : names) known.append(known.empty() ? "" : ", ").append(name);
    return wrong("no figure is called that; known: " + known);
  }
  const auto value = parse_value(trim(text.substr(at + sign->first.size())));
  if (!value) return wrong("expected a number, with us, ms or s behind it for times");
  threshold.value = *value;
  return threshold;
}

}  // namespace

const std::vector<std::string_view>& metric_names() {
  static const std::vector<std::string_view> names = {"p50",
                                                      "p90",
                                                      "p99",
                                                      "p999",
                                                      "max",
                                                      "mean",
                                                      "lost",
                                                      "duplicated",
                                                      "reordered",
                                                      "errors",
                                                      "sent",
                                                      "received",
                                                      "rate",
                                                      "slip",
                                                      "logins",
                                                      "login_failed",
                                                      "login_rate",
                                                      "login_p50",
                                                      "login_p99",
                                                      "login_max",
                                                      "login_missing",
                                                      "logout_missing",
                                                      "logout_repeated",
                                                      "generator_cpu_us_per_msg",
                                                      "server_cpu_us_per_msg",
                                                      "server_cpu_us_per_login",
                                                      "server_kb_per_session"};
  return names;
}

bool Threshold::holds(double measured) const noexcept {
  switch (compare) {
    case Compare::less:
      return measured < value;
    case Compare::less_equal:
      return measured <= value;
    case Compare::greater:
      return measured > value;
    case Compare::greater_equal:
      return measured >= value;
    case Compare::equal:
      return measured == value;
    case Compare::not_equal:
      break;
  }
  return measured != value;
}

xmpp::Result<std::vector<Threshold>, std::string> parse_thresholds(std::string_view text) {
  std::vector<Threshold> thresholds;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view item = trim(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
    if (item.empty()) continue;
    auto threshold = parse_threshold(item);
    if (!threshold) return xmpp::Err(threshold.error());
    thresholds.push_back(*std::move(threshold));
  }
  return thresholds;
}

}  // namespace xmppbench
