// What a sender says after something that waits does not overtake it; others pass, and nobody waits
// for ever.
#include "xmppd/order.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/strands.h"
#include "core/worker.h"
#include "unit/server/raw_client.h"
#include "xmppd/module.h"

namespace xmppd {
namespace {

constexpr auto kSecond = std::chrono::seconds(1);

// A module that keeps hold of what says "hold", on its way to an account or from a session.
struct Holder {
  explicit Holder(World& world) : scope(*world.server().worker(0).find_profile("default"), "test") {
    scope.on<ToAccount>(Stage::validate, [this](ToAccount& hook) {
      if (!is_of_session && hook.stanza.id() == "hold") {
        holds.push_back(hook.to.hold_order(hook.stanza));
      }
      return Verdict::pass;
    });
    scope.on<FromSession>(Stage::validate, [this](FromSession& hook) {
      if (is_of_session && hook.stanza.id() == "hold") holds.push_back(hook.from.hold_order());
      return Verdict::pass;
    });
  }
  Scope scope;
  bool is_of_session = false;
  std::vector<OrderHold> holds;
};

std::string message(const std::string& id) {
  return "<message to='juliet@localhost' id='" + id + "' type='chat'><body>x</body></message>";
}

// The ids of the messages that came, in their order.
std::string ids_in(const std::string& seen) {
  std::string ids;
  for (auto at = seen.find("<message"); at != std::string::npos; at = seen.find("<message", at)) {
    at = seen.find(" id='", at) + 5;
    ids += seen.substr(at, seen.find('\'', at) - at) + ' ';
  }
  return ids;
}

struct Order : testing::Test {
  Order() {
    for (const char* name : {"romeo", "juliet", "paris"}) {
      world.add_account(std::string(name) + "@localhost");
    }
    juliet.write(login("juliet") + "<presence/>");
    romeo.write(login("romeo"));
    paris.write(login("paris"));
    world.run_for(kSecond);
  }
  World world{{.seed = 1, .workers = 1}};
  Holder holder{world};
  RawClient juliet{world};
  RawClient romeo{world};
  RawClient paris{world};
};

TEST_F(Order, WhatComesLaterFromTheSameSenderWaits) {
  romeo.write(message("hold") + message("1") + message("hold") + message("2"));
  paris.write(message("p"));
  world.run_for(kSecond);
  EXPECT_EQ(ids_in(juliet.seen()), "hold p ");
  ASSERT_EQ(holder.holds.size(), 1U);
  holder.holds.clear();
  world.run_for(kSecond);
  // The second one holds anew.
  EXPECT_EQ(ids_in(juliet.seen()), "hold p 1 hold ");
  ASSERT_EQ(holder.holds.size(), 1U);
  const OrderHold copy = holder.holds[0];
  holder.holds.clear();
  romeo.write(message("3"));
  world.run_for(kSecond);
  EXPECT_EQ(ids_in(juliet.seen()), "hold p 1 hold ") << "a copy counts";
}

TEST_F(Order, NobodyWaitsForEver) {
  romeo.write(message("hold") + message("1") + message("hold") + message("2"));
  world.run_for(kOrderPatience + kSecond);
  EXPECT_EQ(ids_in(juliet.seen()), "hold 1 hold 2 ");
  // Late, and of no consequence.
  holder.holds.clear();
  romeo.write(message("3"));
  world.run_for(kSecond);
  EXPECT_EQ(ids_in(juliet.seen()), "hold 1 hold 2 3 ");
}

TEST_F(Order, NotMoreThanSoManyWait) {
  romeo.write(message("hold"));
  world.run_for(kSecond);
  for (std::size_t i = 0; i < kStrandMax; ++i) {
    romeo.write(message("m"));
    if (i % 64 == 0) world.run_for(std::chrono::milliseconds(10));
  }
  world.run_for(kSecond);
  EXPECT_EQ(ids_in(juliet.seen()), "hold ");
  romeo.write(message("last"));
  world.run_for(kSecond);
  const std::string ids = ids_in(juliet.seen());
  EXPECT_EQ(ids.size(), 5 + 2 * kStrandMax + 5);
  EXPECT_TRUE(ids.ends_with("m last ")) << ids;
}

TEST_F(Order, WhoLeavesWhileTheyWaitIsAnsweredAllTheSame) {
  romeo.write(message("hold") + message("1"));
  world.run_for(kSecond);
  juliet.channel().cut();
  world.run_for(kSecond);
  romeo.write(message("2"));
  holder.holds.clear();
  world.run_for(kSecond);
  RawClient again(world);
  again.write(login("juliet") + "<presence/>");
  world.run_for(kSecond);
  EXPECT_EQ(ids_in(again.seen()), "1 2 ") << "kept for later, in order";
}

TEST_F(Order, ASessionThatHoldsIsNotRead) {
  holder.is_of_session = true;
  romeo.write(message("hold") + message("1"));
  world.run_for(kSecond);
  romeo.write(message("2") + "</stream:stream>");
  world.run_for(kSecond);
  EXPECT_EQ(ids_in(juliet.seen()), "hold ");
  EXPECT_FALSE(romeo.saw("</stream:stream>"));
  holder.holds.clear();
  world.run_for(kSecond);
  EXPECT_EQ(ids_in(juliet.seen()), "hold 1 2 ");
  EXPECT_TRUE(romeo.saw("</stream:stream>"));
}

// Nor do the other sessions of an account hear of its presence out of order.
TEST_F(Order, PresenceDoesNotOvertakeDirectedPresence) {
  RawClient desk(world);
  desk.write(login("juliet", "desk") + "<presence/>");
  world.run_for(kSecond);
  const std::string open = "<presence to='juliet@localhost/desk'><status>";
  juliet.write(open + "first</status></presence>" + message("hold") +
               "<presence type='unavailable'/>" + "<presence><status>again</status></presence>" +
               "<presence type='unavailable'/>" + open + "second</status></presence>" +
               "<presence type='unavailable'/>" + "<presence><status>last</status></presence>");
  world.run_for(kSecond);
  EXPECT_FALSE(desk.saw("last"));
  holder.holds.clear();
  world.run_for(kSecond);
  const std::string& seen = desk.seen();
  std::size_t at = 0;
  for (const std::string what :
       {"first", "unavailable", "again", "unavailable", "second", "unavailable", "last"}) {
    at = seen.find(what, at);
    ASSERT_NE(at, std::string::npos) << what << " does not come in its turn: " << seen;
  }
  EXPECT_EQ(seen.find("unavailable", at), std::string::npos) << seen;
}

// What comes later is not reported by the socket again.
TEST_F(Order, ASessionThatHeldWhileItWasSilentIsReadAgain) {
  holder.is_of_session = true;
  for (const bool is_let_go : {true, false}) {
    romeo.write(message("hold"));
    world.run_for(kSecond);
    ASSERT_EQ(holder.holds.size(), 1U);
    romeo.write(message("1"));
    world.run_for(kSecond);
    EXPECT_TRUE(ids_in(juliet.seen()).ends_with("hold ")) << juliet.seen();
    if (is_let_go) holder.holds.clear();
    world.run_for(is_let_go ? xmpp::Duration(kSecond) : kOrderPatience);
    EXPECT_TRUE(ids_in(juliet.seen()).ends_with("hold 1 ")) << juliet.seen();
  }
}

// A module that is loaded wants something of the account: what its session says waits for that.
TEST_F(Order, ASessionThatHoldsIsNotHeardWhileItsAccountIsLoaded) {
  holder.is_of_session = true;
  world.stall_storage(world.now() + kSecond);
  Scope late(*world.server().worker(0).find_profile("default"), "late");
  (void)late.account_state<int>(
      [](Tx&, const xmpp::Jid&) -> StorageResult<int> { return StorageResult<int>(1); });
  romeo.write(message("hold") + message("1") + message("2"));
  world.run_for(3 * kSecond);
  EXPECT_EQ(ids_in(juliet.seen()), "hold ");
  holder.holds.clear();
  world.run_for(kSecond);
  EXPECT_EQ(ids_in(juliet.seen()), "hold 1 2 ");
}

// What goes on late to one account may have to wait at another.
TEST_F(Order, OnlyWhatIsOverdueIsNotHeld) {
  Scope scope(*world.server().worker(0).find_profile("default"), "forward");
  scope.on<ToAccount>(Stage::validate, [](ToAccount& hook) {
    if (hook.stanza.id() != "1") return Verdict::pass;
    auto forward =
        xmpp::Stanza::message(xmpp::StanzaType::chat, *xmpp::Jid::parse("paris@localhost"));
    forward.envelope().id = "hold";
    hook.to.send(std::move(forward));
    return Verdict::pass;
  });
  romeo.write(message("hold") + message("1"));
  world.run_for(kOrderPatience + kSecond);
  ASSERT_EQ(ids_in(juliet.seen()), "hold 1 ");
  ASSERT_EQ(holder.holds.size(), 2U);
  EXPECT_NE(holder.holds[1], nullptr);
}

TEST_F(Order, ASessionIsReadAgainAfterAWhile) {
  holder.is_of_session = true;
  romeo.write(message("hold") + message("1") + message("hold") + message("2"));
  world.run_for(kOrderPatience - std::chrono::milliseconds(100));
  EXPECT_EQ(ids_in(juliet.seen()), "hold ");
  world.run_for(kSecond);
  EXPECT_EQ(ids_in(juliet.seen()), "hold 1 hold 2 ");
}

TEST_F(Order, ASessionMayEndWhileItHolds) {
  holder.is_of_session = true;
  romeo.write(message("hold") + message("1"));
  world.run_for(kSecond);
  romeo.channel().cut();
  world.run_for(kSecond);
  holder.holds.clear();
  world.run_for(kSecond);
  paris.write(message("p"));
  world.run_for(kSecond);
  EXPECT_TRUE(juliet.saw("id='p'"));
}

}  // namespace
}  // namespace xmppd
