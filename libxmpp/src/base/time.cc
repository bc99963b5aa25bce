// See xmpp/base/time.h. Text forms: XEP-0082 sections 3.2 and 4 (the DateTime profile).
#include "xmpp/base/time.h"

#include <time.h>

#include <array>
#include <cstdio>
#include <limits>

namespace xmpp {
namespace {

using std::chrono::days;
using std::chrono::floor;
using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

Duration read_clock(clockid_t id) noexcept {
  timespec at{};
  clock_gettime(id, &at);
  return seconds(at.tv_sec) + microseconds(at.tv_nsec / 1000);
}

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

// Reads fixed fields from the front of a text; remembers the first failure.
class Fields {
 public:
  explicit Fields(std::string_view text) noexcept : rest_(text) {}

  int number(std::size_t digits) noexcept {
    if (rest_.size() < digits) return fail();
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      if (!is_digit(rest_[i])) return fail();
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(digits);
    return value;
  }
  void expect(char c) noexcept {
    if (!accept(c)) fail();
  }
  bool accept(char c) noexcept {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // The digits of a fraction, cut to microseconds.
  microseconds fraction() noexcept {
    if (rest_.empty() || !is_digit(rest_.front())) fail();
    microseconds value{0};
    int unit = 100'000;
    while (!rest_.empty() && is_digit(rest_.front())) {
      value += microseconds((rest_.front() - '0') * unit);
      unit /= 10;
      rest_.remove_prefix(1);
    }
    return value;
  }
  [[nodiscard]] bool is_done() const noexcept { return good_ && rest_.empty(); }

 private:
  int fail() noexcept {
    good_ = false;
    rest_ = {};
    return 0;
  }
  std::string_view rest_;
  bool good_ = true;
};

// "Z" or "+hh:mm" or "-hh:mm": what to subtract to arrive at UTC. nullopt if out of range.
std::optional<minutes> parse_zone(Fields& fields) noexcept {
  if (fields.accept('Z')) return minutes(0);
  const bool is_west = fields.accept('-');
  if (!is_west) fields.expect('+');
  const int hour = fields.number(2);
  fields.expect(':');
  const int minute = fields.number(2);
  const minutes offset = hours(hour) + minutes(minute);
  if (minute > 59 || offset > hours(14)) return std::nullopt;
  return is_west ? -offset : offset;
}

struct Unit {
  std::string_view suffix;
  Duration length;
};
// From long to short.
constexpr std::array<Unit, 5> kUnits = {{{"d", days(1)},
                                         {"h", hours(1)},
                                         {"m", minutes(1)},
                                         {"s", seconds(1)},
                                         {"ms", milliseconds(1)}}};

}  // namespace

Instant SystemClock::now() noexcept {
  return Instant(read_clock(CLOCK_MONOTONIC));
}

Timestamp SystemClock::wall() noexcept {
  return Timestamp(read_clock(CLOCK_REALTIME));
}

std::string format_timestamp(Timestamp at) {
  const Duration since = at.time_since_epoch();
  const days day = floor<days>(since);
  const std::chrono::year_month_day date{std::chrono::sys_days(day)};
  const std::chrono::hh_mm_ss time(floor<milliseconds>(since - day));
  std::array<char, 64> text{};
  int length = std::snprintf(
      text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
      static_cast<int>(time.seconds().count()));
  std::string out(text.data(), static_cast<std::size_t>(length));
  if (time.subseconds().count() != 0) {
    length = std::snprintf(text.data(), text.size(), ".%03d",
                           static_cast<int>(time.subseconds().count()));
    out.append(text.data(), static_cast<std::size_t>(length));
  }
  out += 'Z';
  return out;
}

std::optional<Timestamp> parse_timestamp(std::string_view text) {
  Fields fields(text);
  const std::chrono::year year{fields.number(4)};
  fields.expect('-');
  const std::chrono::month month{static_cast<unsigned>(fields.number(2))};
  fields.expect('-');
  const std::chrono::day day{static_cast<unsigned>(fields.number(2))};
  fields.expect('T');
  const int hour = fields.number(2);
  fields.expect(':');
  const int minute = fields.number(2);
  fields.expect(':');
  const int second = fields.number(2);
  const microseconds fraction = fields.accept('.') ? fields.fraction() : microseconds(0);
  const std::optional<minutes> zone = parse_zone(fields);
  if (!fields.is_done() || !zone) return std::nullopt;
  const std::chrono::year_month_day date(year, month, day);
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  return Timestamp(std::chrono::sys_days(date).time_since_epoch() + hours(hour) + minutes(minute) +
                   seconds(second) + fraction - *zone);
}

std::optional<Duration> parse_duration(std::string_view text) {
  constexpr auto kMax = std::numeric_limits<Duration::rep>::max();
  Duration::rep value = 0;
  std::size_t digits = 0;
  for (; digits < text.size() && is_digit(text[digits]); ++digits) {
    const int digit = text[digits] - '0';
    if (value > (kMax - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  if (digits == 0) return std::nullopt;
  for (const Unit& unit : kUnits) {
    if (text.substr(digits) != unit.suffix) continue;
    if (value > kMax / unit.length.count()) return std::nullopt;
    return unit.length * value;
  }
  return std::nullopt;
}

std::string format_duration(Duration value) {
  if (value == Duration::zero()) return "0s";
  for (const Unit& unit : kUnits) {
    if (value % unit.length != Duration::zero()) continue;
    return std::to_string(value / unit.length) + std::string(unit.suffix);
  }
  return std::to_string(value.count()) + "us";
}

}  // namespace xmpp
