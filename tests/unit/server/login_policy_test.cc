// What guards passwords: waiting after wrong ones, counts of unknown users, keys made anew.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "core/host_facts.h"
#include "core/login_throttle.h"
#include "core/worker.h"
#include "unit/server/raw_client.h"

namespace xmppd {
namespace {

constexpr auto kSecond = std::chrono::seconds(1);

xmpp::Instant at(int seconds) {
  return xmpp::Instant{} + std::chrono::hours(1) + kSecond * seconds;
}

TEST(LoginThrottle, CountsPerAccountAndForgives) {
  LoginThrottle throttle;
  Limits limits;
  limits.auth_failures_per_account = 3;
  limits.auth_failures_decay = kSecond * 10;
  const LoginThrottle::Attempt romeo{.username = "romeo", .host = "a", .address = 1};
  const LoginThrottle::Attempt there{.username = "romeo", .host = "b", .address = 2};
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(throttle.is_open(romeo, limits, at(0)));
    throttle.note_failure(romeo, limits, at(0));
  }
  EXPECT_FALSE(throttle.is_open(romeo, limits, at(0)));
  EXPECT_TRUE(throttle.is_open(there, limits, at(0)));
  EXPECT_FALSE(throttle.is_open(romeo, limits, at(9)));
  EXPECT_TRUE(throttle.is_open(romeo, limits, at(10)));
  throttle.note_failure(romeo, limits, at(10));
  EXPECT_FALSE(throttle.is_open(romeo, limits, at(10)));
  EXPECT_TRUE(throttle.is_open(romeo, limits, at(20)));
  // A flood under way at once does not lock for longer than a full count.
  for (int i = 0; i < 1'000; ++i) throttle.note_failure(romeo, limits, at(20));
  EXPECT_TRUE(throttle.is_open(romeo, limits, at(30)));
  limits.auth_failures_per_account = 0;
  limits.auth_failures_per_address = 0;
  EXPECT_TRUE(throttle.is_open(romeo, limits, at(20)));
}

TEST(LoginThrottle, CountsPerAddressButNotThisMachine) {
  LoginThrottle throttle;
  Limits limits;
  limits.auth_failures_per_address = 2;
  for (const auto* name : {"a", "b"}) {
    throttle.note_failure({.username = name, .host = "h", .address = 7}, limits, at(0));
    throttle.note_failure({.username = name, .host = "h", .address = 8, .is_loopback = true},
                          limits, at(0));
  }
  EXPECT_FALSE(throttle.is_open({.username = "c", .host = "h", .address = 7}, limits, at(0)));
  EXPECT_TRUE(throttle.is_open({.username = "c", .host = "h", .address = 9}, limits, at(0)));
  EXPECT_TRUE(throttle.is_open({.username = "c", .host = "h", .address = 8, .is_loopback = true},
                               limits, at(0)));
}

std::string wrong(const std::string& user) {
  using namespace std::string_literals;
  return "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" +
         xmpp::base64_encode("\0"s + user + "\0no"s) + "</auth>";
}

// What a login from there is told.
std::string answer(World& world, const std::string& auth, const std::string& address) {
  RawClient client(world, {}, address);
  client.write(kHeader + auth);
  world.run_for(kSecond);
  for (const auto* word : {"<success", "<not-authorized", "<temporary-auth-failure"}) {
    if (client.saw(word)) return word;
  }
  return client.seen();
}

TEST(LoginPolicy, KnownAndUnknownWaitAlikeOnEveryWorker) {
  World world({.seed = 1,
               .workers = 3,
               .config = "[host.\"localhost\"]\n[limits]\nauth_failures_per_account = 4\n"
                         "auth_failures_decay = \"10s\"\n"});
  world.add_account("romeo@localhost");
  for (const auto* user : {"romeo", "nobody"}) {
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(answer(world, wrong(user), "127.0.0.1:1"), "<not-authorized") << user << i;
    }
    EXPECT_EQ(answer(world, wrong(user), "127.0.0.1:1"), "<temporary-auth-failure") << user;
  }
  EXPECT_EQ(answer(world, plain("romeo"), "127.0.0.1:1"), "<temporary-auth-failure");
  world.run_for(kSecond * 11);
  EXPECT_EQ(answer(world, plain("romeo"), "127.0.0.1:1"), "<success");
}

TEST(LoginPolicy, AnAddressThatGuessesNamesWaits) {
  World world({.seed = 2,
               .workers = 2,
               .config = "[host.\"localhost\"]\n[limits]\nauth_failures_per_address = 5\n"});
  world.add_account("romeo@localhost");
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(answer(world, wrong("u" + std::to_string(i)), "192.0.2.1:1"), "<not-authorized");
  }
  EXPECT_EQ(answer(world, plain("romeo"), "192.0.2.1:2"), "<temporary-auth-failure");
  EXPECT_EQ(answer(world, plain("romeo"), "192.0.2.2:1"), "<success");
}

AccountRecord stored(World& world, const std::string& user) {
  auto jid = xmpp::Jid::parse(user + "@localhost");
  auto found = world.server().storage().read_blocking(
      *jid, [](Tx& tx, const xmpp::Jid& who) { return tx.accounts().find(who); }, *jid);
  return found && *found ? **found : AccountRecord{};
}

TEST(LoginPolicy, PlainLoginBringsKeysUpToDate) {
  World world(
      {.seed = 3, .workers = 2, .config = "scram_iterations = 4097\n[host.\"localhost\"]\n"});
  world.add_account("romeo@localhost");
  ASSERT_FALSE(stored(world, "romeo").keys.empty());
  auto old = stored(world, "romeo");
  old.keys.resize(1);
  (void)world.server().storage().write_blocking(
      old.jid,
      [](Tx& tx, const AccountRecord& account) {
        return tx.accounts().set_keys(account.jid, account.keys);
      },
      old);
  EXPECT_EQ(answer(world, wrong("romeo"), "127.0.0.1:1"), "<not-authorized");
  world.run_for(kSecond);
  EXPECT_EQ(stored(world, "romeo").keys, old.keys) << "a wrong password changes nothing";
  EXPECT_EQ(answer(world, plain("romeo"), "127.0.0.1:1"), "<success");
  world.run_for(kSecond);
  const auto fresh = stored(world, "romeo");
  EXPECT_EQ(fresh.keys.size(), 3U);
  for (const auto& keys : fresh.keys) EXPECT_EQ(keys.iterations, 4097U);
  EXPECT_EQ(answer(world, plain("romeo"), "127.0.0.1:1"), "<success");
  world.run_for(kSecond);
  EXPECT_EQ(stored(world, "romeo").keys, fresh.keys) << "once is enough";
}

TEST(HostFacts, UnknownUsersHaveCountsAsOthersHave) {
  HostFacts facts;
  const xmpp::Secret secret("of the server");
  EXPECT_EQ(facts.fake_iterations(secret, "nobody", 10'000), 10'000U);
  const auto count = [&] {
    std::map<std::uint32_t, int> counts;
    for (int i = 0; i < 2'000; ++i) {
      ++counts[facts.fake_iterations(secret, "user" + std::to_string(i), 10'000)];
    }
    return counts;
  };
  facts.set(xmpp::sasl::ScramHashSet::all(), {{20'000, 25}, {4'096, 75}});
  auto counts = count();
  EXPECT_EQ(counts.size(), 2U);
  EXPECT_NEAR(counts[20'000], 500, 80);
  // As accounts are upgraded, names move to the higher count and none moves back.
  std::vector<std::string> high;
  for (int i = 0; i < 500; ++i) {
    auto name = "user" + std::to_string(i);
    if (facts.fake_iterations(secret, name, 0) == 20'000) high.push_back(std::move(name));
  }
  facts.set(xmpp::sasl::ScramHashSet::all(), {{20'000, 50}, {4'096, 50}});
  for (const auto& name : high) EXPECT_EQ(facts.fake_iterations(secret, name, 0), 20'000U);
  EXPECT_NEAR(count()[20'000], 1'000, 100);
  EXPECT_FALSE(facts.claim_refresh(xmpp::Instant{} - kSecond));
  EXPECT_TRUE(facts.claim_refresh(at(0)));
  EXPECT_FALSE(facts.claim_refresh(at(59)));
  EXPECT_TRUE(facts.claim_refresh(at(60)));
}

}  // namespace
}  // namespace xmppd
