// Hosts that come and go while clients are there: what ends, what does not, and what is left.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/config_diff.h"
#include "core/worker.h"
#include "unit/server/raw_client.h"
#include "xmpp/xep/time.h"
#include "xmppd/module.h"

namespace xmppd {
namespace {

constexpr auto kSecond = std::chrono::seconds(1);
const std::string kTwo = "[host.\"localhost\"]\n[host.\"other.example\"]\n";
const std::string kOne = "[host.\"localhost\"]\n";

// What `config reload` does once the file is found good.
void reconfigure(World& world, const std::string& hosts) {
  auto fresh = sim::make_config({.workers = 2, .config = hosts});
  auto config =
      std::make_shared<const Config>(applicable_config(world.server().config(), std::move(fresh)));
  world.server().adopt(*config);
  for (std::size_t i = 0; i < world.server().worker_count(); ++i) {
    Worker& worker = world.server().worker(i);
    worker.call([&worker, config] { worker.reconcile(*config); });
  }
}

std::string header(const std::string& domain) {
  return "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' "
         "to='" +
         domain + "' version='1.0'>";
}
std::string login_at(const std::string& domain, const std::string& user) {
  return header(domain) + plain(user) + header(domain) + kBind;
}
const std::string kPing = "<iq type='get' id='ping'><ping xmlns='urn:xmpp:ping'/></iq>";

TEST(Hosts, ComeAndGoWhileOthersGoOn) {
  World world({.seed = 1, .workers = 2, .config = kTwo});
  world.add_account("romeo@localhost");
  world.add_account("juliet@other.example");
  RawClient romeo(world);
  RawClient juliet(world);
  RawClient half(world);
  romeo.write(login("romeo"));
  juliet.write(login_at("other.example", "juliet") + "<presence/>");
  half.write(header("other.example"));
  world.run_for(kSecond);
  ASSERT_TRUE(romeo.saw("</jid>") && juliet.saw("</jid>"));

  reconfigure(world, kOne);
  world.run_for(kSecond);
  EXPECT_TRUE(juliet.saw("<host-gone")) << juliet.seen();
  EXPECT_TRUE(half.saw("<host-gone")) << half.seen();
  romeo.write("<message to='juliet@other.example' id='m' type='chat'><body>x</body></message>" +
              kPing);
  world.run_for(kSecond);
  EXPECT_TRUE(romeo.saw("remote-server-not-found")) << romeo.seen();
  EXPECT_TRUE(romeo.saw("id='ping'"));
  EXPECT_EQ(world.server().session_count(), 1U);
  for (std::size_t i = 0; i < 2; ++i) {
    world.server().worker(i).accounts().for_each([](Account& account) {
      EXPECT_EQ(account.jid().domain(), "localhost") << account.jid().str();
    });
  }

  reconfigure(world, kTwo);
  RawClient again(world);
  again.write(login_at("other.example", "juliet") + kPing);
  world.run_for(kSecond);
  EXPECT_TRUE(again.saw("id='ping'")) << again.seen();
  EXPECT_FALSE(romeo.saw("stream:error"));
}

// What waits for the database goes with its host; who saw somebody there is told all the same.
TEST(Hosts, GoWhileARosterIsBeingStored) {
  World world({.seed = 3, .workers = 2, .config = kTwo});
  world.add_account("romeo@localhost");
  world.add_account("juliet@other.example");
  RawClient romeo(world);
  RawClient juliet(world);
  romeo.write(login("romeo") + "<presence/>");
  world.run_for(kSecond);
  juliet.write(login_at("other.example", "juliet") + "<presence/><presence to='romeo@localhost'/>");
  world.run_for(kSecond);
  ASSERT_TRUE(romeo.saw("from='juliet@other.example/")) << romeo.seen();
  world.stall_storage(world.now() + 2 * kSecond);
  juliet.write(
      "<iq type='set' id='r'><query xmlns='jabber:iq:roster'>"
      "<item jid='romeo@localhost'/></query></iq>");
  world.run_for(kSecond);
  ASSERT_FALSE(romeo.saw("type='unavailable'"));
  reconfigure(world, kOne);
  world.run_for(3 * kSecond);
  EXPECT_TRUE(romeo.saw("type='unavailable'")) << romeo.seen();
}

TEST(Hosts, AProfileThatChangesResetsItsSessionsOnly) {
  const std::string big = "[profile.big]\n" + kOne;
  World world({.seed = 2, .workers = 2, .config = big + "[host.\"other.example\"]\n"});
  world.add_account("romeo@localhost");
  world.add_account("juliet@other.example");
  RawClient romeo(world);
  RawClient juliet(world);
  romeo.write(login("romeo"));
  juliet.write(login_at("other.example", "juliet"));
  world.run_for(kSecond);
  reconfigure(world, big + "[host.\"other.example\"]\nprofile = \"big\"\n");
  world.run_for(kSecond);
  EXPECT_TRUE(juliet.saw("<reset")) << juliet.seen();
  romeo.write(kPing);
  world.run_for(kSecond);
  EXPECT_TRUE(romeo.saw("id='ping'"));
}

// Whatever is under way when a host goes: nothing may touch what is gone (for the sanitizers).
TEST(Hosts, GoAtAnyMoment) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    World world({.seed = seed, .workers = 3, .config = kTwo});
    world.add_account("romeo@localhost");
    for (const auto* name : {"a", "b", "c"}) {
      world.add_account(std::string(name) + "@other.example");
    }
    RawClient romeo(world);
    std::vector<std::unique_ptr<RawClient>> others;
    romeo.write(login("romeo") + "<presence/>");
    for (const auto* name : {"a", "b", "c"}) {
      auto& client = *others.emplace_back(std::make_unique<RawClient>(world));
      client.write(login_at("other.example", name) +
                   "<presence/><iq type='set' id='r'><query xmlns='jabber:iq:roster'>"
                   "<item jid='romeo@localhost'/></query></iq><presence to='romeo@localhost' "
                   "type='subscribe'/><message to='b@other.example'><body>x</body></message>"
                   "<iq type='set' id='p'><query xmlns='jabber:iq:register'><username>" +
                   std::string(name) + "</username><password>new</password></query></iq>");
    }
    romeo.write(
        "<message to='a@other.example'><body>x</body></message>"
        "<message to='nobody@other.example'><body>x</body></message>");
    const auto steps = world.rng().below(400);
    for (std::uint64_t i = 0; i < steps; ++i) (void)world.step(world.now() + kSecond);
    reconfigure(world, kOne);
    const auto between = world.rng().below(30);
    for (std::uint64_t i = 0; i < between; ++i) (void)world.step(world.now() + kSecond);
    if (seed % 2 == 0) reconfigure(world, kTwo);
    world.run_for(kSecond * 10);
    romeo.write(kPing);
    world.run_for(kSecond);
    EXPECT_TRUE(romeo.saw("id='ping'")) << seed << romeo.seen();
    EXPECT_LE(world.server().session_count(), 4U);
  }
}

// What waits for something of a host when that goes, sent by somebody who stays.
struct LeavingHost : testing::Test {
  LeavingHost() {
    world.add_account("romeo@localhost");
    world.add_account("juliet@other.example");
    romeo.write(login("romeo"));
    world.run_for(kSecond);
  }
  static std::string message(const std::string& id) {
    return "<message to='juliet@other.example' id='" + id +
           "' type='chat'><body>x</body></message>";
  }
  // Is `id` answered as what is sent to a domain that is not served?
  bool is_refused(const std::string& id) {
    const auto at = romeo.seen().find(" id='" + id + "'");
    return at != std::string::npos &&
           romeo.seen().find("<remote-server-not-found", at) != std::string::npos;
  }
  World world{{.seed = 4,
               .workers = 1,
               .config = "[profile.default]\nmodules = [\"-time\"]\n[profile.big]\n" + kTwo}};
  RawClient romeo{world};
};

struct Counted {
  explicit Counted(int& all) : count(all) { ++count; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() { --count; }
  int& count;
};

xmpp::Task<IqReply> never_answer(int* running) {
  const Counted counted(*running);
  xmpp::Completion<void> waiting;
  co_await waiting;
  co_return IqReply::ok();
}

TEST_F(LeavingHost, AnswersRequestsThatAreUnderWay) {
  int running = 0;
  Scope scope(*world.server().worker(0).find_profile("default"), "test");
  scope.on_iq<xmpp::xep::EntityTime>(
      Target::host | Target::account | Target::own_account,
      [&running](IqCall&, const xmpp::xep::EntityTime&) { return never_answer(&running); });
  const std::string time = "<time xmlns='urn:xmpp:time'/></iq>";
  for (const std::string to : {"other.example", "juliet@other.example", "localhost"}) {
    romeo.write("<iq type='get' id='at " + to + "' to='" + to + "'>" + time);
  }
  RawClient juliet(world);
  juliet.write(login_at("other.example", "juliet") + "<iq type='get' id='own'>" + time);
  world.run_for(kSecond);
  ASSERT_EQ(running, 4);
  reconfigure(world, kOne);
  world.run_for(kSecond);
  EXPECT_TRUE(is_refused("at other.example")) << romeo.seen();
  EXPECT_TRUE(is_refused("at juliet@other.example")) << romeo.seen();
  EXPECT_FALSE(romeo.saw("at localhost"));
  EXPECT_EQ(running, 1) << "that of the host that stays";
}

TEST_F(LeavingHost, AnswersWhatWaitsForAnAccount) {
  world.stall_storage(world.now() + 2 * kSecond);
  romeo.write(message("m") +
              "<iq type='get' id='v' to='juliet@other.example'>"
              "<vCard xmlns='vcard-temp'/></iq>");
  world.run_for(kSecond);
  ASSERT_FALSE(romeo.saw(" id='m'"));
  reconfigure(world, kOne);
  world.run_for(3 * kSecond);
  EXPECT_TRUE(is_refused("m")) << romeo.seen();
  EXPECT_TRUE(is_refused("v")) << romeo.seen();
}

TEST_F(LeavingHost, AnswersWhatWaitsForARoster) {
  RawClient juliet(world);
  juliet.write(login_at("other.example", "juliet"));
  world.run_for(kSecond);
  world.stall_storage(world.now() + 2 * kSecond);
  romeo.write(
      "<iq type='get' id='l' to='juliet@other.example/r'><query xmlns='jabber:iq:last'/></iq>");
  world.run_for(kSecond);
  ASSERT_FALSE(romeo.saw(" id='l'"));
  reconfigure(world, kOne);
  world.run_for(3 * kSecond);
  EXPECT_TRUE(is_refused("l")) << romeo.seen();
}

TEST_F(LeavingHost, KeepsWhatWaitsForItIfAnotherProfileServesIt) {
  world.stall_storage(world.now() + 2 * kSecond);
  romeo.write(message("m"));
  world.run_for(kSecond);
  reconfigure(world, "[profile.default]\nmodules = [\"-time\"]\n[profile.big]\n" + kOne +
                         "[host.\"other.example\"]\nprofile = \"big\"\n");
  world.run_for(3 * kSecond);
  EXPECT_FALSE(is_refused("m")) << romeo.seen();
}

TEST_F(LeavingHost, AnswersWhatWaitsBehindSomethingElse) {
  OrderHold hold;
  Scope scope(*world.server().worker(0).find_profile("default"), "test");
  scope.on<ToAccount>(Stage::validate, [&](ToAccount& hook) {
    if (hook.stanza.id() == "hold") hold = hook.to.hold_order(hook.stanza);
    return Verdict::pass;
  });
  romeo.write(message("hold") + message("m"));
  world.run_for(kSecond);
  ASSERT_FALSE(romeo.saw(" id='m'"));
  reconfigure(world, kOne);
  world.run_for(kSecond);
  EXPECT_TRUE(is_refused("m")) << romeo.seen();
}

TEST_F(LeavingHost, AnswersWhatWaitsBehindStoredMessages) {
  romeo.write(message("stored"));
  world.run_for(kSecond);
  RawClient juliet(world);
  juliet.write(login_at("other.example", "juliet"));
  world.run_for(kSecond);
  world.stall_storage(world.now() + 2 * kSecond);
  juliet.write("<presence/>");
  world.run_for(std::chrono::milliseconds(500));
  romeo.write(message("m"));
  world.run_for(std::chrono::milliseconds(500));
  ASSERT_FALSE(romeo.saw(" id='m'"));
  reconfigure(world, kOne);
  world.run_for(3 * kSecond);
  EXPECT_FALSE(juliet.saw("<message"));
  EXPECT_TRUE(is_refused("m")) << romeo.seen();
}

TEST(Hosts, LimitsChangeForStreamsThatOpenLater) {
  World world({.seed = 3, .workers = 2, .config = kOne});
  world.add_account("romeo@localhost");
  reconfigure(world, kOne + "[limits]\nstanza_bytes = 10000\nsessions_per_account = 1\n");
  RawClient first(world);
  RawClient second(world);
  first.write(login("romeo"));
  world.run_for(kSecond);
  std::string other = login("romeo");
  other.replace(other.find("<resource>r"), 11, "<resource>s");
  second.write(other);
  world.run_for(kSecond);
  EXPECT_TRUE(second.saw("resource-constraint")) << second.seen();
  first.write("<message><body>" + std::string(12'000, 'x') + "</body></message>");
  world.run_for(kSecond);
  EXPECT_TRUE(first.saw("policy-violation")) << first.seen();
}

}  // namespace
}  // namespace xmppd
