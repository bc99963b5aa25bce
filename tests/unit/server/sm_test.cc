// What acknowledged means: a stanza that somebody holds a ticket for is not, wherever its recipient
// is owned, until the ticket is settled.
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "core/ownership.h"
#include "core/worker.h"
#include "unit/server/raw_client.h"

namespace xmppd {
namespace {

constexpr auto kSecond = std::chrono::seconds(1);
const std::string kEnable = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";
const std::string kRequest = "<r xmlns='urn:xmpp:sm:3'/>";

std::string ack(int h) {
  return "<a xmlns='urn:xmpp:sm:3' h='" + std::to_string(h) + "'/>";
}
std::string message(const std::string& to) {
  return "<message to='" + to + "@localhost' type='chat'><body>x</body></message>";
}
std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++found;
  return found;
}

// Takes a ticket for every message that reaches the fallback of an account.
struct Holder {
  explicit Holder(SimWorld& its_world) : world(its_world) {
    for (std::size_t i = 0; i < world.server().worker_count(); ++i) {
      world.server().worker(i).find_profile("default")->hooks().add(
          HookId::ToAccount, Stage::fallback, "a_holder",
          [](void* self, void* hook) {
            auto& to = *static_cast<ToAccount*>(hook);
            if (!to.stanza.is_message()) return Verdict::pass;
            static_cast<Holder*>(self)->tickets[std::string(to.to.jid().local())].push_back(
                to.to.hold(to.stanza));
            return Verdict::handled;
          },
          this);
    }
  }
  // On the worker that holds them, as a store would.
  void settle(const std::string& user) {
    auto& server = world.server();
    const auto jid = xmpp::Jid::parse(user + "@localhost");
    server.worker(owner_of(*jid, server.worker_count())).call([this, user] {
      tickets[user].clear();
    });
    world.run_for(kSecond);
  }
  SimWorld& world;
  std::map<std::string, std::vector<Ticket>> tickets;
};

struct Sm : testing::TestWithParam<unsigned> {
  Sm() {
    for (int i = 0; i < 6; ++i) world.add_account("u" + std::to_string(i) + "@localhost");
  }
  World world{{.seed = GetParam(), .workers = 3}};
};

TEST_P(Sm, OnlineRecipientsNeedNoTicket) {
  std::vector<std::unique_ptr<RawClient>> others;
  for (int i = 1; i < 6; ++i) {
    others.push_back(std::make_unique<RawClient>(world));
    others.back()->write(login("u" + std::to_string(i)) + "<presence/>");
  }
  RawClient client(world);
  client.write(login("u0") + kEnable);
  world.run_for(kSecond);
  std::string all;
  for (int i = 1; i < 6; ++i) all += message("u" + std::to_string(i));
  client.write(all + kRequest + all + kRequest);
  world.run_for(kSecond);
  EXPECT_EQ(count(client.seen(), "<a "), 2U) << client.seen();
  EXPECT_TRUE(client.saw(ack(10)));
}

TEST_P(Sm, WhatIsHeldIsNotAcknowledged) {
  Holder holder(world);
  RawClient client(world);
  client.write(login("u0") + kEnable);
  client.write(message("u1") + message("u2") + message("u3") + message("u2") + message("u4"));
  client.write(kRequest);
  world.run_for(kSecond);
  EXPECT_TRUE(client.saw(ack(0))) << client.seen();
  EXPECT_EQ(count(client.seen(), "<a "), 1U);
  // Out of order: only the prefix counts. What was answered short is told without being asked.
  holder.settle("u2");
  EXPECT_EQ(count(client.seen(), "<a "), 1U);
  holder.settle("u1");
  EXPECT_TRUE(client.saw(ack(2))) << client.seen();
  holder.settle("u4");
  holder.settle("u3");
  EXPECT_TRUE(client.saw(ack(5))) << client.seen();
  EXPECT_EQ(count(client.seen(), "<a "), 3U);
  // Now nobody is owed anything.
  client.write(message("u5"));
  world.run_for(kSecond);
  holder.settle("u5");
  EXPECT_EQ(count(client.seen(), "<a "), 3U);
  client.write(kRequest);
  world.run_for(kSecond);
  EXPECT_TRUE(client.saw(ack(6))) << client.seen();
}

TEST_P(Sm, ResumptionWaitsForTickets) {
  Holder holder(world);
  auto client = std::make_unique<RawClient>(world);
  client->write(login("u0") + kEnable + message("u1") + message("u2"));
  world.run_for(kSecond);
  const auto from = client->seen().find(" id='", client->seen().find("<enabled ")) + 5;
  const auto id = client->seen().substr(from, client->seen().find('\'', from) - from);
  const std::string resume =
      kHeader + plain("u0") + kHeader + "<resume xmlns='urn:xmpp:sm:3' h='0' previd='" + id + "'/>";
  client = std::make_unique<RawClient>(world);
  client->write(resume + message("u3"));
  world.run_for(kSecond);
  EXPECT_FALSE(client->saw("<resumed ")) << client->seen();
  EXPECT_TRUE(holder.tickets["u3"].empty()) << "a stanza has passed its resumption";
  holder.settle("u2");
  holder.settle("u1");
  EXPECT_TRUE(client->saw("<resumed xmlns='urn:xmpp:sm:3' h='2'")) << client->seen();
  EXPECT_EQ(holder.tickets["u3"].size(), 1U);
  // Not for ever.
  client = std::make_unique<RawClient>(world);
  client->write(resume);
  world.run_for(3 * kSecond);
  EXPECT_FALSE(client->saw("<resumed "));
  world.run_for(3 * kSecond);
  EXPECT_TRUE(client->saw("<resumed xmlns='urn:xmpp:sm:3' h='3'")) << client->seen();
  holder.tickets.clear();
}

INSTANTIATE_TEST_SUITE_P(Seeds, Sm, testing::Range(1U, 9U));

}  // namespace
}  // namespace xmppd
