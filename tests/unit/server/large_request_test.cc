// One request is bounded work for its worker, whatever it holds.
#include <gtest/gtest.h>

#include <ctime>
#include <string>

#include "core/worker.h"
#include "unit/server/raw_client.h"

namespace xmppd {
namespace {

constexpr auto kSecond = std::chrono::seconds(1);
constexpr sim::LinkQuality kWide{.window = 1 << 20};

// What the test has spent, however much else the machine does.
double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

// Blocking looks at everybody who was told presence directly, and at everybody to be blocked.
TEST(LargeRequest, BlocksManyWhileManyWereToldPresence) {
  World world({.seed = 1, .workers = 1});
  world.add_account("romeo@localhost");
  RawClient romeo(world, kWide);
  std::string text = login("romeo");
  for (int i = 0; i < 1'000; ++i) {
    text += "<presence to='a" + std::to_string(i) + "@localhost'/>";
  }
  romeo.write(text);
  world.run_for(kSecond);
  std::string items;
  for (int i = 500; i < 5'500; ++i) items += "<item jid='a" + std::to_string(i) + "@localhost'/>";
  const double before = cpu_seconds();
  romeo.write("<iq type='set' id='block'><block xmlns='urn:xmpp:blocking'>" + items +
              "</block></iq>");
  world.run_for(kSecond);
  EXPECT_LT(cpu_seconds() - before, 2);
  EXPECT_TRUE(romeo.saw("id='block' type='result'") || romeo.saw("type='result' id='block'"));
}

}  // namespace
}  // namespace xmppd
