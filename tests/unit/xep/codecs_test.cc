// Every payload of the xep layer: markup from the specifications decodes to the right values,
// encodes back, and wrong markup is refused.
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "xmpp/xep/bind.h"
#include "xmpp/xep/blocking.h"
#include "xmpp/xep/carbons.h"
#include "xmpp/xep/delay.h"
#include "xmpp/xep/disco.h"
#include "xmpp/xep/last.h"
#include "xmpp/xep/ping.h"
#include "xmpp/xep/register.h"
#include "xmpp/xep/roster.h"
#include "xmpp/xep/time.h"
#include "xmpp/xep/version.h"

namespace xmpp::xep {
namespace {

template <typename T>
std::optional<T> read(std::string_view markup) {
  auto document = xml::Document::parse(markup);
  EXPECT_TRUE(document) << markup;
  if (!document) return std::nullopt;
  auto decoded = xml::decode<T>(document->root());
  if (!decoded) return std::nullopt;
  return *std::move(decoded);
}

// Decodes canonical markup and expects it back.
template <typename T>
T round_trip(std::string_view markup) {
  auto value = read<T>(markup);
  EXPECT_TRUE(value) << markup;
  if (!value) return {};
  EXPECT_EQ(xml::to_xml(*value), markup);
  return *std::move(value);
}

Jid jid(std::string_view text) {
  return *Jid::parse(text);
}

TEST(PingTest, RoundTrips) {
  round_trip<Ping>("<ping xmlns='urn:xmpp:ping'/>");
  EXPECT_FALSE(read<Ping>("<ping xmlns='urn:x'/>"));
  EXPECT_FALSE(read<Ping>("<pong xmlns='urn:xmpp:ping'/>"));
}

TEST(BlockingTest, RoundTrips) {
  const auto list = round_trip<BlockList>(
      "<blocklist xmlns='urn:xmpp:blocking'><item jid='romeo@montague.net'/>"
      "<item jid='shakespeare.lit'/></blocklist>");
  ASSERT_EQ(list.items.size(), 2U);
  EXPECT_EQ(list.items[0].jid, jid("romeo@montague.net"));
  round_trip<BlockList>("<blocklist xmlns='urn:xmpp:blocking'/>");
  round_trip<Block>("<block xmlns='urn:xmpp:blocking'><item jid='a@b/c'/></block>");
  round_trip<Unblock>("<unblock xmlns='urn:xmpp:blocking'/>");
  EXPECT_FALSE(read<Block>("<block xmlns='urn:xmpp:blocking'><item/></block>"));
  EXPECT_FALSE(read<Block>("<block xmlns='urn:xmpp:blocking'><item jid='@b'/></block>"));
}

TEST(CarbonsTest, RoundTrips) {
  round_trip<CarbonsEnable>("<enable xmlns='urn:xmpp:carbons:2'/>");
  round_trip<CarbonsDisable>("<disable xmlns='urn:xmpp:carbons:2'/>");
  const std::string forwarded =
      "<forwarded xmlns='urn:xmpp:forward:0'>"
      "<delay xmlns='urn:xmpp:delay' stamp='2010-07-10T23:08:25Z'/>"
      "<message to='a@b/c' from='d@e' xmlns='jabber:client' id='1' type='chat' xml:lang='en'>"
      "<body>x</body><y xmlns='urn:y'/></message></forwarded>";
  const auto copy = read<CarbonsSent>("<sent xmlns='urn:xmpp:carbons:2'>" + forwarded + "</sent>");
  ASSERT_TRUE(copy);
  EXPECT_EQ(copy->forwarded.stanza.to(), jid("a@b/c"));
  EXPECT_EQ(copy->forwarded.stanza.child_text("body"), "x");
  ASSERT_TRUE(copy->forwarded.delay);
  EXPECT_EQ(xml::to_xml(*copy), "<sent xmlns='urn:xmpp:carbons:2'>" + forwarded + "</sent>");
  EXPECT_TRUE(
      read<CarbonsReceived>("<received xmlns='urn:xmpp:carbons:2'>" + forwarded + "</received>"));
  EXPECT_FALSE(read<CarbonsReceived>("<received xmlns='urn:xmpp:carbons:2'/>"));
  EXPECT_FALSE(read<Forwarded>("<forwarded xmlns='urn:xmpp:forward:0'/>"));
  EXPECT_FALSE(read<Forwarded>(
      "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' to='@'/></forwarded>"));
  EXPECT_FALSE(read<Forwarded>("<forward xmlns='urn:xmpp:forward:0'/>"));
}

TEST(DiscoTest, InfoRoundTrips) {
  const auto info = round_trip<DiscoInfo>(
      "<query xmlns='http://jabber.org/protocol/disco#info' node='n'>"
      "<identity category='server' type='im' name='A &amp; B' xml:lang='en'/>"
      "<feature var='urn:xmpp:ping'/><feature var='urn:xmpp:time'/>"
      "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'>"
      "<value>urn:xmpp:dataforms:softwareinfo</value></field></x></query>");
  EXPECT_EQ(info.node, "n");
  ASSERT_EQ(info.identities.size(), 1U);
  EXPECT_EQ(info.identities[0].lang, "en");
  EXPECT_TRUE(info.has_feature("urn:xmpp:time"));
  EXPECT_FALSE(info.has_feature("urn:xmpp:tim"));
  ASSERT_EQ(info.forms.size(), 1U);
  EXPECT_EQ(info.forms[0].form_type(), "urn:xmpp:dataforms:softwareinfo");
  round_trip<DiscoInfo>("<query xmlns='http://jabber.org/protocol/disco#info'/>");
  EXPECT_FALSE(
      read<DiscoInfo>("<query xmlns='http://jabber.org/protocol/disco#info'><feature/></query>"));
  EXPECT_FALSE(read<DiscoInfo>(
      "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='c'/></query>"));
}

TEST(DiscoTest, ItemsRoundTrip) {
  const auto items = round_trip<DiscoItems>(
      "<query xmlns='http://jabber.org/protocol/disco#items'>"
      "<item jid='people.shakespeare.lit' name='Directory'/>"
      "<item jid='a@b/c' node='music'/></query>");
  ASSERT_EQ(items.items.size(), 2U);
  EXPECT_EQ(items.items[0].jid, jid("people.shakespeare.lit"));
  EXPECT_EQ(items.items[1].node, "music");
  EXPECT_FALSE(
      read<DiscoItems>("<query xmlns='http://jabber.org/protocol/disco#items'><item/></query>"));
  EXPECT_FALSE(read<DiscoItems>(
      "<query xmlns='http://jabber.org/protocol/disco#items'><item jid='a b@c'/></query>"));
}

TEST(RosterTest, RoundTrips) {
  const auto roster = round_trip<Roster>(
      "<query xmlns='jabber:iq:roster' ver='ver11'>"
      "<item jid='romeo@example.net' name='Romeo' subscription='both'><group>Friends</group>"
      "<group>Lovers</group></item>"
      "<item jid='benvolio@example.org' ask='subscribe' approved='true'/>"
      "<item jid='nurse@example.com' subscription='remove'/></query>");
  ASSERT_EQ(roster.items.size(), 3U);
  EXPECT_EQ(roster.version, "ver11");
  EXPECT_EQ(roster.items[0].subscription, Subscription::both);
  EXPECT_EQ(roster.items[0].groups.size(), 2U);
  EXPECT_EQ(roster.items[1].ask, Ask::subscribe);
  EXPECT_TRUE(roster.items[1].approved);
  EXPECT_EQ(roster.items[2].subscription, Subscription::remove);
}

TEST(RosterTest, DistinguishesAnEmptyVersionFromNone) {
  EXPECT_EQ(round_trip<Roster>("<query xmlns='jabber:iq:roster' ver=''/>").version, "");
  EXPECT_EQ(round_trip<Roster>("<query xmlns='jabber:iq:roster'/>").version, std::nullopt);
}

TEST(RosterTest, IgnoresWhatAClientMayNotSet) {
  const auto roster = read<Roster>(
      "<query xmlns='jabber:iq:roster'><item jid='a@b' subscription='odd' ask='odd'/></query>");
  ASSERT_TRUE(roster);
  EXPECT_EQ(roster->items[0].subscription, Subscription::none);
  EXPECT_EQ(roster->items[0].ask, Ask::none);
  EXPECT_FALSE(read<Roster>("<query xmlns='jabber:iq:roster'><item/></query>"));
  EXPECT_FALSE(read<Roster>("<query xmlns='jabber:iq:roster'><item jid='@'/></query>"));
}

TEST(RegisterTest, RoundTrips) {
  const auto offer = round_trip<Register>(
      "<query xmlns='jabber:iq:register'><instructions>Choose.</instructions><username/>"
      "<password/><email/></query>");
  EXPECT_EQ(offer.username, "");
  EXPECT_TRUE(offer.password.has_value());
  EXPECT_FALSE(offer.nick.has_value());
  EXPECT_FALSE(offer.registered);

  const auto request = round_trip<Register>(
      "<query xmlns='jabber:iq:register'><username>bill</username><password>Calliope</password>"
      "</query>");
  EXPECT_EQ(request.username, "bill");
  ASSERT_TRUE(request.password);
  EXPECT_EQ(request.password->reveal(), "Calliope");
  EXPECT_TRUE(round_trip<Register>("<query xmlns='jabber:iq:register'><remove/></query>").remove);
  EXPECT_TRUE(
      round_trip<Register>("<query xmlns='jabber:iq:register'><registered/></query>").registered);

  const auto with_form = round_trip<Register>(
      "<query xmlns='jabber:iq:register'><x xmlns='jabber:x:data' type='submit'>"
      "<field var='username'><value>bill</value></field></x></query>");
  ASSERT_TRUE(with_form.form);
  EXPECT_EQ(with_form.form->value("username"), "bill");
  round_trip<RegisterFeature>("<register xmlns='http://jabber.org/features/iq-register'/>");
}

TEST(SoftwareVersionTest, RoundTrips) {
  const auto version = round_trip<SoftwareVersion>(
      "<query xmlns='jabber:iq:version'><name>xmppd</name><version>1.0</version><os/></query>");
  EXPECT_EQ(version.name, "xmppd");
  EXPECT_EQ(version.os, "");
  EXPECT_FALSE(round_trip<SoftwareVersion>("<query xmlns='jabber:iq:version'/>").name);
}

TEST(EntityTimeTest, RoundTrips) {
  const auto time = round_trip<EntityTime>(
      "<time xmlns='urn:xmpp:time'><tzo>-06:30</tzo><utc>2006-12-19T17:58:35Z</utc></time>");
  ASSERT_TRUE(time.offset && time.utc);
  EXPECT_EQ(time.offset->minutes.count(), -390);
  EXPECT_EQ(format_timestamp(*time.utc), "2006-12-19T17:58:35Z");
  round_trip<EntityTime>("<time xmlns='urn:xmpp:time'/>");
  EXPECT_EQ(read<EntityTime>("<time xmlns='urn:xmpp:time'><tzo>Z</tzo></time>")->offset,
            UtcOffset{});
  for (const char* wrong : {"", "06:00", "+6:00", "+24:00", "+06:60", "+0600", "+a6:00"}) {
    EXPECT_FALSE(read<EntityTime>(std::string("<time xmlns='urn:xmpp:time'><tzo>") + wrong +
                                  "</tzo></time>"))
        << wrong;
  }
  EXPECT_FALSE(read<EntityTime>("<time xmlns='urn:xmpp:time'><utc>yesterday</utc></time>"));
}

TEST(DelayTest, RoundTrips) {
  const auto delay = round_trip<Delay>(
      "<delay xmlns='urn:xmpp:delay' stamp='2002-09-10T23:08:25Z' from='capulet.com'>"
      "Offline Storage</delay>");
  EXPECT_EQ(delay.from, jid("capulet.com"));
  EXPECT_EQ(delay.reason, "Offline Storage");
  EXPECT_EQ(format_timestamp(delay.stamp), "2002-09-10T23:08:25Z");
  EXPECT_FALSE(read<Delay>("<delay xmlns='urn:xmpp:delay'/>"));
  EXPECT_FALSE(read<Delay>("<delay xmlns='urn:xmpp:delay' stamp='2002'/>"));
}

TEST(LastActivityTest, RoundTrips) {
  const auto last =
      round_trip<LastActivity>("<query xmlns='jabber:iq:last' seconds='903'>Heading Home</query>");
  EXPECT_EQ(last.seconds, 903U);
  EXPECT_EQ(last.status, "Heading Home");
  EXPECT_EQ(round_trip<LastActivity>("<query xmlns='jabber:iq:last' seconds='0'/>").seconds, 0U);
  round_trip<LastActivity>("<query xmlns='jabber:iq:last'/>");
  EXPECT_FALSE(read<LastActivity>("<query xmlns='jabber:iq:last' seconds='-1'/>"));
}

TEST(BindTest, RoundTrips) {
  round_trip<Bind>("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>");
  EXPECT_EQ(round_trip<Bind>("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                             "<resource>balcony</resource></bind>")
                .resource,
            "balcony");
  EXPECT_EQ(round_trip<Bind>("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                             "<jid>juliet@im.example.com/balcony</jid></bind>")
                .jid,
            jid("juliet@im.example.com/balcony"));
  EXPECT_FALSE(
      read<Bind>("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>a b@c</jid></bind>"));
  round_trip<SessionRequest>("<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>");
}

}  // namespace
}  // namespace xmpp::xep
