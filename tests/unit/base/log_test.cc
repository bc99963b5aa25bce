// Log levels, sinks, and lines that input cannot forge.
#include "xmpp/base/log.h"

#include <gtest/gtest.h>

#include <vector>

namespace xmpp::log {
namespace {

void collect(const Record& record, void* user) {
  static_cast<std::vector<std::string>*>(user)->push_back(format_logfmt(record));
}

class LogTest : public ::testing::Test {
 protected:
  void SetUp() override { set_sink(collect, &lines_); }
  void TearDown() override {
    set_sink(nullptr, nullptr);
    set_level(Level::info);
  }
  std::vector<std::string> lines_;
  Context context_{"c2s", "s1", "romeo@example.org"};
};

TEST_F(LogTest, LevelNames) {
  for (const Level level : {Level::error, Level::warn, Level::info, Level::debug, Level::trace}) {
    EXPECT_EQ(parse_level(to_string(level)), level);
  }
  EXPECT_EQ(parse_level("INFO"), std::nullopt);
  EXPECT_EQ(parse_level(""), std::nullopt);
}

TEST_F(LogTest, LevelsFilter) {
  set_level(Level::warn);
  EXPECT_TRUE(is_enabled(Level::error));
  EXPECT_FALSE(is_enabled(Level::info));
  error(context_, "e");
  warn(context_, "w");
  info(context_, "i");
  debug(context_, "d");
  trace(context_, "t");
  EXPECT_EQ(lines_.size(), 2U);
  set_level(Level::trace);
  debug(context_, "d");
  trace(context_, "t");
  EXPECT_EQ(lines_.size(), 4U);
}

TEST_F(LogTest, FieldsAndQuoting) {
  info(context_, "resource bound",
       {kv("resource", "balcony"), kv("tls", true), kv("priority", -5), kv("note", "a b")});
  info(Context{"", "", ""}, "x", {kv("empty", "")});
  ASSERT_EQ(lines_.size(), 2U);
  EXPECT_EQ(lines_[0],
            "level=info component=c2s msg=\"resource bound\" stream=s1 jid=romeo@example.org "
            "resource=balcony tls=true priority=-5 note=\"a b\"");
  EXPECT_EQ(lines_[1], "level=info msg=x empty=\"\"");
}

TEST_F(LogTest, InputCannotForgeLinesOrFields) {
  warn(Context{"c2s", "", ""}, "m", {kv("v", "a\nlevel=error \"x\" \x1b[31m \\")});
  ASSERT_EQ(lines_.size(), 1U);
  EXPECT_EQ(lines_[0], R"(level=warn component=c2s msg=m v="a\nlevel=error \"x\" \x1b[31m \\")");
}

TEST_F(LogTest, DefaultSinkWritesToStderr) {
  set_sink(nullptr, nullptr);
  ::testing::internal::CaptureStderr();
  error(Context{"core", "", ""}, "went wrong", {kv("code", 7)});
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "level=error component=core msg=\"went wrong\" code=7\n");
}

}  // namespace
}  // namespace xmpp::log
