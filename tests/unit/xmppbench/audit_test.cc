// Lost, duplicated and reordered messages are counted exactly; tags survive their text form.
#include "audit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace xmppbench {
namespace {

using Arrival = Audit::Arrival;

struct Counts {
  int reordered = 0;
  int duplicated = 0;
};

Counts arrive(Audit& audit, const std::vector<std::uint64_t>& numbers) {
  Counts counts;
  for (const std::uint64_t number : numbers) {
    const Arrival arrival = audit.on_arrival(number);
    counts.reordered += arrival == Arrival::reordered ? 1 : 0;
    counts.duplicated += arrival == Arrival::duplicated ? 1 : 0;
  }
  return counts;
}

struct Case {
  const char* name;
  std::vector<std::uint64_t> arrivals;
  std::uint64_t sent;
  std::uint64_t lost;
  int reordered;
  int duplicated;
};

TEST(Audit, Table) {
  const Case cases[] = {
      {"nothing sent", {}, 0, 0, 0, 0},
      {"nothing arrived", {}, 7, 7, 0, 0},
      {"in order", {0, 1, 2, 3}, 4, 0, 0, 0},
      {"the end is lost", {0, 1}, 4, 2, 0, 0},
      {"the beginning is lost", {2, 3}, 4, 2, 0, 0},
      {"a hole", {0, 3}, 4, 2, 0, 0},
      {"swapped", {1, 0}, 2, 0, 1, 0},
      {"one late", {0, 2, 3, 1}, 4, 0, 1, 0},
      {"doubled at once", {0, 0, 1, 1}, 2, 0, 0, 2},
      {"doubled later", {0, 1, 2, 0}, 3, 0, 0, 1},
      {"late and doubled", {0, 2, 1, 1}, 3, 0, 1, 1},
      {"from the middle of a hole", {9, 4, 4, 3, 5}, 10, 6, 3, 1},
      {"a hole filled from both ends", {5, 0, 4, 1, 3, 2}, 6, 0, 5, 0},
  };
  for (const Case& item : cases) {
    Audit audit;
    const Counts counts = arrive(audit, item.arrivals);
    EXPECT_EQ(audit.lost(0, item.sent), item.lost) << item.name;
    EXPECT_EQ(counts.reordered, item.reordered) << item.name;
    EXPECT_EQ(counts.duplicated, item.duplicated) << item.name;
  }
}

TEST(Audit, LossIsCountedPerPhase) {
  Audit audit;
  arrive(audit, {0, 2, 3, 6});  // 1 lost in the warm-up [0, 3), 4 5 7 in the measured [3, 8)
  EXPECT_EQ(audit.lost(0, 3), 1U);
  EXPECT_EQ(audit.lost(3, 8), 3U);
  EXPECT_EQ(audit.lost(5, 6), 1U);
  EXPECT_EQ(audit.lost(8, 8), 0U);
}

TEST(Audit, RandomArrivalsAgreeWithASet) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    const std::uint64_t sent = 1 + random() % 60;
    std::vector<std::uint64_t> arrivals;
    for (std::uint64_t i = 0; i < sent; ++i) {
      for (std::uint64_t copies = random() % 4; copies > 1; --copies) arrivals.push_back(i);
    }
    std::shuffle(arrivals.begin(), arrivals.end(), random);
    Audit audit;
    std::set<std::uint64_t> seen;
    for (const std::uint64_t number : arrivals) {
      const bool is_first = seen.insert(number).second;
      const bool is_highest = *seen.rbegin() == number;
      const Arrival expected = !is_first     ? Arrival::duplicated
                               : !is_highest ? Arrival::reordered
                                             : Arrival::in_order;
      ASSERT_EQ(audit.on_arrival(number), expected);
    }
    EXPECT_EQ(audit.lost(0, sent), sent - seen.size());
  }
}

TEST(Tag, SurvivesItsText) {
  const Tag tag{0xDEADBEEF, 400, 123'456, xmpp::Instant(xmpp::Duration(98'765'432'101))};
  std::string body(100, '.');
  tag.write(body.data());
  EXPECT_EQ(body.find_first_of("<>&'\""), std::string::npos) << "needs no escaping";
  const auto parsed = Tag::parse(body);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->run, tag.run);
  EXPECT_EQ(parsed->sender, tag.sender);
  EXPECT_EQ(parsed->number, tag.number);
  EXPECT_EQ(parsed->at, tag.at);
  EXPECT_TRUE(Tag::parse(std::string_view(body).substr(0, Tag::kBytes)));
}

TEST(Tag, RefusesOtherBodies) {
  std::string body(Tag::kBytes, '.');
  Tag{1, 2, 3, {}}.write(body.data());
  EXPECT_TRUE(Tag::parse(body));
  EXPECT_FALSE(Tag::parse(""));
  EXPECT_FALSE(Tag::parse("hello"));
  EXPECT_FALSE(Tag::parse(std::string_view(body).substr(1)));
  EXPECT_FALSE(Tag::parse(std::string_view(body).substr(0, Tag::kBytes - 1)));
  for (const std::size_t at : {0U, 2U, 11U, 20U, 29U, 43U}) {
    std::string wrong = body;
    wrong[at] = 'g';
    EXPECT_FALSE(Tag::parse(wrong)) << at;
  }
}

}  // namespace
}  // namespace xmppbench
