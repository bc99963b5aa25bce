// The module `csi` is replaced or taken out while stanzas wait for an inactive client: none is lost
// and none comes twice. What waits when is in the plays csi_*.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "unit/server/module_changes.h"

namespace xmppd {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

// Romeo's presence waits for juliet, who is inactive.
class CsiModule : public testing::Test {
 protected:
  CsiModule() {
    for (const auto* name : {"romeo", "juliet"}) world.add_account(name + "@localhost"s);
    romeo.write(login("romeo"));
    juliet.write(login("juliet") + "<presence/>");
    world.run_for(1s);
    juliet.write("<inactive xmlns='urn:xmpp:csi:0'/>");
    world.run_for(100ms);
    say("one");
  }
  void say(std::string_view status) {
    romeo.write("<presence to='juliet@localhost'><status>" + std::string(status) +
                "</status></presence>");
    world.run_for(100ms);
  }
  std::size_t count(std::string_view text) {
    std::size_t found = 0;
    for (auto at = juliet.seen().find(text); at != std::string::npos;
         at = juliet.seen().find(text, at + 1)) {
      ++found;
    }
    return found;
  }

  World world{{.seed = 1, .workers = 2}};
  RawClient romeo{world};
  RawClient juliet{world};
  ModuleChanges modules{world};
};

TEST_F(CsiModule, AnUnloadDeliversWhatWaits) {
  EXPECT_EQ(count("one"), 0u);
  modules.unload("csi");
  world.run_for(1s);
  EXPECT_EQ(modules.said(), "");
  EXPECT_EQ(count("one"), 1u) << juliet.seen();
  say("two");
  EXPECT_EQ(count("two"), 1u);
  // What came is not given again. Nobody heard whether she has become active since, so she is.
  modules.load("csi");
  world.run_for(1s);
  EXPECT_EQ(modules.said(), "");
  say("three");
  EXPECT_EQ(count("three"), 1u);
  EXPECT_EQ(count("one"), 1u);
}

TEST_F(CsiModule, AReloadLetsThemWaitOn) {
  modules.reload("csi");
  world.run_for(1s);
  EXPECT_EQ(modules.said(), "");
  EXPECT_EQ(count("one"), 0u);
  romeo.write("<message to='juliet@localhost'><body>Hi</body></message>");
  world.run_for(100ms);
  EXPECT_EQ(count("one"), 1u);
  EXPECT_LT(juliet.seen().find("one"), juliet.seen().find("Hi"));
}

}  // namespace
}  // namespace xmppd
