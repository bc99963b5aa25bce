// Offline messages under pressure: what one sender floods a store with is refused to it alone.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "core/worker.h"
#include "sim/sim_vfs.h"
#include "unit/server/raw_client.h"
#include "xmppd/module.h"

namespace xmppd {
namespace {

constexpr auto kSecond = std::chrono::seconds(1);

std::string messages(const std::string& id, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) {
    all += "<message to='juliet@localhost' type='chat' id='" + id + std::to_string(i) +
           "'><body>x</body></message>";
  }
  return all;
}

TEST(Offline, AFloodTakesNobodyElsesPlace) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    World world({.seed = seed,
                 .workers = 2,
                 .config = "[host.\"localhost\"]\n[profile.default.module.offline]\n"
                           "messages = 6\nmessages_per_sender = 3\n"});
    for (const auto* name : {"romeo", "nurse", "juliet"}) {
      world.add_account(name + std::string("@localhost"));
    }
    RawClient romeo(world);
    RawClient nurse(world);
    romeo.write(login("romeo"));
    nurse.write(login("nurse"));
    world.run_for(kSecond);
    romeo.write(messages("r", 50));
    nurse.write(messages("n", 3));
    world.run_for(kSecond);
    EXPECT_FALSE(romeo.saw("id='r2'")) << seed;
    EXPECT_TRUE(romeo.saw("id='r3'") && romeo.saw("id='r49'")) << seed;
    EXPECT_FALSE(nurse.saw("<service-unavailable")) << seed << nurse.seen();
  }
}

TEST(Offline, WhoLeavesAtOnceGetsNothingTwice) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    World world({.seed = seed, .workers = 2});
    for (const auto* name : {"romeo", "juliet"})
      world.add_account(name + std::string("@localhost"));
    RawClient romeo(world);
    romeo.write(login("romeo") + messages("m", 5));
    world.run_for(kSecond);
    {
      // So near that its end may come before anybody looks whether it was written to.
      RawClient juliet(world, {.delay_min = {}, .delay_max = {}});
      juliet.write(login("juliet") + "<presence/>");
      ASSERT_TRUE(world.run_until([&] { return juliet.saw("id='m4'"); }, world.now() + kSecond));
      juliet.write("</stream:stream>");
      world.run_for(kSecond);
    }
    RawClient again(world);
    again.write(login("juliet") + "<presence/>");
    world.run_for(kSecond);
    EXPECT_FALSE(again.saw("<message")) << seed << again.seen();
  }
}

// RFC 6120 10.1: those that find no place to wait do not overtake those that did.
TEST(Offline, LiveMessagesKeepTheirOrderHoweverMany) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    World world({.seed = seed,
                 .workers = 2,
                 .config = "[host.\"localhost\"]\n[profile.default.module.offline]\n"
                           "messages_per_sender = 1000\n"});
    for (const auto* name : {"romeo", "juliet"})
      world.add_account(name + std::string("@localhost"));
    RawClient romeo(world);
    romeo.write(login("romeo") + messages("s", 3));
    world.run_for(kSecond);
    RawClient juliet(world);
    juliet.write(login("juliet"));
    world.run_for(kSecond);
    juliet.write("<presence/>");
    romeo.write(messages("n", 700));
    world.run_for(10 * kSecond);
    std::size_t at = 0;
    for (int i = 0; i < 700; ++i) {
      const auto found = juliet.seen().find("id='n" + std::to_string(i) + "'");
      ASSERT_NE(found, std::string::npos) << i << " of seed " << seed;
      const auto size = juliet.seen().find("</message>", found) - found;
      // Stored ones have an order of their own.
      if (juliet.seen().substr(found, size).find("Offline storage") != std::string::npos) continue;
      ASSERT_GT(found, at) << i << " of seed " << seed;
      at = found;
    }
  }
}

// The one that finds no place may not pass when those before it have to wait elsewhere, either.
TEST(Offline, TheLastOfTooManyStaysBehindItsSendersOthers) {
  World world({.seed = 1,
               .workers = 1,
               .config = "[host.\"localhost\"]\n[profile.default.module.offline]\n"
                         "messages_per_sender = 1000\n"});
  for (const auto* name : {"romeo", "juliet"}) world.add_account(name + std::string("@localhost"));
  OrderHold hold;
  Scope scope(*world.server().worker(0).find_profile("default"), "test");
  scope.on<ToAccount>(Stage::filter, [&](ToAccount& hook) {
    if (hook.stanza.id() == "n0") hold = hook.to.hold_order(hook.stanza);
    return Verdict::pass;
  });
  RawClient romeo(world);
  romeo.write(login("romeo") + messages("s", 1));
  world.run_for(kSecond);
  RawClient juliet(world);
  juliet.write(login("juliet"));
  world.run_for(kSecond);
  world.stall_storage(world.now() + 3 * kSecond);
  juliet.write("<presence/>");
  world.run_for(kSecond);
  romeo.write(messages("n", 501));
  world.run_for(kSecond);
  EXPECT_TRUE(juliet.saw("id='n0'")) << juliet.seen();
  EXPECT_FALSE(juliet.saw("id='n1'"));
  EXPECT_FALSE(juliet.saw("id='n500'")) << "it has overtaken the others";
  hold.reset();
  world.run_for(kSecond);
  EXPECT_LT(juliet.seen().find("id='n499'"), juliet.seen().find("id='n500'"));
}

// Stored, with its sender's address, it is more than what a stream may bring.
TEST(Offline, TheLargestMessageIsNotLost) {
  World world({.seed = 1, .workers = 2});
  for (const auto* name : {"romeo", "juliet"}) world.add_account(name + std::string("@localhost"));
  const std::string begin = "<message to='juliet@localhost' type='chat' id='big'><body>";
  const std::string end = "</body></message>";
  const std::string text(262'144 - begin.size() - end.size(), 'x');
  const sim::LinkQuality wide{.window = 1 << 20};
  RawClient romeo(world, wide);
  romeo.write(login("romeo"));
  world.run_for(kSecond);
  romeo.write(begin + text + end);
  world.run_for(kSecond);
  EXPECT_FALSE(romeo.saw("<error") || romeo.saw("<stream:error")) << romeo.seen();
  RawClient juliet(world, wide);
  juliet.write(login("juliet") + "<presence/>");
  world.run_for(kSecond);
  EXPECT_TRUE(juliet.saw("id='big'"));
  EXPECT_TRUE(juliet.saw("<body>" + text + "</body>"));
}

int occurrences(std::string_view text, std::string_view what) {
  int count = 0;
  for (auto at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1)) {
    ++count;
  }
  return count;
}

TEST(Offline, WhatCouldNotBeRemovedIsNotDeliveredTwice) {
  sim::SimDisk disk("offline-test", 1);
  World world({.seed = 1, .disk = &disk});
  for (const auto* name : {"romeo", "juliet"}) world.add_account(name + std::string("@localhost"));
  RawClient romeo(world);
  romeo.write(login("romeo") + messages("first", 2));
  world.run_for(kSecond);
  RawClient juliet(world);
  juliet.write(login("juliet"));
  world.run_for(kSecond);
  disk.fail(1);
  juliet.write("<presence/>");
  world.run_for(20 * kSecond);
  disk.fail(0);
  ASSERT_EQ(occurrences(juliet.seen(), "id='first1'"), 1);
  juliet.write("<presence><priority>-1</priority></presence>");
  world.run_for(kSecond);
  romeo.write(messages("second", 2));
  world.run_for(kSecond);
  juliet.write("<presence/>");
  world.run_for(20 * kSecond);
  EXPECT_EQ(occurrences(juliet.seen(), "id='first0'"), 1) << juliet.seen();
  EXPECT_EQ(occurrences(juliet.seen(), "id='first1'"), 1);
  EXPECT_EQ(occurrences(juliet.seen(), "id='second1'"), 1) << juliet.seen();
  RawClient later(world);
  later.write(login("juliet") + "<presence/>");
  world.run_for(kSecond);
  EXPECT_EQ(occurrences(later.seen(), "Offline storage"), 0) << later.seen();
}

}  // namespace
}  // namespace xmppd
