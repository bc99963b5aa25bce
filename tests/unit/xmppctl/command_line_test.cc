// The command line against a canned catalogue.
#include "command_line.h"

#include <gtest/gtest.h>

#include "canned.h"
#include "render.h"

namespace xmppctl {
namespace {

using Words = std::vector<std::string>;

CommandLine parse(const Words& words) {
  return parse_command_line(words, canned_catalogue());
}

std::string args_of(const CommandLine& line) {
  const auto* invocation = std::get_if<Invocation>(&line);
  if (invocation == nullptr) return "none";
  return invocation->command.full_name + to_json(Poco::Dynamic::Var(invocation->args));
}

TEST(CommandLine, TakesOptionsAnywhere) {
  const Words orders[] = {
      {"fruit", "add", "fig", "--secret", "s", "--weight", "5", "--ripe", "--json"},
      {"--json", "--secret", "s", "fruit", "--ripe", "add", "--weight", "5", "fig"},
      {"--secret=s", "--socket", "/s", "--weight=5", "--ripe", "fruit", "add", "fig"},
      {"fruit", "add", "--socket=/s", "--secret", "s", "--weight", "5", "--ripe", "--", "fig"}};
  for (const auto& order : orders) {
    EXPECT_EQ(args_of(parse(order)),
              R"(fruit.add{"name":"fig","ripe":true,"secret":"s","weight":5})");
  }
}

TEST(CommandLine, WaitsAsLongAsAsked) {
  const auto timeout = [](const Words& words) {
    const auto line = parse(words);
    return std::get<Invocation>(line).timeout_s;
  };
  EXPECT_EQ(timeout({"weather"}), 60);
  EXPECT_EQ(timeout({"--timeout", "5", "weather"}), 5);
  EXPECT_EQ(timeout({"weather", "--timeout=0"}), 0);
  EXPECT_TRUE(scan_globals({"weather", "--timeout", "5"}).has_words);
  EXPECT_FALSE(scan_globals({"--timeout", "5"}).has_words);
}

TEST(CommandLine, ValuesMayLookLikeOptions) {
  EXPECT_EQ(args_of(parse({"fruit", "add", "--secret", "--json", "fig"})),
            R"(fruit.add{"name":"fig","secret":"--json"})");
  EXPECT_EQ(args_of(parse({"fruit", "add", "--secret", "s", "--", "--fig"})),
            R"(fruit.add{"name":"--fig","secret":"s"})");
}

TEST(CommandLine, AnEmptyValueIsAValue) {
  for (const auto& words : {Words{"fruit", "add", "--secret", "", "--json", "fig"},
                            Words{"--secret=", "fruit", "add", "--json", "fig"}}) {
    EXPECT_EQ(args_of(parse(words)), R"(fruit.add{"name":"fig","secret":""})");
  }
}

TEST(CommandLine, AsksForAPasswordThatIsNotGiven) {
  auto line = parse({"fruit", "add", "fig"});
  ASSERT_NE(std::get_if<Invocation>(&line), nullptr);
  EXPECT_EQ(std::get<Invocation>(line).password_argument, "secret");
  EXPECT_FALSE(std::get<Invocation>(line).is_password_on_stdin);
  line = parse({"--secret-stdin", "fruit", "add", "fig"});
  ASSERT_NE(std::get_if<Invocation>(&line), nullptr);
  EXPECT_TRUE(std::get<Invocation>(line).is_password_on_stdin);
}

TEST(CommandLine, OptionalArgumentsMayBeLeftOut) {
  EXPECT_EQ(args_of(parse({"fruit", "list"})), "fruit.list{}");
  EXPECT_EQ(args_of(parse({"fruit", "list", "h"})), R"(fruit.list{"host":"h"})");
  EXPECT_EQ(args_of(parse({"weather"})), "weather{}");
}

TEST(CommandLine, RefusesWrongUsage) {
  const Words wrong[] = {{},
                         {"fruit"},
                         {"fruit", "add"},
                         {"fruit", "list", "a", "b"},
                         {"fruit", "add", "fig", "--weight", "heavy"},
                         {"fruit", "add", "fig", "--secret"},
                         {"fruit", "add", "fig", "--secret", "s", "--secret-stdin"},
                         {"weather", "--bogus"},
                         {"weather", "--timeout", "-1"},
                         {"weather", "--timeout", "soon"},
                         {"weather", "tomorrow"},
                         {"completion", "tcsh"}};
  for (const auto& words : wrong) {
    const auto line = parse(words);
    EXPECT_NE(std::get_if<UsageError>(&line), nullptr) << ::testing::PrintToString(words);
  }
}

TEST(CommandLine, NamesTheNearestCommand) {
  const std::pair<Words, std::string> cases[] = {
      {{"friut", "add"}, "no command friut; did you mean fruit?"},
      {{"fruit", "lsit"}, "no command fruit lsit; did you mean list?"},
      {{"zzzzzzzz"}, "no command zzzzzzzz"}};
  for (const auto& [words, text] : cases) {
    const auto line = parse(words);
    ASSERT_NE(std::get_if<UsageError>(&line), nullptr);
    EXPECT_EQ(std::get<UsageError>(line).text, text);
  }
}

TEST(CommandLine, HelpShowsTheCatalogue) {
  const auto all = parse({"--help"});
  ASSERT_NE(std::get_if<Text>(&all), nullptr);
  EXPECT_NE(std::get<Text>(all).text.find("weather"), std::string::npos);
  const auto one = parse({"fruit", "add", "--help"});
  ASSERT_NE(std::get_if<Text>(&one), nullptr);
  EXPECT_NE(std::get<Text>(one).text.find("--secret-stdin"), std::string::npos);
}

TEST(CommandLine, CompletionKnowsTheCatalogue) {
  const auto line = parse({"completion", "bash"});
  ASSERT_NE(std::get_if<Text>(&line), nullptr);
  const auto& script = std::get<Text>(line).text;
  for (const auto* part : {"\"fruit \") candidates=\"add list --help\"", "--secret-stdin",
                           "complete -F _xmppctl xmppctl"}) {
    EXPECT_NE(script.find(part), std::string::npos) << part;
  }
}

}  // namespace
}  // namespace xmppctl
