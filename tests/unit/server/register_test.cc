// What in-band registration bounds: registrations of an address, on whatever worker, and changes of
// password that a session may have under way; and what follows such a change without the module.
#include <gtest/gtest.h>

#include <string>

#include "core/module_change.h"
#include "core/worker.h"
#include "unit/server/raw_client.h"

namespace xmppd {
namespace {

constexpr auto kSecond = std::chrono::seconds(1);

std::string config(const std::string& limit) {
  return "[host.\"localhost\"]\n[profile.default.module.register]\nallow = \"all\"\n" + limit;
}

std::string set_password(const std::string& id, const std::string& user) {
  return "<iq type='set' id='" + id + "'><query xmlns='jabber:iq:register'><username>" + user +
         "</username><password>p</password></query></iq>";
}

// Whether a new connection from there may register `user`.
bool registers(World& world, const std::string& user, const std::string& address) {
  RawClient client(world, {}, address);
  client.write(kHeader + set_password("r", user));
  world.run_for(kSecond);
  if (client.saw("type='result'")) return true;
  EXPECT_TRUE(client.saw("<resource-constraint") && client.saw("type='wait'")) << client.seen();
  return false;
}

TEST(Register, AnAddressHasSoManyAnHourOverAllWorkers) {
  World world({.seed = 1, .workers = 3, .config = config("per_address = 3\n")});
  for (int i = 0; i < 8; ++i) {
    const auto port = std::to_string(1'000 + i);
    EXPECT_EQ(registers(world, "a" + std::to_string(i), "192.0.2.1:" + port), i < 3) << i;
  }
  EXPECT_TRUE(registers(world, "b", "192.0.2.2:1000")) << "another address";
  world.run_for(std::chrono::hours(1));
  // Connections come in outside of a turn here: let the workers see what time it is.
  for (std::size_t i = 0; i < 3; ++i) world.server().worker(i).call([] {});
  world.run_for(kSecond);
  EXPECT_TRUE(registers(world, "c", "192.0.2.1:1000")) << "another hour";
}

TEST(Register, AnIpv6NetworkIsOneAddress) {
  World world({.seed = 2, .workers = 2, .config = config("per_address = 1\n")});
  EXPECT_TRUE(registers(world, "a", "[2001:db8:1:2::1]:1000"));
  EXPECT_FALSE(registers(world, "b", "[2001:db8:1:2::2]:1000"));
}

TEST(Register, IsLimitedUnlessSaidOtherwise) {
  World world({.seed = 3, .workers = 2, .config = config("")});
  int taken = 0;
  for (int i = 0; i < 15; ++i) {
    if (registers(world, "a" + std::to_string(i), "192.0.2.3:1000")) ++taken;
  }
  EXPECT_EQ(taken, 10);
}

TEST(Register, ThisMachineIsNotLimitedNorIsZero) {
  {
    World world({.seed = 4, .workers = 2, .config = config("per_address = 1\n")});
    for (int i = 0; i < 5; ++i) {
      EXPECT_TRUE(registers(world, "a" + std::to_string(i), "127.0.0.1:1000"));
      EXPECT_TRUE(registers(world, "b" + std::to_string(i), "[::1]:1000"));
    }
  }
  World world({.seed = 5, .workers = 2, .config = config("per_address = 0\n")});
  for (int i = 0; i < 15; ++i) {
    EXPECT_TRUE(registers(world, "a" + std::to_string(i), "192.0.2.4:1000"));
  }
}

// Who was told that there is nobody may write again as soon as there is somebody.
TEST(Register, WhoIsNewGetsMessagesAtOnce) {
  World world({.seed = 7, .workers = 2, .config = config("")});
  world.add_account("romeo@localhost");
  RawClient romeo(world);
  const auto message = [](const std::string& id) {
    return "<message to='juliet@localhost' type='chat' id='" + id + "'><body>x</body></message>";
  };
  romeo.write(login("romeo") + message("early"));
  world.run_for(kSecond);
  EXPECT_TRUE(romeo.saw("id='early'") && romeo.saw("<service-unavailable")) << romeo.seen();
  EXPECT_TRUE(registers(world, "juliet", "127.0.0.1:1000"));
  romeo.write(message("later"));
  world.run_for(kSecond);
  EXPECT_FALSE(romeo.saw("id='later'")) << romeo.seen();
}

TEST(Register, OneChangeOfPasswordAtATime) {
  World world({.seed = 6, .workers = 2});
  world.add_account("romeo@localhost");
  RawClient client(world);
  client.write(login("romeo"));
  world.run_for(kSecond);
  ASSERT_TRUE(client.saw("</jid>"));
  client.write(set_password("c1", "romeo") + set_password("c2", "romeo"));
  world.run_for(kSecond);
  const auto refused = client.seen().find("<resource-constraint");
  ASSERT_NE(refused, std::string::npos) << client.seen();
  EXPECT_EQ(client.seen().find("<resource-constraint", refused + 1), std::string::npos);
  EXPECT_TRUE(client.saw("type='wait'")) << client.seen();
  EXPECT_TRUE(client.saw("id='c1'") && client.saw("id='c2'")) << client.seen();
  client.write(set_password("c3", "romeo"));
  world.run_for(kSecond);
  EXPECT_EQ(client.seen().find("<resource-constraint", refused + 1), std::string::npos)
      << "the last one has ended";
  EXPECT_TRUE(client.saw("id='c3'"));
}

// Romeo is here twice, and the module goes for good while what he asked it for is being stored.
class RegisterUnloaded : public testing::Test {
 protected:
  RegisterUnloaded() {
    world.add_account("romeo@localhost");
    one.write(login("romeo"));
    std::string bind = kBind;
    other.write(kHeader + plain("romeo") + kHeader + bind.replace(bind.find(">r<"), 3, ">s<"));
    world.run_for(kSecond);
  }
  void ask_and_unload(const std::string& request) {
    ASSERT_TRUE(one.saw("</jid>") && other.saw("</jid>"));
    world.stall_storage(world.now() + kRetireWait + 3 * kSecond);
    one.write(request);
    world.run_for(kSecond);
    world.server().worker(0).call([this] {
      world.server().worker(0).find_profile("default")->change(
          {{"register"}, {}, std::make_shared<const ProfileConfig>()},
          [this](const std::string& error) { said = error; });
    });
    world.run_for(kRetireWait + kSecond);
    EXPECT_EQ(said, "") << "its task is no more";
    EXPECT_FALSE(other.saw("<stream:error>"));
    world.run_for(5 * kSecond);
  }
  World world{{.seed = 8, .workers = 1}};
  RawClient one{world};
  RawClient other{world};
  std::string said = "still under way";
};

TEST_F(RegisterUnloaded, AChangedPasswordEndsTheOtherSessions) {
  ask_and_unload(set_password("c", "romeo"));
  EXPECT_TRUE(other.saw("<reset") && other.saw("Password changed")) << other.seen();
  EXPECT_FALSE(one.saw("<stream:error>")) << one.seen();
}

TEST_F(RegisterUnloaded, ARemovedAccountHasNoSessions) {
  ask_and_unload("<iq type='set' id='c'><query xmlns='jabber:iq:register'><remove/></query></iq>");
  EXPECT_TRUE(other.saw("<not-authorized") && other.saw("Account removed")) << other.seen();
  EXPECT_TRUE(one.saw("<not-authorized")) << one.seen();
}

}  // namespace
}  // namespace xmppd
