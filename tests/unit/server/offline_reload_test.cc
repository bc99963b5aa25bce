// The module `offline` is replaced or taken out while live messages wait behind stored ones:
// nothing is lost, nothing comes twice, and what one sender said stays in order.
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "core/worker.h"
#include "unit/server/module_changes.h"

namespace xmppd {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

constexpr std::size_t kBodyBytes = 20'000;

std::string message(const std::string& id, std::size_t bytes = 1) {
  return "<message to='juliet@localhost' type='chat' id='" + id + "'><body>" +
         std::string(bytes, 'x') + "</body></message>";
}

// The ids of the messages in what a client has seen, in order.
std::vector<std::string> ids(std::string_view seen) {
  std::vector<std::string> all;
  for (auto at = seen.find("<message"); at != std::string_view::npos;
       at = seen.find("<message", at + 1)) {
    const auto begin = seen.find("id='", at) + 4;
    all.emplace_back(seen.substr(begin, seen.find('\'', begin) - begin));
  }
  return all;
}

std::vector<std::string> numbered(const std::string& prefix, int from, int to) {
  std::vector<std::string> all;
  for (int i = from; i < to; ++i) all.push_back(prefix + std::to_string(i));
  return all;
}

// Romeo has stored s0, s1, s2 for juliet, who has logged in and has not said that she is there.
class OfflineReload : public testing::TestWithParam<std::uint64_t> {
 protected:
  OfflineReload() {
    for (const auto* name : {"romeo", "juliet"}) world.add_account(name + "@localhost"s);
    romeo.write(login("romeo"));
    world.run_for(1s);
    for (const auto& id : numbered("s", 0, 3)) romeo.write(message(id, kBodyBytes));
    world.run_for(1s);
    juliet.write(login("juliet"));
    world.run_for(1s);
  }
  void say(int from, int to) {
    for (const auto& id : numbered("n", from, to)) romeo.write(message(id));
  }
  void expect_nothing_stored() {
    RawClient again(world);
    again.write(login("juliet") + "<presence/>");
    world.run_for(2s);
    EXPECT_FALSE(again.saw("<message")) << "they were not removed";
  }
  // s0, s1, s2, n0, n1 ...
  static std::vector<std::string> all(int live) {
    auto expected = numbered("s", 0, 3);
    for (const auto& id : numbered("n", 0, live)) expected.push_back(id);
    return expected;
  }

  World world{{.seed = GetParam(), .workers = 2}};
  RawClient romeo{world};
  RawClient juliet{world, {.window = 8 * 1024}};
  ModuleChanges modules{world};
};

TEST_P(OfflineReload, KeepsWhatWaitsWhileTheStoredOnesAreLoaded) {
  world.stall_storage(world.now() + 4s);
  juliet.write("<presence/>");
  world.run_for(500ms);
  say(0, 3);
  world.run_for(500ms);
  modules.reload("offline");
  world.run_for(kIdleWait + 200ms);
  EXPECT_EQ(modules.said(), "under way");
  say(3, 6);
  world.run_for(200ms);
  EXPECT_FALSE(juliet.saw("<message")) << juliet.seen();
  world.run_for(10s);
  EXPECT_EQ(modules.said(), "");
  EXPECT_EQ(ids(juliet.seen()), all(6));
  expect_nothing_stored();
}

TEST_P(OfflineReload, KeepsWhatWaitsForAClientThatDoesNotRead) {
  juliet.stop_reading();
  juliet.write("<presence/>");
  world.run_for(100ms);
  say(0, 3);
  modules.reload("offline");
  world.run_for(kIdleWait + 500ms);
  EXPECT_EQ(modules.said(), "");
  say(3, 6);
  world.run_for(100ms);
  juliet.read_again();
  world.run_for(5s);
  EXPECT_EQ(ids(juliet.seen()), all(6));
  expect_nothing_stored();
}

// The successor finds out although nothing comes, and twice.
TEST_P(OfflineReload, GoesOnByItself) {
  juliet.stop_reading();
  juliet.write("<presence/>");
  world.run_for(100ms);
  for (int i = 0; i < 2; ++i) {
    modules.reload("offline");
    world.run_for(kIdleWait + 500ms);
    EXPECT_EQ(modules.said(), "") << i;
  }
  juliet.read_again();
  world.run_for(2s);
  EXPECT_EQ(ids(juliet.seen()), all(0));
  expect_nothing_stored();
}

// What was not written when the session ended goes to the next one.
TEST_P(OfflineReload, ForgetsWhatWasNotWritten) {
  juliet.stop_reading();
  juliet.write("<presence/>");
  world.run_for(100ms);
  modules.reload("offline");
  world.run_for(kIdleWait + 500ms);
  juliet.channel().cut();
  world.run_for(1s);
  RawClient again(world);
  again.write(login("juliet") + "<presence/>");
  world.run_for(2s);
  EXPECT_EQ(ids(again.seen()), all(0));
}

TEST_P(OfflineReload, AnUnloadLetsThemPass) {
  juliet.stop_reading();
  juliet.write("<presence/>");
  world.run_for(100ms);
  say(0, 3);
  world.run_for(100ms);
  modules.unload("offline");
  world.run_for(100ms);
  say(3, 6);
  world.run_for(100ms);
  juliet.read_again();
  world.run_for(1s);
  EXPECT_EQ(modules.said(), "");
  EXPECT_EQ(ids(juliet.seen()), all(6));
  modules.load("offline");
  world.run_for(1s);
  EXPECT_EQ(modules.said(), "");
  say(6, 7);
  world.run_for(100ms);
  RawClient again(world);
  again.write(login("juliet") + "<presence/>");
  world.run_for(2s);
  EXPECT_FALSE(again.saw("<message")) << again.seen();
  EXPECT_TRUE(juliet.saw("id='n6'"));
}

TEST_P(OfflineReload, AnUnloadLetsThemPassThoseThatAreNotLoaded) {
  world.stall_storage(world.now() + 20s);
  juliet.write("<presence/>");
  world.run_for(500ms);
  say(0, 3);
  world.run_for(500ms);
  EXPECT_FALSE(juliet.saw("<message"));
  modules.unload("offline");
  world.run_for(100ms);
  EXPECT_EQ(ids(juliet.seen()), numbered("n", 0, 3));
  world.run_for(kRetireWait);
  EXPECT_EQ(modules.said(), "");
}

// Who stored it has gone before it was stored; who came meanwhile gets it from the successor.
TEST_P(OfflineReload, DeliversWhatTheInstanceBeforeStored) {
  world.stall_storage(world.now() + 3s);
  romeo.write(message("late"));
  world.run_for(100ms);
  modules.reload("offline");
  world.run_for(500ms);
  juliet.write("<presence/>");
  world.run_for(kIdleWait);
  say(0, 1);
  world.run_for(5s);
  EXPECT_EQ(modules.said(), "");
  EXPECT_EQ(ids(juliet.seen()), (std::vector<std::string>{"s0", "s1", "s2", "late", "n0"}));
}

INSTANTIATE_TEST_SUITE_P(Seeds, OfflineReload, testing::Range<std::uint64_t>(1, 6));

}  // namespace
}  // namespace xmppd
