// What command lines and thresholds mean, and what is refused.
#include "options.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace xmppbench {
namespace {

RawOptions valid() {
  RawOptions raw;
  raw.target = "127.0.0.1:5222";
  raw.domain = "localhost";
  raw.users = 4;
  raw.password = "p";
  return raw;
}

TEST(Options, MakesAccountsByPrefix) {
  auto raw = valid();
  raw.prefix = "bot";
  const auto options = make_options(Command::chat, raw);
  ASSERT_TRUE(options) << options.error().text;
  ASSERT_EQ(options->accounts.size(), 4U);
  EXPECT_EQ(options->accounts[0].jid.str(), "bot1@localhost");
  EXPECT_EQ(options->accounts[3].jid.str(), "bot4@localhost");
  EXPECT_EQ(options->accounts[3].password.reveal(), "p");
  EXPECT_EQ(options->window, 1U);
  EXPECT_EQ(options->duration, xmpp::Duration(10'000'000));
}

TEST(Options, LoginRunsOnceUnlessADurationIsGiven) {
  auto raw = valid();
  EXPECT_EQ(make_options(Command::login, raw)->duration, xmpp::Duration::zero());
  raw.duration = "3";
  EXPECT_EQ(make_options(Command::login, raw)->duration, xmpp::Duration(3'000'000));
}

TEST(Options, PresenceWarmsUpUntilAllAreThere) {
  auto raw = valid();
  raw.users = 50;
  raw.rate = 10;
  const auto options = make_options(Command::presence, raw);
  ASSERT_TRUE(options) << options.error().text;
  EXPECT_EQ(options->warmup, xmpp::Duration(7'000'000));
  EXPECT_EQ(options->contacts, 20U);
  EXPECT_FALSE(options->sends_presence);  // the scenario does
  raw.rate.reset();
  EXPECT_EQ(make_options(Command::presence, raw)->rate, 1000);
}

TEST(Options, RefusesWhatMakesNoSense) {
  struct Case {
    const char* expected;  // part of the message
    Command command;
    void (*spoil)(RawOptions&);
  };
  const Case cases[] = {
      {"--domain", Command::chat, [](RawOptions& raw) { raw.domain.clear(); }},
      {"--domain", Command::chat, [](RawOptions& raw) { raw.domain = "a@b"; }},
      {"--target", Command::chat, [](RawOptions& raw) { raw.target = "localhost"; }},
      {"--users", Command::chat, [](RawOptions& raw) { raw.users = 0; }},
      {"even", Command::chat, [](RawOptions& raw) { raw.users = 3; }},
      {"--password", Command::chat, [](RawOptions& raw) { raw.password.clear(); }},
      {"exclude", Command::chat, [](RawOptions& raw) { raw.password_file = "/dev/null"; }},
      {"exclude", Command::chat, [](RawOptions& raw) { raw.rate = 5, raw.window = 2; }},
      {"--rate", Command::chat, [](RawOptions& raw) { raw.rate = -1; }},
      {"--rate", Command::chat, [](RawOptions& raw) { raw.rate = 1e-300; }},
      {"--rate", Command::chat, [](RawOptions& raw) { raw.rate = 0; }},
      {"--rate", Command::presence, [](RawOptions& raw) { raw.rate = 0; }},
      {"--login-rate", Command::login, [](RawOptions& raw) { raw.login_rate = 0; }},
      {"--window", Command::chat, [](RawOptions& raw) { raw.window = 0; }},
      {"--login-rate", Command::login, [](RawOptions& raw) { raw.login_rate = 1e-300; }},
      {"chat", Command::login, [](RawOptions& raw) { raw.rate = 5; }},
      {"--window", Command::presence, [](RawOptions& raw) { raw.window = 2; }},
      {"--contacts", Command::presence, [](RawOptions& raw) { raw.contacts = 3; }},
      {"at least 22 users", Command::presence, [](RawOptions&) {}},
      {"at least 44 users", Command::presence,
       [](RawOptions& raw) { raw.users = 30, raw.reactors = 2; }},
      {"--tls", Command::chat, [](RawOptions& raw) { raw.tls = "yes"; }},
      {"--sasl", Command::chat, [](RawOptions& raw) { raw.sasl = "digest-md5"; }},
      {"--sasl", Command::chat, [](RawOptions& raw) { raw.sasl = "anonymous"; }},
      {"--duration", Command::chat, [](RawOptions& raw) { raw.duration = "soon"; }},
      {"--duration", Command::idle, [](RawOptions& raw) { raw.duration = "0"; }},
      {"--warmup", Command::chat, [](RawOptions& raw) { raw.warmup = "-1"; }},
      {"--body-bytes", Command::chat, [](RawOptions& raw) { raw.body_bytes = 10; }},
      {"--reactors", Command::chat, [](RawOptions& raw) { raw.reactors = 0; }},
      // Neighbours share a reactor: one without users would keep its share of the rate.
      {"--reactors 3: at most 2", Command::chat, [](RawOptions& raw) { raw.reactors = 3; }},
      {"--reactors 3: at most 2", Command::login, [](RawOptions& raw) { raw.reactors = 3; }},
      {"--login-concurrency", Command::chat, [](RawOptions& raw) { raw.login_concurrency = 0; }},
      {"--source-addresses", Command::chat,
       [](RawOptions& raw) { raw.source_addresses = {"localhost"}; }},
      {"--threshold", Command::chat, [](RawOptions& raw) { raw.thresholds = "p99<soon"; }},
      {"--accounts", Command::chat, [](RawOptions& raw) { raw.accounts_file = "/nonexistent"; }},
      {"--compare", Command::chat, [](RawOptions& raw) { raw.compare = "/nonexistent"; }},
      // Directories can be opened, not read.
      {"--accounts /: cannot be read: Is a directory", Command::chat,
       [](RawOptions& raw) { raw.accounts_file = "/"; }},
      {"--password-file /: cannot be read: Is a directory", Command::chat,
       [](RawOptions& raw) { raw.password.clear(), raw.password_file = "/"; }},
      {"--compare /: cannot be read: Is a directory", Command::chat,
       [](RawOptions& raw) { raw.compare = "/"; }},
      {"--server-pid", Command::chat, [](RawOptions& raw) { raw.server_pid = 999'999'999; }},
  };
  for (const Case& item : cases) {
    auto raw = valid();
    item.spoil(raw);
    const auto options = make_options(item.command, raw);
    ASSERT_FALSE(options) << item.expected;
    EXPECT_EQ(options.error().code, Exit::usage) << item.expected;
    EXPECT_NE(options.error().text.find(item.expected), std::string::npos) << options.error().text;
    EXPECT_EQ(options.error().text.find('\n'), std::string::npos);
  }
}

TEST(Options, SaslNamesAreFreeOfCase) {
  auto raw = valid();
  raw.sasl = "scram-sha-1";
  EXPECT_EQ(make_options(Command::chat, raw)->sasl, "SCRAM-SHA-1");
  raw.sasl = "SCRAM-SHA-256-PLUS";
  EXPECT_EQ(make_options(Command::chat, raw)->sasl, "SCRAM-SHA-256-PLUS");
}

TEST(Options, Times) {
  const auto us = [](const char* text) { return parse_time("--x", text)->count(); };
  EXPECT_EQ(us("10"), 10'000'000);
  EXPECT_EQ(us("0.25"), 250'000);
  EXPECT_EQ(us("500ms"), 500'000);
  EXPECT_EQ(us("2m"), 120'000'000);
  for (const char* bad : {"", "x", "-1", "1e99", "5 s", "nan"}) {
    EXPECT_FALSE(parse_time("--x", bad)) << bad;
  }
}

TEST(Options, AccountFiles) {
  const auto accounts = parse_accounts(
      "# comment\nalice\tsecret one\n\nbob@example.org,p,w\r\ncarol pw\n", "f", "localhost");
  ASSERT_TRUE(accounts) << accounts.error().text;
  ASSERT_EQ(accounts->size(), 3U);
  EXPECT_EQ((*accounts)[0].jid.str(), "alice@localhost");
  EXPECT_EQ((*accounts)[0].password.reveal(), "secret one");
  EXPECT_EQ((*accounts)[1].jid.str(), "bob@example.org");
  EXPECT_EQ((*accounts)[1].password.reveal(), "p,w");
  EXPECT_EQ((*accounts)[2].password.reveal(), "pw");
  const auto bad = parse_accounts("alice x\nbob\n", "f", "localhost");
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().text.find("f:2"), std::string::npos) << bad.error().text;
}

TEST(Thresholds, Table) {
  struct Case {
    const char* text;
    double measured;
    bool holds;
  };
  const Case cases[] = {
      {"p99<50ms", 49'999, true}, {"p99<50ms", 50'000, false}, {"p99<=50ms", 50'000, true},
      {"p50<1s", 999'999, true},  {"max<200us", 200, false},   {"max<200", 199, true},
      {"lost=0", 0, true},        {"lost = 0", 1, false},      {"lost==0", 0, true},
      {"lost!=0", 1, true},       {"rate>=2000", 2000, true},  {"rate>2000", 2000, false},
  };
  for (const Case& item : cases) {
    const auto parsed = parse_thresholds(item.text);
    ASSERT_TRUE(parsed) << parsed.error();
    ASSERT_EQ(parsed->size(), 1U);
    EXPECT_EQ(parsed->front().holds(item.measured), item.holds) << item.text;
  }
  EXPECT_EQ(parse_thresholds("p99<50ms, lost=0,")->size(), 2U);
  EXPECT_TRUE(parse_thresholds("")->empty());
  for (const char* bad : {"p99", "p98<1ms", "p99<", "p99<5min", "lost~0", "<5", "lost!0",
                          "lost!=nan", "p99<inf", "p99<-infs", "p99<1e308s"}) {
    EXPECT_FALSE(parse_thresholds(bad)) << bad;
  }
}

}  // namespace
}  // namespace xmppbench
