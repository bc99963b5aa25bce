// What modules need to know of an account is in memory before their hooks run, whoever comes first;
// who waits for it is bounded, in number and in time, and one sender cannot crowd out others.
#include "core/activation.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "core/worker.h"
#include "unit/server/raw_client.h"
#include "xmppd/module.h"

namespace xmppd {
namespace {

constexpr auto kSecond = std::chrono::seconds(1);

struct Note {
  bool is_loaded = false;
  std::string jid;
};

StorageError broken() {
  return {StorageErrorCode::unavailable, "broken for a test"};
}

bool storage_is_broken = false;
int loads = 0;
std::function<void()> while_loading;  // once

// A module that wants a Note of every account and writes down which hooks saw it.
struct Watcher {
  explicit Watcher(World& world)
      : scope(*world.server().worker(0).find_profile("default"), "test") {
    state = scope.account_state<Note>([](Tx&, const xmpp::Jid& account) -> StorageResult<Note> {
      ++loads;
      if (while_loading) std::exchange(while_loading, nullptr)();
      if (storage_is_broken) return xmpp::Err(broken());
      return Note{true, std::string(account.str())};
    });
    scope.on<ToAccount>(Stage::validate, [this](ToAccount& hook) {
      if (hook.stanza.is_message() && !hook.stanza.is_error())
        seen += hook.to[state].is_loaded ? "to " : "TO ";
      return Verdict::pass;
    });
    scope.on<SentByAccount>(Stage::validate, [this](SentByAccount& hook) {
      if (hook.stanza.is_message()) seen += hook.from[state].is_loaded ? "by " : "BY ";
      return Verdict::pass;
    });
    scope.on<Bound>(Stage::validate, [this](Bound& hook) {
      seen += hook.session.account()[state].is_loaded ? "bound " : "BOUND ";
      return Verdict::pass;
    });
    loads = 0;
    storage_is_broken = false;
  }
  ~Watcher() { storage_is_broken = false; }
  Scope scope;
  AccountState<Note> state;
  std::string seen;
};

std::string message(const std::string& to, const std::string& id) {
  return "<message to='" + to + "' id='" + id + "' type='chat'><body>x</body></message>";
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

TEST(Activation, HooksOfSendingAndReceivingHaveTheirData) {
  World world({.seed = 1, .workers = 1});
  world.add_account("romeo@localhost");
  world.add_account("juliet@localhost");
  Watcher watcher(world);
  RawClient romeo(world);
  romeo.write(login("romeo") + message("juliet@localhost", "m1"));
  world.run_for(kSecond);
  EXPECT_EQ(watcher.seen, "bound by to ");
  EXPECT_EQ(loads, 2);
  romeo.write(message("juliet@localhost", "m2"));
  world.run_for(kSecond);
  EXPECT_EQ(loads, 2) << "an account that nobody uses stays in memory";
}

TEST(Activation, AModuleThatComesLaterGetsItsDataToo) {
  World world({.seed = 2, .workers = 1});
  world.add_account("romeo@localhost");
  world.add_account("juliet@localhost");
  RawClient romeo(world);
  romeo.write(login("romeo") + message("juliet@localhost", "m1"));
  world.run_for(kSecond);
  Watcher watcher(world);
  std::string many;
  for (int i = 0; i < 1'000; ++i) many += message("romeo@localhost/r", "n" + std::to_string(i));
  romeo.write(many);
  world.run_for(kSecond);
  EXPECT_EQ(watcher.seen.find("BY"), std::string::npos);
  EXPECT_EQ(watcher.seen.find("TO"), std::string::npos);
  EXPECT_EQ(count(romeo.seen(), "<body>x</body>"), 1'000U) << "none is lost";
  std::size_t at = 0;
  for (int i = 0; i < 1'000 && at != std::string::npos; ++i) {
    at = romeo.seen().find("id='n" + std::to_string(i) + "'", at);
    EXPECT_NE(at, std::string::npos) << "n" << i << " came too early";
  }
  EXPECT_EQ(loads, 1);
}

TEST(Activation, WhatWaitsForAnAccountKeepsItsOrder) {
  World world({.seed = 9, .workers = 1});
  world.add_account("romeo@localhost");
  world.add_account("juliet@localhost");
  RawClient romeo(world);
  RawClient juliet(world);
  romeo.write(login("romeo"));
  juliet.write(login("juliet"));
  world.run_for(kSecond);
  Watcher watcher(world);  // which wants data of both, who are here already
  romeo.write(message("romeo@localhost/r", "own"));
  world.run_for(kSecond);
  storage_is_broken = true;
  std::string several;
  for (int i = 0; i < 20; ++i) several += message("juliet@localhost/r", "w" + std::to_string(i));
  romeo.write(several);
  world.run_for(kSecond);
  EXPECT_EQ(count(juliet.seen(), "<body>"), 0U) << "they have to wait";
  storage_is_broken = false;
  world.run_for(kSecond);
  EXPECT_EQ(count(juliet.seen(), "<body>"), 20U);
  std::size_t at = 0;
  for (int i = 0; i < 20 && at != std::string::npos; ++i) {
    at = juliet.seen().find("id='w" + std::to_string(i) + "'", at);
    EXPECT_NE(at, std::string::npos) << "w" << i << " came too early";
  }
}

TEST(Activation, AModuleMayComeWhileAnAccountIsLoaded) {
  World world({.seed = 7, .workers = 1});
  world.add_account("romeo@localhost");
  world.add_account("juliet@localhost");
  Watcher watcher(world);
  RawClient romeo(world);
  romeo.write(login("romeo"));
  world.run_for(kSecond);
  std::optional<Watcher> later;
  while_loading = [&] { later.emplace(world); };
  romeo.write(message("juliet@localhost/r", "m1") + message("nobody@localhost", "m2"));
  world.run_for(kSecond);
  ASSERT_TRUE(later);
  EXPECT_EQ(later->seen, "to ") << "nothing is lost, and it has its data";
  EXPECT_TRUE(romeo.saw("id='m2'")) << romeo.seen();
}

TEST(Activation, TheLongestUnusedAccountsLeaveMemory) {
  World world(
      {.seed = 3, .workers = 1, .config = "[limits]\ncached_accounts = 2\n[host.\"localhost\"]\n"});
  for (const auto* name : {"romeo", "a", "b", "c"})
    world.add_account(name + std::string("@localhost"));
  Watcher watcher(world);
  RawClient romeo(world);
  romeo.write(login("romeo"));
  world.run_for(kSecond);
  auto& accounts = world.server().worker(0).accounts();
  for (const auto* to : {"a", "b", "a", "c"}) {
    romeo.write(message(to + std::string("@localhost"), "m"));
    world.run_for(kSecond);
  }
  EXPECT_EQ(accounts.size(), 3U) << "romeo, and two more";
  EXPECT_NE(accounts.find(*xmpp::Jid::parse("a@localhost")), nullptr);
  EXPECT_EQ(accounts.find(*xmpp::Jid::parse("b@localhost")), nullptr);
  EXPECT_EQ(accounts.count_used(), 1U);
}

TEST(Activation, ARemovedAccountIsForgotten) {
  World world({.seed = 4, .workers = 1});
  for (const auto* name : {"romeo", "juliet"}) world.add_account(name + std::string("@localhost"));
  RawClient romeo(world);
  romeo.write(login("romeo") + message("juliet@localhost", "m1"));
  world.run_for(kSecond);
  const auto juliet = *xmpp::Jid::parse("juliet@localhost");
  auto& worker = world.server().worker(0);
  ASSERT_NE(worker.accounts().find(juliet), nullptr);
  auto removed = world.server().storage().write_blocking(
      juliet, [](Tx& tx, const xmpp::Jid& who) { return tx.accounts().remove(who); }, juliet);
  ASSERT_TRUE(removed && *removed);
  worker.call([&worker, juliet] {
    worker.end_links_of(juliet, {xmpp::StreamCondition::not_authorized, {}});
  });
  world.run_for(kSecond);
  EXPECT_EQ(worker.accounts().find(juliet), nullptr);
  // Made again: not remembered as absent either.
  romeo.write(message("juliet@localhost", "m2"));
  world.run_for(kSecond);
  world.add_account("juliet@localhost");
  worker.call([&worker, juliet] { worker.activator().forget(juliet); });
  romeo.write(message("juliet@localhost", "m3"));
  world.run_for(kSecond);
  EXPECT_NE(worker.accounts().find(juliet), nullptr);
}

// What is known of an account that was removed says nothing about the next one of that name, even
// if a task keeps it in memory.
TEST(Activation, ANameThatIsUsedAgainIsReadAgain) {
  World world({.seed = 10, .workers = 1});
  for (const auto* name : {"romeo", "juliet"}) world.add_account(name + std::string("@localhost"));
  Watcher watcher(world);
  RawClient romeo(world);
  {
    RawClient juliet(world);
    juliet.write(login("juliet"));
    romeo.write(login("romeo"));
    world.run_for(kSecond);
  }
  const auto juliet_jid = *xmpp::Jid::parse("juliet@localhost");
  auto& worker = world.server().worker(0);
  Account* account = worker.accounts().find(juliet_jid);
  ASSERT_NE(account, nullptr);
  (*account)[watcher.state].jid = "of the first one";
  xmpp::Completion<void> done;
  const auto ticket = done.ticket();
  const auto wait = [](xmpp::Completion<void> what) -> xmpp::Task<void> { co_await what; };
  account->spawn(watcher.scope, wait(std::move(done)));
  auto removed = world.server().storage().write_blocking(
      juliet_jid, [](Tx& tx, const xmpp::Jid& who) { return tx.accounts().remove(who); },
      juliet_jid);
  ASSERT_TRUE(removed && *removed);
  worker.call([&worker, juliet_jid] {
    worker.end_links_of(juliet_jid, {xmpp::StreamCondition::not_authorized, {}});
  });
  world.run_for(kSecond);
  romeo.write(message("juliet@localhost", "m1"));
  world.run_for(kSecond);
  EXPECT_TRUE(romeo.saw("id='m1'")) << "nobody is there";
  world.add_account("juliet@localhost");
  worker.call([&worker, juliet_jid] { worker.activator().forget(juliet_jid); });
  world.run_for(kSecond);
  ASSERT_EQ(worker.accounts().find(juliet_jid), account) << "the task keeps it";
  loads = 0;
  RawClient juliet(world);
  juliet.write(login("juliet"));
  world.run_for(kSecond);
  ASSERT_TRUE(juliet.saw("</jid>")) << juliet.seen();
  EXPECT_EQ((*account)[watcher.state].jid, "juliet@localhost");
  EXPECT_EQ(loads, 1);
  romeo.write(message("juliet@localhost", "m2"));
  world.run_for(kSecond);
  EXPECT_EQ(loads, 1) << "once";
  ticket.complete();
}

TEST(Activation, AStorageThatFailsIsAskedAgainAndThenRefuses) {
  World world({.seed = 5, .workers = 1});
  for (const auto* name : {"romeo", "juliet", "late"}) {
    world.add_account(name + std::string("@localhost"));
  }
  Watcher watcher(world);
  RawClient romeo(world);
  romeo.write(login("romeo"));
  world.run_for(kSecond);
  storage_is_broken = true;
  romeo.write(message("juliet@localhost", "m1"));
  RawClient late(world);
  late.write(login("late"));
  world.run_for(kActivationPatience - kSecond);
  EXPECT_FALSE(romeo.saw("id='m1'")) << "it waits";
  world.run_for(2 * kSecond);
  EXPECT_TRUE(romeo.saw("id='m1'") && romeo.saw("<resource-constraint")) << romeo.seen();
  EXPECT_TRUE(late.saw("id='b'") && late.saw("<resource-constraint")) << late.seen();
  // Within its patience, what waits is delivered when the storage recovers.
  romeo.write(message("juliet@localhost", "m2"));
  world.run_for(kSecond);
  EXPECT_FALSE(romeo.saw("id='m2'"));
  storage_is_broken = false;
  late.write(kBind);
  world.run_for(kSecond);
  EXPECT_TRUE(late.saw("late@localhost/r</jid>")) << late.seen();
  EXPECT_NE(watcher.seen.find("to "), std::string::npos) << watcher.seen;
  EXPECT_EQ(watcher.seen.find("TO "), std::string::npos) << watcher.seen;
}

TEST(Activation, WhoWaitsForItsOwnAccountIsNotReadOn) {
  World world({.seed = 8, .workers = 1});
  world.add_account("romeo@localhost");
  RawClient romeo(world);
  romeo.write(login("romeo"));
  world.run_for(kSecond);
  Watcher watcher(world);
  storage_is_broken = true;
  std::string text;
  std::size_t taken = 0;
  for (int i = 0; i < 300; ++i) {
    for (int j = 0; j < 100; ++j) text += message("romeo@localhost/r", "n");
    const iovec part{text.data(), text.size()};
    const auto bytes = romeo.channel().writev({&part, 1}).bytes;
    text.erase(0, bytes);
    taken += bytes;
    world.run_for(std::chrono::milliseconds(10));
  }
  EXPECT_LT(taken, 512U * 1024) << "what is under way, and what is read in a turn";
  world.run_for(kActivationPatience);
  EXPECT_TRUE(romeo.saw("<resource-constraint")) << romeo.seen();
  storage_is_broken = false;
  world.run_for(2 * kSecond);
  EXPECT_NE(watcher.seen.find("by "), std::string::npos) << "it is read again";
}

TEST(Activation, OneSenderCannotCrowdOutOthers) {
  World world({.seed = 6,
               .workers = 1,
               .config = "[host.\"localhost\"]\n[profile.default]\nmodules = [\"-offline\"]\n"});
  for (const auto* name : {"romeo", "juliet", "mercutio"}) {
    world.add_account(name + std::string("@localhost"));
  }
  Watcher watcher(world);
  RawClient romeo(world);
  RawClient mercutio(world);
  romeo.write(login("romeo"));
  mercutio.write(login("mercutio"));
  world.run_for(kSecond);
  storage_is_broken = true;  // what is sent waits
  std::string flood;
  for (std::size_t i = 0; i < 2 * kActivationBacklog; ++i)
    flood += message("juliet@localhost", "f");
  romeo.write(flood);
  world.run_for(kSecond);
  const auto refused = count(romeo.seen(), "<resource-constraint");
  EXPECT_GT(refused, 3 * kActivationBacklog / 2);
  EXPECT_LT(refused, 2 * kActivationBacklog);
  mercutio.write(message("juliet@localhost", "m1"));
  world.run_for(kSecond);
  EXPECT_FALSE(mercutio.saw("<resource-constraint")) << "there is a place for others";
  storage_is_broken = false;
  world.run_for(kSecond);
  EXPECT_EQ(count(watcher.seen, "to "), 2 * kActivationBacklog - refused + 1);
}

}  // namespace
}  // namespace xmppd
