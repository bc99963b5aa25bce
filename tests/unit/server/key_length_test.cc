// Addresses and names that are too long to be kept: whoever sends them is told so, and others go
// on.
#include <gtest/gtest.h>

#include <string>

#include "unit/server/raw_client.h"
#include "xmppd/storage.h"

namespace xmppd {
namespace {

constexpr auto kSecond = std::chrono::seconds(1);

// The answer to the request `id`.
std::string answer(const RawClient& client, const std::string& id) {
  const auto at = client.seen().find("id='" + id + "'");
  if (at == std::string::npos) return "none";
  return client.seen().substr(at, client.seen().find("<iq ", at) - at);
}

std::string roster_set(const std::string& id, const std::string& contact,
                       const std::string& group = "") {
  return "<iq type='set' id='" + id + "'><query xmlns='jabber:iq:roster'><item jid='" + contact +
         "'>" + (group.empty() ? "" : "<group>" + group + "</group>") + "</item></query></iq>";
}

// An address whose domain has 16 labels.
std::string long_address(std::size_t local) {
  std::string domain(60, 'b');
  for (int i = 1; i < 16; ++i) domain += '.' + std::string(60, 'c');
  return std::string(local, 'a') + '@' + domain;
}

TEST(KeyLength, WhatIsTooLongToBeKeptIsRefused) {
  World world({.seed = 1, .workers = 2});
  world.add_account("romeo@localhost");
  RawClient romeo(world);
  romeo.write(login("romeo") + "<presence/>");
  const std::string contact = long_address(1'000);
  const std::string group(1'000, 'g');
  romeo.write(roster_set("r1", contact) + roster_set("r2", contact, group) +
              roster_set("r3", "nurse@localhost", group));
  romeo.write(
      "<iq type='set' id='b1'><block xmlns='urn:xmpp:blocking'><item jid='x@localhost'/>"
      "<item jid='" +
      contact + '/' + group + "'/></block></iq>");
  romeo.write("<iq type='set' id='b2'><block xmlns='urn:xmpp:blocking'><item jid='" + contact +
              "'/></block></iq>");
  romeo.write("<iq type='set' id='p1'><query xmlns='jabber:iq:private'><a xmlns='" +
              std::string(3'000, 'u') + "'/></query></iq>");
  romeo.write("<iq type='get' id='p2'><query xmlns='jabber:iq:private'><a xmlns='" +
              std::string(3'000, 'u') + "'/></query></iq>");
  romeo.write("<iq type='get' id='b3'><blocklist xmlns='urn:xmpp:blocking'/></iq>");
  world.run_for(kSecond);
  EXPECT_EQ(answer(romeo, "r1").find("<error"), std::string::npos) << answer(romeo, "r1");
  EXPECT_NE(answer(romeo, "r2").find("<not-acceptable"), std::string::npos) << answer(romeo, "r2");
  EXPECT_EQ(answer(romeo, "r3").find("<error"), std::string::npos) << answer(romeo, "r3");
  EXPECT_NE(answer(romeo, "b1").find("<not-acceptable"), std::string::npos) << answer(romeo, "b1");
  EXPECT_EQ(answer(romeo, "b2").find("<error"), std::string::npos) << answer(romeo, "b2");
  EXPECT_NE(answer(romeo, "p1").find("<not-acceptable"), std::string::npos) << answer(romeo, "p1");
  EXPECT_EQ(answer(romeo, "p2").find("<error"), std::string::npos) << answer(romeo, "p2");
  EXPECT_NE(answer(romeo, "b3").find(contact + "'"), std::string::npos) << answer(romeo, "b3");
  EXPECT_EQ(answer(romeo, "b3").find("x@localhost"), std::string::npos) << answer(romeo, "b3");
}

// An account of the longest name works, but cannot keep addresses that are as long.
TEST(KeyLength, AnAccountOfALongNameGoesOn) {
  World world({.seed = 1, .workers = 2});
  const std::string name(1'000, 'l');
  world.add_account(name + "@localhost");
  world.add_account("romeo@localhost");
  RawClient longest(world);
  RawClient romeo(world);
  longest.write(login(name) +
                "<presence/><iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq>");
  romeo.write(login("romeo") + "<presence/>");
  const std::string contact = long_address(1'000);
  longest.write("<presence type='subscribe' id='s1' to='" + contact + "'/>" +
                "<presence type='subscribe' id='s2' to='romeo@localhost'/>" +
                roster_set("r1", contact) + roster_set("r2", "nurse@localhost"));
  world.run_for(kSecond);
  EXPECT_TRUE(longest.saw("id='s1'")) << longest.seen();
  EXPECT_NE(answer(longest, "r1").find("<not-acceptable"), std::string::npos) << longest.seen();
  EXPECT_EQ(answer(longest, "r2").find("<error"), std::string::npos) << longest.seen();
  EXPECT_FALSE(longest.saw("<internal-server-error")) << longest.seen();
  EXPECT_TRUE(romeo.saw("type='subscribe'")) << romeo.seen();
}

}  // namespace
}  // namespace xmppd
