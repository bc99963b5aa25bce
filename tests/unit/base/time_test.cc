// XEP-0082 timestamps and configuration durations.
#include "xmpp/base/time.h"

#include <gtest/gtest.h>

#include "xmpp/base/random.h"

namespace xmpp {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

Timestamp at(std::int64_t s, std::int64_t us = 0) {
  return Timestamp(seconds(s) + microseconds(us));
}

TEST(TimeTest, FormatsTimestamps) {
  EXPECT_EQ(format_timestamp(at(0)), "1970-01-01T00:00:00Z");
  EXPECT_EQ(format_timestamp(at(1031699305)), "2002-09-10T23:08:25Z");
  EXPECT_EQ(format_timestamp(at(1031699305, 7'999)), "2002-09-10T23:08:25.007Z");
  EXPECT_EQ(format_timestamp(at(1031699305, 999)), "2002-09-10T23:08:25Z");
  EXPECT_EQ(format_timestamp(at(-1)), "1969-12-31T23:59:59Z");
  EXPECT_EQ(format_timestamp(at(-1, 500'000)), "1969-12-31T23:59:59.500Z");
  EXPECT_EQ(format_timestamp(at(951'782'400)), "2000-02-29T00:00:00Z");
}

TEST(TimeTest, ParsesTimestamps) {
  const std::pair<const char*, Timestamp> table[] = {
      {"1970-01-01T00:00:00Z", at(0)},
      {"2002-09-10T23:08:25Z", at(1031699305)},
      {"2002-09-10T23:08:25.1Z", at(1031699305, 100'000)},
      {"2002-09-10T23:08:25.123456789Z", at(1031699305, 123'456)},
      {"2002-09-10T23:08:25.00000000000000000000001Z", at(1031699305)},
      {"2002-09-10T17:08:25-06:00", at(1031699305)},
      {"2002-09-11T04:38:25.5+05:30", at(1031699305, 500'000)},
      {"2002-09-10T23:08:25-00:00", at(1031699305)},
      {"2000-02-29T00:00:00Z", at(951'782'400)},
      {"1969-12-31T23:59:59Z", at(-1)},
  };
  for (const auto& [text, expected] : table) EXPECT_EQ(parse_timestamp(text), expected) << text;
}

TEST(TimeTest, RefusesOtherTimestamps) {
  for (const char* text : {"",
                           "2002",
                           "2002-09-10",
                           "2002-09-10T23:08:25",
                           "2002-09-10 23:08:25Z",
                           "2002-09-10t23:08:25Z",
                           "2002-09-10T23:08:25z",
                           "2002-09-10T23:08Z",
                           "2002-09-10T23:08:25.Z",
                           "2002-09-10T23:08:25,1Z",
                           "2002-09-10T23:08:25ZZ",
                           "2002-09-10T23:08:25Z ",
                           " 2002-09-10T23:08:25Z",
                           "2002-9-10T23:08:25Z",
                           "2002-00-10T23:08:25Z",
                           "2002-13-10T23:08:25Z",
                           "2002-09-00T23:08:25Z",
                           "2002-09-31T23:08:25Z",
                           "2001-02-29T00:00:00Z",
                           "1900-02-29T00:00:00Z",
                           "2002-09-10T24:00:00Z",
                           "2002-09-10T23:60:25Z",
                           "2002-09-10T23:08:60Z",
                           "2002-09-10T23:08:25+0100",
                           "2002-09-10T23:08:25+01",
                           "2002-09-10T23:08:25+01:60",
                           "2002-09-10T23:08:25+14:01",
                           "2002-09-10T23:08:25+15:00",
                           "-002-09-10T23:08:25Z",
                           "20020910T23:08:25",
                           "+2002-09-10T23:08:25Z",
                           "12002-09-10T23:08:25Z",
                           "2002-09-10T23:08:25-",
                           "2002-09-10T-3:08:25Z"}) {
    EXPECT_EQ(parse_timestamp(text), std::nullopt) << text;
  }
}

TEST(TimeTest, TimestampsRoundTrip) {
  SeededRng rng(4);
  for (int i = 0; i < 1000; ++i) {
    const Timestamp value{
        milliseconds(static_cast<std::int64_t>(rng.below(8'000'000'000'000)) - 4'000'000'000'000)};
    EXPECT_EQ(parse_timestamp(format_timestamp(value)), value);
  }
}

TEST(TimeTest, Durations) {
  const std::pair<const char*, Duration> table[] = {
      {"500ms", milliseconds(500)}, {"60s", seconds(60)},
      {"5m", minutes(5)},           {"2h", hours(2)},
      {"7d", hours(24 * 7)},        {"0s", seconds(0)},
      {"007s", seconds(7)},         {"1500ms", milliseconds(1500)},
  };
  for (const auto& [text, expected] : table) EXPECT_EQ(parse_duration(text), expected) << text;
  for (const char* text : {"", "5", "s", "-5s", "+5s", "5 s", "5S", "5min", "5us", "1.5s", "5s ",
                           "99999999999999999999s", "9223372036854775807d", "5\0s"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(TimeTest, FormatsDurations) {
  EXPECT_EQ(format_duration(seconds(0)), "0s");
  EXPECT_EQ(format_duration(seconds(60)), "1m");
  EXPECT_EQ(format_duration(seconds(61)), "61s");
  EXPECT_EQ(format_duration(hours(48)), "2d");
  EXPECT_EQ(format_duration(milliseconds(1500)), "1500ms");
  EXPECT_EQ(format_duration(microseconds(1500)), "1500us");
  EXPECT_EQ(format_duration(-seconds(5)), "-5s");
}

TEST(TimeTest, Clocks) {
  ManualClock manual;
  const Instant before = manual.now();
  const Timestamp wall = manual.wall();
  manual.advance(seconds(3));
  EXPECT_EQ(manual.now() - before, seconds(3));
  EXPECT_EQ(manual.wall() - wall, seconds(3));
  SystemClock system;
  const Instant first = system.now();
  EXPECT_LE(first, system.now());
  EXPECT_GT(system.wall(), at(1'600'000'000));
}

}  // namespace
}  // namespace xmpp
