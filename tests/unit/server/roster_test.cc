// Rosters when the database does not do as asked.
#include <gtest/gtest.h>

#include <string>

#include "unit/server/raw_client.h"
#include "xmppd/storage.h"

namespace xmppd {
namespace {

constexpr auto kSecond = std::chrono::seconds(1);

std::string set_item(const std::string& id, const std::string& contact) {
  return "<iq type='set' id='" + id + "'><query xmlns='jabber:iq:roster'><item jid='" + contact +
         "'/></query></iq>";
}

// Behind the server's back, so that every change of the roster breaks a constraint.
void remove_row(World& world, const std::string& account) {
  auto removed = world.server().storage().write_blocking(
      account, [](Tx& tx, const xmpp::Jid& who) { return tx.accounts().remove(who); },
      *xmpp::Jid::parse(account));
  ASSERT_TRUE(removed && *removed);
}

TEST(Roster, AChangeThatTheDatabaseRefusesIsNone) {
  World world({.seed = 1, .workers = 2});
  world.add_account("romeo@localhost");
  world.add_account("juliet@localhost");
  RawClient juliet(world);
  juliet.write(login("juliet") + "<presence/>");
  RawClient romeo(world);
  romeo.write(login("romeo") +
              "<iq type='get' id='g1'><query xmlns='jabber:iq:roster' ver=''/></iq>" +
              set_item("s1", "nurse@localhost"));
  world.run_for(kSecond);
  ASSERT_TRUE(romeo.saw("id='s1'") && romeo.saw("jid='nurse@localhost'")) << romeo.seen();
  remove_row(world, "romeo@localhost");

  const auto before = romeo.seen().size();
  // Two at once: the second waits for the first, which fails.
  romeo.write(set_item("s2", "friar@localhost") + set_item("s3", "tybalt@localhost"));
  world.run_for(kSecond);
  std::string answers = romeo.seen().substr(before);
  EXPECT_NE(answers.find("id='s2'"), std::string::npos) << answers;
  EXPECT_NE(answers.find("id='s3'"), std::string::npos) << answers;
  EXPECT_NE(answers.find("<internal-server-error"), std::string::npos) << answers;
  EXPECT_EQ(answers.find("jid='friar@localhost'"), std::string::npos) << "pushed: " << answers;
  EXPECT_EQ(answers.find("jid='tybalt@localhost'"), std::string::npos) << "pushed: " << answers;

  // Nor does what depends on it leave the server.
  romeo.write("<presence type='subscribe' to='juliet@localhost' id='p1'/>");
  world.run_for(kSecond);
  answers = romeo.seen().substr(before);
  EXPECT_NE(answers.find("id='p1'"), std::string::npos) << answers;
  EXPECT_EQ(answers.find("jid='juliet@localhost'"), std::string::npos) << "pushed: " << answers;
  EXPECT_FALSE(juliet.saw("subscribe")) << juliet.seen();
}

// What the reload after a failure shows to be different is pushed.
TEST(Roster, ADifferenceFoundAfterAFailureIsPushed) {
  World world({.seed = 3, .workers = 2});
  world.add_account("romeo@localhost");
  RawClient romeo(world);
  romeo.write(login("romeo") + "<iq type='get' id='g1'><query xmlns='jabber:iq:roster'/></iq>" +
              set_item("s1", "nurse@localhost"));
  world.run_for(kSecond);
  ASSERT_TRUE(romeo.saw("id='s1'")) << romeo.seen();
  remove_row(world, "romeo@localhost");  // the roster goes with it
  romeo.write(set_item("s2", "friar@localhost"));
  world.run_for(kSecond);
  romeo.write("<presence/>");  // reads the roster
  world.run_for(kSecond);
  EXPECT_TRUE(romeo.saw("<item jid='nurse@localhost' subscription='remove'/>")) << romeo.seen();
}

// A session goes while the change is stored that ends who may see it: they are told all the same.
TEST(Roster, WhoIsRemovedWhileASessionGoesIsToldThatItWent) {
  for (const bool is_removal : {true, false}) {
    World world({.seed = 4, .workers = 2});
    world.add_account("romeo@localhost");
    world.add_account("juliet@localhost");
    RawClient romeo(world);
    romeo.write(login("romeo") + "<presence/>");
    RawClient other(world);
    std::string text = login("romeo");
    text.replace(text.find("<resource>r"), 11, "<resource>other");
    other.write(text + "<presence/>");
    RawClient juliet(world);
    juliet.write(login("juliet") + "<presence/><presence type='subscribe' to='romeo@localhost'/>");
    world.run_for(kSecond);
    romeo.write("<presence type='subscribed' to='juliet@localhost'/>");
    world.run_for(kSecond);
    ASSERT_TRUE(juliet.saw("from='romeo@localhost/other'")) << juliet.seen();
    const auto before = juliet.seen().size();
    world.stall_storage(world.now() + 2 * kSecond);
    romeo.write(is_removal ? "<iq type='set' id='s'><query xmlns='jabber:iq:roster'><item "
                             "jid='juliet@localhost' subscription='remove'/></query></iq>"
                           : "<presence type='unsubscribed' to='juliet@localhost'/>");
    world.run_for(kSecond);
    other.channel().cut();
    world.run_for(4 * kSecond);
    const std::string told = juliet.seen().substr(before);
    for (const std::string resource : {"r", "other"}) {
      EXPECT_NE(told.find("<presence to='juliet@localhost' from='romeo@localhost/" + resource +
                          "' type='unavailable'"),
                std::string::npos)
          << resource << ": " << told;
    }
  }
}

TEST(Roster, ComesBackWithTheDatabase) {
  World world({.seed = 2, .workers = 2});
  world.add_account("romeo@localhost");
  RawClient romeo(world);
  romeo.write(login("romeo") + "<iq type='get' id='g1'><query xmlns='jabber:iq:roster'/></iq>");
  world.run_for(kSecond);
  remove_row(world, "romeo@localhost");
  romeo.write(set_item("s1", "nurse@localhost"));
  world.run_for(kSecond);
  ASSERT_TRUE(romeo.saw("<internal-server-error")) << romeo.seen();
  world.add_account("romeo@localhost");
  romeo.write(set_item("s2", "friar@localhost"));
  world.run_for(kSecond);
  EXPECT_TRUE(romeo.saw("jid='friar@localhost'")) << romeo.seen();
}

// Whoever comes while the database has too much to do is told, and told of, as soon as it has not.
TEST(Roster, WhoComesWhileItCannotBeReadIsThereOnceItCan) {
  World world(
      {.seed = 5,
       .config = "[limits]\nstorage_queue = 16\ncached_accounts = 0\n[host.\"localhost\"]\n"});
  for (const char* account : {"romeo@localhost", "juliet@localhost", "nurse@localhost"}) {
    world.add_account(account);
  }
  for (int i = 0; i < 20; ++i) world.add_account("guest" + std::to_string(i) + "@localhost");
  const std::string request = "<presence type='subscribe' to='romeo@localhost'/>";
  const std::string approval = "<presence type='subscribed' to='romeo@localhost'/>";
  RawClient juliet(world);
  RawClient nurse(world);
  juliet.write(login("juliet") + "<presence/>" + approval);
  nurse.write(login("nurse") + request);
  {
    RawClient romeo(world);
    romeo.write(login("romeo") + "<presence type='subscribe' to='juliet@localhost'/>" +
                "<presence type='subscribed' to='juliet@localhost'/>");
    world.run_for(kSecond);
    juliet.write(request);
    world.run_for(kSecond);
  }
  world.run_for(kSecond);
  RawClient romeo(world);
  romeo.write(login("romeo"));
  RawClient brief(world);
  brief.write(login("romeo", "brief"));
  world.run_for(kSecond);
  // It is asked more than once before it answers.
  world.stall_storage(world.now() + 3 * kSecond);
  std::string greetings;  // each has to be stored
  for (int i = 0; i < 20; ++i) {
    greetings += "<message to='guest" + std::to_string(i) + "@localhost'><body>Hi</body></message>";
  }
  nurse.write(greetings);
  world.run_for(std::chrono::milliseconds(500));
  ASSERT_EQ(world.server().storage().depth(), 16U);
  romeo.write("<presence><status>here</status></presence>");
  brief.write("<presence/><presence type='unavailable'/>");
  world.run_for(2 * kSecond);
  EXPECT_FALSE(juliet.saw("<status>here"));
  world.run_for(8 * kSecond);
  EXPECT_TRUE(juliet.saw("<status>here")) << juliet.seen();
  EXPECT_TRUE(romeo.saw("from='juliet@localhost/r'")) << romeo.seen();
  EXPECT_TRUE(romeo.saw("type='subscribe'")) << romeo.seen();
  EXPECT_FALSE(juliet.saw("romeo@localhost/brief")) << juliet.seen();
}

}  // namespace
}  // namespace xmppd
