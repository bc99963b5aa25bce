// The JSON's names (scripts rely on them), metrics, comparison.
#include "report.h"

#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>
#include <gtest/gtest.h>

#include <sstream>

namespace xmppbench {
namespace {

using Poco::JSON::Object;

RunResult chat_result() {
  RunResult result;
  result.command = Command::chat;
  result.target = "127.0.0.1:5222";
  result.domain = "localhost";
  result.tls = "none";
  result.users = 2;
  result.rate = 100;
  result.rate_per_s = 99.5;
  result.counts.sent = 100;
  result.counts.received = 98;
  result.counts.lost = 2;
  result.errors = 1;
  result.error_texts["a \"quoted\" text"] = 1;
  for (int i = 1; i <= 100; ++i) result.counts.latency_us.record(i);
  result.counts.slip_us.record(33);
  result.generator_cpu_us_per_msg = 7.25;
  result.logins.record(xmpp::Instant(xmpp::Duration(1000)), xmpp::Instant(xmpp::Duration(3000)));
  return result;
}

Object::Ptr parse(const std::string& text) {
  Poco::JSON::Parser parser;
  return parser.parse(text).extract<Object::Ptr>();
}

TEST(Report, JsonHasTheNamesOfTheContract) {
  const auto json = parse(to_json(chat_result()));
  EXPECT_EQ(json->getValue<std::string>("command"), "chat");
  EXPECT_EQ(json->getValue<std::string>("target"), "127.0.0.1:5222");
  EXPECT_EQ(json->getValue<int>("sent"), 100);
  EXPECT_EQ(json->getValue<int>("received"), 98);
  EXPECT_EQ(json->getValue<int>("lost"), 2);
  EXPECT_EQ(json->getValue<int>("duplicated"), 0);
  EXPECT_EQ(json->getValue<int>("reordered"), 0);
  EXPECT_EQ(json->getValue<int>("errors"), 1);
  EXPECT_DOUBLE_EQ(json->getValue<double>("rate_per_s"), 99.5);
  EXPECT_DOUBLE_EQ(json->getValue<double>("generator_cpu_us_per_msg"), 7.25);
  const auto latency = json->getObject("latency_us");
  EXPECT_EQ(latency->getValue<int>("p50"), 50);
  EXPECT_EQ(latency->getValue<int>("p90"), 90);
  EXPECT_EQ(latency->getValue<int>("p99"), 99);
  EXPECT_EQ(latency->getValue<int>("p999"), 100);
  EXPECT_EQ(latency->getValue<int>("max"), 100);
  EXPECT_EQ(json->getObject("schedule_slip_us")->getValue<int>("max"), 33);
  const auto logins = json->getObject("logins");
  EXPECT_EQ(logins->getValue<int>("count"), 1);
  EXPECT_EQ(logins->getValue<int>("failed"), 0);
  EXPECT_TRUE(logins->has("rate_per_s"));
  EXPECT_EQ(logins->getObject("latency_us")->getValue<int>("p50"), 2000);
  for (const char* name : {"cores", "kernel", "date", "version"}) {
    EXPECT_TRUE(json->getObject("environment")->has(name)) << name;
  }
  EXPECT_FALSE(json->has("server"));
}

TEST(Report, LatencyOfLoginsStandsAtTheTop) {
  auto result = chat_result();
  result.command = Command::login;
  const auto json = parse(to_json(result));
  EXPECT_EQ(json->getObject("latency_us")->getValue<int>("p50"), 2000);
}

TEST(Report, ThresholdsKnowEveryName) {
  auto result = chat_result();
  result.server = ServerCost{1, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0};
  for (const std::string_view name : metric_names()) {
    EXPECT_TRUE(find_metric(result, name)) << name;
  }
  std::ostringstream out;
  EXPECT_TRUE(check_thresholds(out, result, *parse_thresholds("p99<100us,errors<=1")));
  EXPECT_FALSE(check_thresholds(out, result, *parse_thresholds("p99<100us,lost=0")));
  EXPECT_NE(out.str().find("lost=0: MISSED (2)"), std::string::npos) << out.str();
}

TEST(Report, AFigureThatIsNotThereMissesItsThreshold) {
  std::ostringstream out;
  EXPECT_FALSE(check_thresholds(out, chat_result(), *parse_thresholds("server_cpu_us_per_msg<9")));
}

TEST(Report, ComparesWithAnEarlierRun) {
  const auto before = chat_result();
  auto now = chat_result();
  now.rate_per_s = 199;
  std::ostringstream out;
  ASSERT_TRUE(print_comparison(out, now, to_json(before)));
  EXPECT_NE(out.str().find("rate_per_s"), std::string::npos);
  EXPECT_NE(out.str().find("2.000"), std::string::npos) << out.str();
  for (const char* bad : {"", "nonsense", "[]", "{}"}) {
    EXPECT_FALSE(print_comparison(out, now, bad)) << bad;
  }
  // However long a number gets, its line ends.
  ASSERT_TRUE(print_comparison(out, now, R"({"latency_us":{"max":-1e308}})"));
  EXPECT_TRUE(out.str().ends_with('\n')) << out.str();
}

TEST(Report, TableNamesErrorsAndAudit) {
  std::ostringstream out;
  print_table(out, chat_result());
  EXPECT_NE(out.str().find("2 lost"), std::string::npos) << out.str();
  EXPECT_NE(out.str().find("1 x a \"quoted\" text"), std::string::npos) << out.str();
}

}  // namespace
}  // namespace xmppbench
