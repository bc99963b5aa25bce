// Request lines, arguments, answers and the cutting into lines of the control protocol.
#include "core/control_protocol.h"

#include <gtest/gtest.h>

#include <array>

namespace xmppd::control {
namespace {

constexpr std::array kArguments = {
    ArgumentInfo{.name = "jid", .type = ArgumentType::bare_jid},
    ArgumentInfo{.name = "password", .type = ArgumentType::new_password, .is_required = false},
    ArgumentInfo{.name = "host", .type = ArgumentType::host, .is_required = false},
    ArgumentInfo{.name = "count", .type = ArgumentType::integer, .is_required = false},
    ArgumentInfo{.name = "force", .type = ArgumentType::boolean, .is_required = false},
    ArgumentInfo{.name = "session", .type = ArgumentType::jid, .is_required = false}};
constexpr CommandInfo kCommand{.group = "user", .name = "try", .arguments = kArguments};

TEST(ControlProtocol, ReadsARequest) {
  auto request = parse_request(R"({"id":7,"command":"user.try","args":{"jid":"a@b","count":3}})");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->id, RequestId(std::int64_t{7}));
  EXPECT_EQ(request->command, "user.try");
  auto arguments = check_arguments(kCommand, request->args);
  ASSERT_TRUE(arguments);
  EXPECT_EQ(arguments->get<xmpp::Jid>("jid").str(), "a@b");
  EXPECT_EQ(*arguments->find<std::int64_t>("count"), 3);
  EXPECT_EQ(arguments->find<bool>("force"), nullptr);
}

TEST(ControlProtocol, RefusesWhatIsNoRequest) {
  const std::string deep =
      R"({"command":"x","args":{"a":)" + std::string(50, '[') + std::string(50, ']') + "}}";
  const std::string_view lines[] = {"",
                                    "x",
                                    "[]",
                                    "1",
                                    "null",
                                    "{",
                                    "{}",
                                    R"({"command":1})",
                                    R"({"command":null})",
                                    R"({"command":"x","args":[]})",
                                    R"({"command":"x","args":{"a":{}}})",
                                    R"({"command":"x","args":{"a":1.5}})",
                                    R"({"command":"x","args":{"a":99999999999999999999}})",
                                    R"({"command":"x","more":1})",
                                    R"({"command":"x","id":{}})",
                                    "{\"command\":\"x\xff\"}",
                                    deep};
  for (const auto line : lines) {
    auto request = parse_request(line);
    ASSERT_FALSE(request) << line;
    EXPECT_EQ(request.error().error.code, "bad-request") << line;
  }
}

TEST(ControlProtocol, AnErrorKeepsTheIdOfItsRequest) {
  auto request = parse_request(R"({"id":"seven","command":5})");
  ASSERT_FALSE(request);
  EXPECT_EQ(format_error(request.error().id, {"c", "t"}),
            "{\"id\":\"seven\",\"error\":{\"code\":\"c\",\"text\":\"t\"}}\n");
}

TEST(ControlProtocol, ErrorsDoNotQuoteTheInput) {
  for (const auto* line :
       {R"({"command":"x","args":{"password":"hunter2})", R"({"hunter2":"x","command":"x"})"}) {
    auto request = parse_request(line);
    ASSERT_FALSE(request);
    EXPECT_EQ(request.error().error.text.find("hunter2"), std::string::npos);
  }
}

TEST(ControlProtocol, ChecksArguments) {
  struct Case {
    CommandValue::Object args;
    std::string expected;
  };
  const CommandValue jid("a@b");
  const Case cases[] = {
      {{}, "jid is missing"},
      {{{"jid", CommandValue()}}, "jid is missing"},
      {{{"jid", "b"}}, "jid: expected user@host"},
      {{{"jid", "a@b/c"}}, "jid: expected user@host"},
      {{{"jid", true}}, "jid: expected text"},
      {{{"jid", jid}, {"host", "a@b"}}, "host: expected a domain"},
      {{{"jid", jid}, {"count", "1"}}, "count: expected a whole number"},
      {{{"jid", jid}, {"force", std::int64_t{1}}}, "force: expected true or false"},
      {{{"jid", jid}, {"session", "b"}}, "session: expected user@host or user@host/resource"},
      {{{"jid", jid}, {"cuont", std::int64_t{1}}},
       "user.try has no such argument; did you mean count?"}};
  for (const auto& one : cases) {
    auto args = one.args;
    auto checked = check_arguments(kCommand, args);
    ASSERT_FALSE(checked) << one.expected;
    EXPECT_EQ(checked.error().code, "bad-argument");
    EXPECT_EQ(checked.error().text, one.expected);
  }
}

TEST(ControlProtocol, TakesPasswordsOut) {
  CommandValue::Object args = {{"jid", "A@B"}, {"password", "hunter2"}};
  auto checked = check_arguments(kCommand, args);
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->get<xmpp::Secret>("password").reveal(), "hunter2");
  EXPECT_EQ(checked->get<xmpp::Jid>("jid").str(), "a@b");  // prepared
  EXPECT_EQ(std::get<std::string>(args[1].second.value), "");
}

TEST(ControlProtocol, WritesJson) {
  const CommandValue value = CommandValue::Object{{"n", std::int64_t{-5}},
                                                  {"t", "a\"b\\\n\x01ü"},
                                                  {"e", CommandValue::List{}},
                                                  {"o", CommandValue::Object{}},
                                                  {"l", CommandValue::List{true, CommandValue()}}};
  EXPECT_EQ(format_result(std::int64_t{1}, value),
            "{\"id\":1,\"result\":{\"n\":-5,\"t\":\"a\\\"b\\\\\\n\\u0001ü\",\"e\":[],\"o\":{},"
            "\"l\":[true,null]}}\n");
}

TEST(ControlProtocol, DescribesACommand) {
  std::string json;
  append_json(json, describe({.group = "user", .name = "try", .ends_server = true}));
  EXPECT_EQ(json,
            R"({"command":"user.try","group":"user","name":"try","help":"","destructive":false,)"
            R"("ends_server":true,"role":"operator","arguments":[]})");
}

TEST(LineBuffer, CutsWhereverTheInputIsSplit) {
  const std::string input = "one\n\ntwo\r\nthree\n";
  for (std::size_t chunk = 1; chunk <= input.size(); ++chunk) {
    LineBuffer buffer;
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < input.size(); at += chunk) {
      buffer.add(std::string_view(input).substr(at, chunk));
      while (auto line = buffer.next()) lines.emplace_back(*line);
    }
    EXPECT_EQ(lines, (std::vector<std::string>{"one", "two", "three"})) << chunk;
  }
}

TEST(LineBuffer, StopsAtALineThatIsTooLong) {
  LineBuffer buffer;
  buffer.add("first\n");
  buffer.add(std::string(kLineBytesMax, 'x'));
  EXPECT_EQ(buffer.next(), "first");
  EXPECT_EQ(buffer.next(), std::nullopt);
  EXPECT_FALSE(buffer.is_overlong());
  buffer.add("y");
  EXPECT_EQ(buffer.next(), std::nullopt);
  EXPECT_TRUE(buffer.is_overlong());
  buffer.add("\nsecond\n");
  EXPECT_EQ(buffer.next(), std::nullopt);
}

}  // namespace
}  // namespace xmppd::control
