// Result: values, errors, move-only types, and the program errors that it catches.
#include "xmpp/base/result.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace xmpp {
namespace {

enum class Problem { small, large };

Result<int, Problem> half(int value) {
  if (value % 2 != 0) return Err(Problem::small);
  return value / 2;
}

Result<void, Problem> check(bool good) {
  if (!good) return Err(Problem::large);
  return {};
}

TEST(ResultTest, ValuesAndErrors) {
  ASSERT_TRUE(half(4));
  EXPECT_EQ(*half(4), 2);
  EXPECT_EQ(half(4).value_or(9), 2);
  EXPECT_EQ(half(3).value_or(9), 9);
  ASSERT_FALSE(half(3).has_value());
  EXPECT_EQ(half(3).error(), Problem::small);
  EXPECT_TRUE(check(true));
  EXPECT_EQ(check(false).error(), Problem::large);
}

TEST(ResultTest, SameTypeForValueAndError) {
  Result<std::string, std::string> good("value");
  Result<std::string, std::string> bad(Err(std::string("error")));
  EXPECT_EQ(good->size(), 5U);
  EXPECT_EQ(bad.error(), "error");
}

TEST(ResultTest, MoveOnlyValues) {
  Result<std::unique_ptr<int>, Problem> result(std::make_unique<int>(4));
  const std::unique_ptr<int> taken = *std::move(result);
  EXPECT_EQ(*taken, 4);
}

TEST(ResultDeathTest, WrongAccessIsAProgramError) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH((void)half(3).value(), "assertion failed: has_value");
  EXPECT_DEATH((void)half(2).error(), "assertion failed: !has_value");
}

}  // namespace
}  // namespace xmpp
