// The server's log sink: format, order, bounded queue, reopening.
#include "core/logging.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <Poco/Dynamic/Var.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>

#include <condition_variable>
#include <fstream>
#include <mutex>
#include <vector>

namespace xmppd {
namespace {

using xmpp::log::kv;
using xmpp::log::Level;
using xmpp::log::Record;

const xmpp::log::Context kContext{"c2s", "s1", "alice@localhost"};
constexpr xmpp::Timestamp kAt{std::chrono::milliseconds(1'767'323'045'078)};

struct Restore {
  ~Restore() { xmpp::log::set_level(Level::info); }
};

TEST(LogLine, Text) {
  const Record record{Level::warn, kContext, "slow peer", {kv("bytes", 7), kv("why", "a b")}};
  EXPECT_EQ(format_line(record, LogFormat::text, kAt),
            "time=2026-01-02T03:04:05.078Z level=warn component=c2s msg=\"slow peer\" stream=s1 "
            "jid=alice@localhost bytes=7 why=\"a b\"");
}

TEST(LogLine, Json) {
  const Record record{Level::warn,
                      kContext,
                      "slow peer",
                      {kv("bytes", 7), kv("tls", true), kv("why", "a \"b\"\n\xc3\xa4\x01")}};
  EXPECT_EQ(format_line(record, LogFormat::json, kAt),
            "{\"time\":\"2026-01-02T03:04:05.078Z\",\"level\":\"warn\",\"component\":\"c2s\","
            "\"msg\":\"slow peer\",\"stream\":\"s1\",\"jid\":\"alice@localhost\",\"bytes\":7,"
            "\"tls\":true,\"why\":\"a \\\"b\\\"\\n\xc3\xa4\\u0001\"}");
}

TEST(LogLine, JsonStaysWellFormedWhateverIsLogged) {
  for (const char* value : {"\xff", "\xc3", "\xed\xa0\x80", "\\", "\x7f", "</script>"}) {
    const Record record{Level::info, kContext, "m", {kv("k", value)}};
    const std::string line = format_line(record, LogFormat::json, kAt);
    Poco::JSON::Parser parser;
    EXPECT_NO_THROW(parser.parse(line)) << line;
    EXPECT_EQ(line.find('\n'), std::string::npos);
  }
}

TEST(Logging, LinesComeInOrderFromTheLogThread) {
  const Restore restore;
  std::vector<std::string> lines;
  {
    Logging logging({.level = Level::debug, .capture = [&](std::string_view line) {
                       lines.emplace_back(line.substr(line.find("msg=")));
                     }});
    xmpp::log::debug({}, "one");
    xmpp::log::trace({}, "too fine");
    xmpp::log::info({}, "two");
    logging.flush();
    EXPECT_EQ(lines, (std::vector<std::string>{"msg=one", "msg=two"}));
    xmpp::log::error({}, "three");
  }
  EXPECT_EQ(lines.back(), "msg=three");  // written by the destructor
}

TEST(Logging, AFullQueueDropsAndSaysHowMany) {
  const Restore restore;
  std::mutex mutex;
  std::condition_variable changed;
  bool is_held = false;
  bool may_go = false;
  std::vector<std::string> lines;
  {
    Logging logging({.queue_records = 2, .capture = [&](std::string_view line) {
                       std::unique_lock lock(mutex);
                       lines.emplace_back(line.substr(line.find("msg=")));
                       is_held = true;
                       changed.notify_all();
                       changed.wait(lock, [&] { return may_go; });
                     }});
    xmpp::log::info({}, "held");
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return is_held; });
    }
    for (int i = 0; i < 5; ++i) xmpp::log::info({}, "queued");
    EXPECT_EQ(logging.dropped(), 3U);
    const std::lock_guard lock(mutex);
    may_go = true;
    changed.notify_all();
  }
  EXPECT_EQ(lines, (std::vector<std::string>{
                       "msg=held", "msg=queued", "msg=queued",
                       "msg=\"log records dropped; lower the level or use a faster disk\" "
                       "records=3"}));
}

TEST(Logging, AFileIsReopened) {
  const Restore restore;
  std::string directory = (std::filesystem::temp_directory_path() / "xmppd-log-XXXXXX").string();
  ASSERT_NE(::mkdtemp(directory.data()), nullptr);
  const std::filesystem::path file = std::filesystem::path(directory) / "xmppd.log";
  const std::filesystem::path moved = std::filesystem::path(directory) / "xmppd.log.1";
  {
    Logging logging({.file = file});
    xmpp::log::info({}, "before");
    logging.flush();
    std::filesystem::rename(file, moved);
    logging.reopen();
    logging.flush();
    xmpp::log::info({}, "after");
  }
  const auto content = [](const std::filesystem::path& path) {
    std::ifstream stream(path);
    return std::string(std::istreambuf_iterator<char>(stream), {});
  };
  EXPECT_NE(content(moved).find("msg=before\n"), std::string::npos);
  EXPECT_EQ(content(moved).find("after"), std::string::npos);
  EXPECT_NE(content(file).find("msg=after\n"), std::string::npos);
  std::filesystem::remove_all(directory);
}

TEST(Logging, AFileThatCannotBeOpenedIsRefusedAtStart) {
  try {
    Logging logging({.file = "/nonexistent/xmppd.log"});
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(),
                 "cannot open the log file '/nonexistent/xmppd.log': No such file or directory "
                 "(log.file in the configuration)");
  }
}

}  // namespace
}  // namespace xmppd
