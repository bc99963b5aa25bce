// Links in the whole server under a virtual clock: moves to the owner, pauses, ends, and that every
// connection is counted exactly once. The client is raw bytes, so that they can be cut anywhere.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/ownership.h"
#include "core/worker.h"
#include "unit/server/raw_client.h"

namespace xmppd {
namespace {

// Nothing is left of any connection.
void expect_empty(SimWorld& world) {
  auto& server = world.server();
  EXPECT_EQ(server.connection_count(), 0U);
  EXPECT_EQ(server.session_count(), 0U);
  const auto key = AddressTable::key_of("127.0.0.1:40000");
  EXPECT_TRUE(server.addresses().try_add(key, 1)) << "a place was not given back";
  EXPECT_FALSE(server.addresses().try_add(key, 1)) << "a place was given back twice";
  server.addresses().remove(key);
}

constexpr auto kSecond = std::chrono::seconds(1);

TEST(Link, PipelinedLoginReachesEveryOwner) {
  World world({.seed = 3, .workers = 3});
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 12; ++i) {
    const auto user = "u" + std::to_string(i);
    world.add_account(user + "@localhost");
    clients.push_back(std::make_unique<RawClient>(world));
    clients.back()->write(login(user) + "<presence/><message to='" + user +
                          "@localhost/r' id='m'><body>x</body></message>");
  }
  world.run_for(kSecond);
  for (auto& client : clients) EXPECT_TRUE(client->saw("<body>x</body>")) << client->seen();
  EXPECT_EQ(world.server().session_count(), 12U);
  clients.clear();
  world.run_for(5 * kSecond);
  expect_empty(world);
}

TEST(Link, PausedWhenItMovesGoesOnAtItsOwner) {
  // The white space is more than the burst, so the link is paused while the password is verified.
  World world({.seed = 4,
               .workers = 2,
               .config = "[limits]\nstanza_rate = 10000\nstanza_burst = 16384\n"
                         "[host.\"localhost\"]\n"});
  for (int i = 0; i < 8; ++i) {
    const auto user = "u" + std::to_string(i);
    world.add_account(user + "@localhost");
    RawClient client(world);
    client.write(kHeader + std::string(20'000, ' ') + plain(user));
    world.run_for(kSecond / 2);
    client.write(kHeader + kBind);
    world.run_for(10 * kSecond);
    EXPECT_TRUE(client.saw("<jid>" + user + "@localhost/r</jid>")) << client.seen();
  }
}

TEST(Link, ABurstIsHandledInSlicesAndInOrder) {
  for (const std::uint64_t seed : {3U, 4U}) {  // with slices of nothing, and as they are
    World world({.seed = seed, .workers = 2});
    world.add_account("a@localhost");
    world.add_account("b@localhost");
    RawClient to(world);
    to.write(login("b") + "<presence/>");
    world.run_for(kSecond);
    RawClient from(world);
    constexpr int kMessages = 300;
    std::string burst = login("a");
    for (int i = 0; i < kMessages; ++i) {
      burst += "<message to='b@localhost/r' id='" + std::to_string(i) + "'/>";
    }
    from.write(burst + "</stream:stream>");
    world.run_for(5 * kSecond);
    std::size_t at = 0;
    for (int i = 0; i < kMessages; ++i) {
      at = to.seen().find("id='" + std::to_string(i) + "'", at);
      ASSERT_NE(at, std::string::npos) << i;
    }
    EXPECT_TRUE(from.saw("</stream:stream>"));
    to.channel().cut();
    from.channel().cut();
    world.run_for(5 * kSecond);
    expect_empty(world);
  }
}

TEST(Link, MayEndAtAnyMoment) {
  World world({.seed = 5, .workers = 2});
  for (int i = 0; i < 4; ++i) world.add_account("u" + std::to_string(i) + "@localhost");
  RawClient stays(world);
  stays.write(login("u0") + "<presence/>");
  world.run_for(kSecond);
  for (int i = 0; i < 600; ++i) {
    RawClient client(world, {.delay_min = xmpp::Duration(1), .delay_max = xmpp::Duration(50)});
    client.write(login("u" + std::to_string(i % 4)).substr(0, i % 3 == 0 ? 180 : 1'000));
    for (int step = 0; step < i / 8; ++step) (void)world.step(world.now() + kSecond);
    if (i % 2 == 0) client.channel().cut();
  }
  world.run_for(90 * kSecond);
  EXPECT_EQ(world.server().session_count(), world.server().connection_count());
  stays.channel().cut();
  world.run_for(5 * kSecond);
  expect_empty(world);
}

TEST(Link, AnswersTheEndOfAStreamThatShutsDown) {
  World world({.seed = 6});
  world.add_account("u@localhost");
  RawClient client(world);
  client.write(login("u"));
  world.run_for(kSecond);
  client.write("</stream:stream>");
  client.channel().shutdown_write();
  RawClient broken(world);
  broken.write(kHeader + "<a></b>");
  broken.channel().shutdown_write();
  world.run_for(kSecond);
  EXPECT_TRUE(client.saw("</stream:stream>")) << client.seen();
  EXPECT_TRUE(broken.saw("<not-well-formed")) << broken.seen();
  world.run_for(5 * kSecond);
  expect_empty(world);
}

TEST(Link, NewerConnectionTakesTheResource) {
  World world({.seed = 7});
  world.add_account("u@localhost");
  RawClient older(world);
  older.write(login("u"));
  world.run_for(kSecond);
  RawClient newer(world);
  newer.write(login("u"));
  world.run_for(kSecond);
  EXPECT_TRUE(older.saw("<conflict")) << older.seen();
  EXPECT_TRUE(newer.saw("<jid>u@localhost/r</jid>")) << newer.seen();
  EXPECT_EQ(world.server().session_count(), 1U);
}

TEST(Link, IsNotReadWhileItsStanzasFillAMailbox) {
  World world({.seed = 17,
               .workers = 2,
               .config = "[limits]\nmailbox_depth = 1024\n[host.\"localhost\"]\n"});
  const auto owner = [](const std::string& user) {
    return owner_of(*xmpp::Jid::parse(user + "@localhost"), 2);
  };
  const std::string sender = "u0";
  std::string recipient = "u1";
  for (int i = 1; owner(recipient) == owner(sender); ++i) recipient = "u" + std::to_string(i);
  for (const auto& user : {sender, recipient}) world.add_account(user + "@localhost");
  RawClient from(world, {.window = 1 << 20});
  RawClient to(world);
  from.write(login(sender));
  to.write(login(recipient));
  world.run_for(kSecond);
  const auto& busy = world.server().worker(owner(recipient)).reactor();
  world.freeze(busy, world.now() + kSecond);
  constexpr int kMessages = 12'000;
  std::string all;
  for (int i = 0; i < kMessages; ++i) all += "<message to='" + recipient + "@localhost/r'/>";
  from.write(all);
  world.run_for(std::chrono::milliseconds(500));
  EXPECT_GT(busy.mail_depth(), 1'024U);
  // What was read before the mailbox filled, and the read in which that shows, is sent on.
  EXPECT_LT(busy.mail_depth(), 1'024U + 2 * 64 * 1024 / (all.size() / kMessages));
  world.run_for(5 * kSecond);
  std::size_t count = 0;
  for (auto at = to.seen().find("<message"); at != std::string::npos; ++count) {
    at = to.seen().find("<message", at + 1);
  }
  EXPECT_EQ(count, static_cast<std::size_t>(kMessages)) << "reading goes on where it stopped";
}

TEST(Link, WhatASocketDoesNotTakeFollowsWhenItDoes) {
  World world({.seed = 18});
  for (const auto* name : {"a@localhost", "b@localhost"}) world.add_account(name);
  RawClient from(world);
  RawClient to(world, {.window = 4'000});
  from.write(login("a"));
  to.write(login("b"));
  world.run_for(kSecond);
  from.write("<message to='b@localhost/r'><body>" + std::string(30'000, 'x') + "</body></message>");
  world.run_for(kSecond);
  EXPECT_TRUE(to.saw(std::string(30'000, 'x'))) << to.seen().size();
  EXPECT_TRUE(to.seen().ends_with("</message>"));
}

TEST(Link, ReadsNoFasterThanItsRate) {
  World world({.seed = 19,
               .config = "[limits]\nstanza_rate = 10000\nstanza_burst = 16384\n"
                         "[host.\"localhost\"]\n"});
  world.add_account("u@localhost");
  RawClient client(world);
  client.write(login("u"));
  world.run_for(kSecond);
  std::string all;
  while (all.size() < 200'000) {
    all += "<message to='u@localhost/r'><body>" + std::string(100, 'x') + "</body></message>";
  }
  client.write(all + "<message to='u@localhost/r' id='last'/>");
  // The burst, and the read that spends more than there is; then by the rate.
  world.run_for(10 * kSecond);
  EXPECT_TRUE(client.saw("<body>x"));
  EXPECT_FALSE(client.saw("id='last'"));
  world.run_for(15 * kSecond);
  EXPECT_TRUE(client.saw("id='last'"));
}

// Nobody can tell whether a client is idle that is not read.
TEST(Link, IsNotIdleWhileItIsOverItsRate) {
  World world({.seed = 20,
               .config = "[limits]\nstanza_rate = 10000\nstanza_burst = 16384\n"
                         "idle_timeout = \"6s\"\n[host.\"localhost\"]\n"});
  world.add_account("u@localhost");
  RawClient client(world);
  client.write(login("u"));
  world.run_for(kSecond);
  std::string all;
  while (all.size() < 150'000) {
    all += "<message to='u@localhost/r'><body>" + std::string(100, 'x') + "</body></message>";
  }
  client.write(all + "<message to='u@localhost/r' id='last'/>");
  ASSERT_TRUE(world.run_until([&] { return client.saw("id='last'"); }, world.now() + 30 * kSecond))
      << client.seen().substr(client.seen().size() - 300);
  EXPECT_FALSE(client.saw("<connection-timeout"));
  world.run_for(8 * kSecond);
  EXPECT_TRUE(client.saw("<connection-timeout"));
}

TEST(Link, SessionsOfAnAccountAreLimited) {
  World world({.seed = 8,
               .workers = 2,
               .config = "[limits]\nsessions_per_account = 1\n[host.\"localhost\"]\n"});
  world.add_account("u@localhost");
  RawClient first(world);
  first.write(login("u"));
  world.run_for(kSecond);
  RawClient second(world);
  std::string other = login("u");
  other.replace(other.find(">r<"), 3, ">s<");
  second.write(other);
  world.run_for(kSecond);
  EXPECT_TRUE(second.saw("<resource-constraint")) << second.seen();
}

TEST(Link, UnavailablePresenceIsEchoedAndReachesDirectedTargets) {
  World world({.seed = 9});
  world.add_account("u@localhost");
  world.add_account("v@localhost");
  RawClient u(world);
  RawClient v(world);
  u.write(login("u"));
  v.write(login("v"));
  world.run_for(kSecond);
  u.write("<presence to='v@localhost/r'/>");
  world.run_for(kSecond);
  u.write("<presence type='unavailable'/>");
  world.run_for(kSecond);
  EXPECT_TRUE(v.saw("type='unavailable'")) << v.seen();
  u.write("<presence/><presence type='unavailable'/>");
  world.run_for(kSecond);
  EXPECT_TRUE(u.saw("type='unavailable'")) << u.seen();
}

TEST(Link, DrainTellsLinksOnTheirWayToo) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    World world({.seed = seed, .workers = 3});
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 6; ++i) {
      const auto user = "u" + std::to_string(i);
      world.add_account(user + "@localhost");
      clients.push_back(std::make_unique<RawClient>(world));
      clients.back()->write(login(user));
    }
    for (std::uint64_t step = 0; step < seed * 8; ++step) (void)world.step(world.now() + kSecond);
    for (std::size_t i = 0; i < 3; ++i) {
      auto& worker = world.server().worker(i);
      worker.call([&worker] { worker.drain(); });
    }
    world.run_for(4 * kSecond);
    EXPECT_EQ(world.server().connection_count(), 0U) << seed;
    for (auto& client : clients) EXPECT_TRUE(client->saw("<system-shutdown")) << client->seen();
  }
}

TEST(Link, ServerMayEndWithLinksAnywhere) {
  for (std::uint64_t steps = 0; steps < 200; steps += 7) {
    World world({.seed = steps + 1, .workers = 3});
    std::vector<std::unique_ptr<RawClient>> clients;
    for (int i = 0; i < 6; ++i) {
      const auto user = "u" + std::to_string(i);
      world.add_account(user + "@localhost");
      clients.push_back(std::make_unique<RawClient>(world));
      clients.back()->write(login(user) + "<presence/><presence to='u0@localhost/r'/>");
    }
    for (std::uint64_t step = 0; step < steps; ++step) (void)world.step(world.now() + kSecond);
  }
}

}  // namespace
}  // namespace xmppd
