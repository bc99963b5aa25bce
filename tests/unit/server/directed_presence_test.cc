// A session remembers whom it told its presence directly, up to a limit (RFC 6121 4.6).
#include <gtest/gtest.h>

#include <string>

#include "unit/server/raw_client.h"

namespace xmppd {
namespace {

constexpr auto kSecond = std::chrono::seconds(1);
constexpr sim::LinkQuality kWide{.window = 1 << 20};
constexpr int kTargetsMax = 1'000;

std::string presence_to(const std::string& to, const std::string& id,
                        const std::string& type = {}) {
  return "<presence to='" + to + "' id='" + id + "'" +
         (type.empty() ? "" : " type='" + type + "'") + "/>";
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

TEST(DirectedPresence, TellsOneTargetMoreOnlyWhenAnotherIsForgotten) {
  World world({.seed = 1, .workers = 2});
  world.add_account("romeo@localhost");
  world.add_account("juliet@localhost");
  RawClient juliet(world, kWide);
  juliet.write(login("juliet") + "<presence/>");
  RawClient romeo(world, kWide);
  std::string text = login("romeo") + presence_to("juliet@localhost/r", "first");
  for (int i = 1; i < kTargetsMax; ++i) {
    text += presence_to("a" + std::to_string(i) + "@elsewhere.example", "a" + std::to_string(i));
  }
  romeo.write(text);
  world.run_for(kSecond);
  EXPECT_EQ(count(romeo.seen(), "policy-violation"), 0U);

  romeo.write(presence_to("more@localhost", "more"));
  world.run_for(kSecond);
  EXPECT_EQ(count(romeo.seen(), "policy-violation"), 1U);
  EXPECT_TRUE(romeo.saw("id='more'"));

  // Who was told before is told again, and who is told goodbye makes room.
  romeo.write(presence_to("juliet@localhost/r", "again") +
              presence_to("a1@elsewhere.example", "bye", "unavailable") +
              presence_to("more@elsewhere.example", "now"));
  world.run_for(kSecond);
  EXPECT_EQ(count(romeo.seen(), "policy-violation"), 1U);
  EXPECT_TRUE(juliet.saw("id='again'"));

  // All who were told learn of the end.
  romeo.channel().cut();
  world.run_for(kSecond);
  EXPECT_EQ(count(juliet.seen(), "type='unavailable'"), 1U);
}

}  // namespace
}  // namespace xmppd
