// What acknowledged means: a stanza that somebody holds a ticket for is not, wherever its recipient
// is owned, until the ticket is settled.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <memory>
#include <regex>
#include <string>
#include <vector>

#include "core/ownership.h"
#include "core/worker.h"
#include "sim/sim_vfs.h"
#include "unit/server/module_changes.h"
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

std::string id_of(const RawClient& client) {
  const auto from = client.seen().find(" id='", client.seen().find("<enabled ")) + 5;
  return client.seen().substr(from, client.seen().find('\'', from) - from);
}
std::string resume_of(const std::string& user, const std::string& id) {
  return kHeader + plain(user) + kHeader + "<resume xmlns='urn:xmpp:sm:3' h='0' previd='" + id +
         "'/>";
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
  const std::string resume = resume_of("u0", id_of(*client));
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

TEST_P(Sm, AnOfflineMessageIsAcknowledgedOnceItIsStored) {
  RawClient client(world);
  client.write(login("u0") + kEnable + message("u1") + message("u2") + kRequest);
  world.run_for(kSecond);
  EXPECT_TRUE(client.saw(ack(2))) << client.seen();
  world.stall_storage(world.now() + 2 * kSecond);
  client.write(message("u1") + message("u2") + kRequest);
  world.run_for(kSecond);
  EXPECT_EQ(count(client.seen(), ack(2)), 2U) << client.seen();
  EXPECT_FALSE(client.saw(ack(3)) || client.saw(ack(4))) << client.seen();
  world.run_for(3 * kSecond);
  EXPECT_TRUE(client.saw(ack(4))) << client.seen();
}

// Their order is kept for five seconds only: the request is read before they are stored.
TEST_P(Sm, ASubscriptionIsAcknowledgedOnceItIsStored) {
  const std::string get = "<iq type='get' id='get'><query xmlns='jabber:iq:roster'/></iq>";
  RawClient contact(world);
  contact.write(login("u1") + get + "<presence/>");
  RawClient client(world);
  client.write(login("u0") + kEnable + get);
  world.run_for(kSecond);
  world.stall_storage(world.now() + 8 * kSecond);
  client.write("<presence type='subscribe' to='u1@localhost'/>" + kRequest);
  world.run_for(7 * kSecond);
  EXPECT_TRUE(client.saw(ack(1))) << client.seen();
  EXPECT_FALSE(client.saw(ack(2))) << "not stored on the sender's side";
  ASSERT_TRUE(
      world.run_until([&] { return client.saw("ask='subscribe'"); }, world.now() + 3 * kSecond));
  // Now the contact's side.
  world.stall_storage(world.now() + 4 * kSecond);
  client.write(kRequest);
  world.run_for(2 * kSecond);
  if (contact.saw("type='subscribe'")) {
    EXPECT_TRUE(client.saw(ack(2))) << "it was quicker";
  } else {
    EXPECT_FALSE(client.saw(ack(2))) << "not stored on the contact's side";
  }
  world.run_for(3 * kSecond);
  EXPECT_TRUE(contact.saw("type='subscribe'"));
  EXPECT_TRUE(client.saw(ack(2))) << client.seen();
}

TEST_P(Sm, OnlyItsOwnerLearnsTheCountOfAnEndedSession) {
  std::string id;
  {
    RawClient client(world);
    client.write(login("u0") + kEnable + "<presence/>");
    world.run_for(kSecond);
    id = id_of(client);
    client.write("</stream:stream>");
    world.run_for(kSecond);
  }
  for (int i = 0; i < 6; ++i) {
    RawClient client(world);
    client.write(resume_of("u" + std::to_string(i), id));
    world.run_for(kSecond);
    EXPECT_TRUE(client.saw("<failed xmlns='urn:xmpp:sm:3'")) << client.seen();
    EXPECT_EQ(client.saw("<failed xmlns='urn:xmpp:sm:3' h='1'"), i == 0) << client.seen();
  }
}

// A client that counts and is cut off.
class Counting {
 public:
  Counting(World& world, std::string user) : world_(world), user_(std::move(user)) {
    client_ = std::make_unique<RawClient>(world_);
    client_->write(login(user_) + "<presence/>" + kEnable);
  }
  void send(const std::string& to, int number) {
    outbox_.push_back("<message to='" + to + "@localhost/r' type='chat'><body>" +
                      std::to_string(number) + "</body></message>");
    if (is_up_) client_->write(outbox_.back());
  }
  void ask() {
    if (is_up_) client_->write(kRequest);
  }
  void acknowledge() {
    if (is_up_) client_->write(ack(static_cast<int>(handled_)));
  }
  void cut() {
    is_up_ = false;
    read_ = 0;
    client_ = std::make_unique<RawClient>(world_);
    client_->write(kHeader + plain(user_) + kHeader + "<resume xmlns='urn:xmpp:sm:3' h='" +
                   std::to_string(handled_) + "' previd='" + id_ + "'/>");
  }
  // Takes in what has come.
  void read() {
    static const std::regex kElements(
        "<message [^>]*><body>([0-9]+)</body>.*?</message>|<presence .*?(?:/>|</presence>)|"
        "<a xmlns='urn:xmpp:sm:3' h='([0-9]+)'/>|<resumed [^>]*h='([0-9]+)'[^>]*/>|"
        "<enabled [^>]*id='([^']*)'[^>]*/>|<failed .*?</failed>");
    const std::string& all = client_->seen();
    std::smatch found;
    while (std::regex_search(all.begin() + static_cast<std::ptrdiff_t>(read_), all.end(), found,
                             kElements)) {
      read_ += static_cast<std::size_t>(found.position() + found.length());
      if (found[1].matched) received.push_back(std::stoi(found[1]));
      if (found[2].matched) drop_until(found[2]);
      if (found[3].matched) {
        is_up_ = true;
        drop_until(found[3]);
        for (const std::string& one : outbox_) client_->write(one);
      }
      if (found[4].matched) {
        id_ = found[4];
        is_up_ = true;
      } else if (is_up_ && !found[2].matched && !found[3].matched) {
        ++handled_;
      }
      const std::string text = found.str();
      EXPECT_FALSE(text.starts_with("<failed")) << text;
    }
  }
  [[nodiscard]] bool is_up() const { return is_up_; }
  [[nodiscard]] bool is_done() const { return outbox_.empty(); }
  std::vector<int> received;

 private:
  void drop_until(const std::string& h) {
    for (; gone_ < std::stoul(h); ++gone_) outbox_.pop_front();
  }
  World& world_;
  std::string user_;
  std::unique_ptr<RawClient> client_;
  std::string id_;
  std::size_t read_ = 0;
  std::size_t handled_ = 0;
  std::size_t gone_ = 0;
  std::deque<std::string> outbox_;
  bool is_up_ = false;
};

TEST_P(Sm, CutAndResumedLosesAndDoublesNothing) {
  xmpp::SeededRng rng(GetParam() * 77);
  Counting one(world, "u0");
  Counting other(world, "u1");
  world.run_for(kSecond);
  one.read();
  other.read();
  ASSERT_TRUE(one.is_up() && other.is_up());
  int sent = 0;
  const auto turn = [&](Counting& client) {
    client.read();
    if (!client.is_up()) return;
    if (rng.below(3) == 0) client.ask();
    if (rng.below(3) == 0) client.acknowledge();
    if (rng.below(12) == 0) client.cut();
  };
  for (int round = 0; round < 400; ++round) {
    for (auto left = rng.below(3); left != 0; --left) one.send("u1", sent++);
    turn(one);
    turn(other);
    world.run_for(xmpp::Duration(static_cast<xmpp::Duration::rep>(rng.below(30'000))));
  }
  for (int i = 0; i < 100 && !one.is_done(); ++i) {
    one.read();
    one.ask();
    other.read();
    other.acknowledge();
    world.run_for(std::chrono::milliseconds(100));
  }
  world.run_for(kSecond);
  other.read();
  EXPECT_TRUE(one.is_done());
  ASSERT_EQ(other.received.size(), static_cast<std::size_t>(sent));
  for (int i = 0; i < sent; ++i) EXPECT_EQ(other.received[static_cast<std::size_t>(i)], i);
}

// A module that is made anew wants to know the account first.
TEST_P(Sm, SessionsEndThoughAModuleWasReloaded) {
  constexpr std::size_t kMax = 10;  // max_detached
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 14; ++i) {
    clients.push_back(std::make_unique<RawClient>(world));
    clients.back()->write(login("u0", "r" + std::to_string(i)) + kEnable + "<presence/>");
  }
  world.run_for(kSecond);
  ModuleChanges modules(world);
  for (const char* name : {"presence", "time", "sm", "roster", "blocking", "message"}) {
    modules.reload(name);
    world.run_for(std::chrono::milliseconds(50));
    EXPECT_EQ(modules.said(), "") << name;
  }
  for (auto& client : clients) client->channel().cut();
  world.run_for(2 * kSecond);
  EXPECT_EQ(world.server().session_count(), kMax);
}

// However many lose their connections in one turn.
TEST_P(Sm, NoMoreSessionsAreDetachedThanMayBe) {
  constexpr std::size_t kMax = 10;  // max_detached
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 14; ++i) {
    std::string begin = login("u0");
    begin.replace(begin.find("<resource>r<"), 12, "<resource>r" + std::to_string(i) + '<');
    clients.push_back(std::make_unique<RawClient>(world));
    clients.back()->write(begin + kEnable);
  }
  world.run_for(kSecond);
  for (auto& client : clients) {
    EXPECT_TRUE(client->saw("<enabled ")) << client->seen();
    client->channel().cut();
  }
  world.run_for(kSecond);
  const auto jid = *xmpp::Jid::parse("u0@localhost");
  auto& server = world.server();
  Account* account = server.worker(owner_of(jid, server.worker_count())).accounts().find(jid);
  ASSERT_NE(account, nullptr);
  EXPECT_EQ(account->sessions().size(), kMax);
}

// XEP-0198 5: what the server does not do it does not merely fail to find.
TEST(SmWithoutResumption, SaysSo) {
  for (const bool has_module : {true, false}) {
    World world{{.seed = 1,
                 .workers = 1,
                 .config = has_module ? "[profile.default.module.sm]\nresume = false\n"
                                        "[host.\"localhost\"]\n"
                                      : "[profile.default]\nmodules = [\"-sm\"]\n"
                                        "[host.\"localhost\"]\n"}};
    world.add_account("u0@localhost");
    RawClient client(world);
    client.write(resume_of("u0", "nonsense") + kBind + kEnable);
    world.run_for(kSecond);
    EXPECT_TRUE(client.saw("<failed xmlns='urn:xmpp:sm:3'><feature-not-implemented "))
        << has_module;
    EXPECT_TRUE(client.saw("<jid>u0@localhost/r</jid>")) << client.seen();
    EXPECT_EQ(client.saw("<enabled xmlns='urn:xmpp:sm:3'/>"), has_module) << client.seen();
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, Sm, testing::Range(1U, 9U));

// What a failing machine leaves of sessions: nothing is taken back, nothing stored is lost.
struct PowerCut : testing::TestWithParam<unsigned> {
  PowerCut() {
    for (const std::string user : {"u0", "u1", "u2"}) world.add_account(user + "@localhost");
  }
  // Of u0, with 2 stanzas handled, whose link has broken; its id.
  std::string make_detached_session() {
    RawClient client(world);
    client.write(login("u0") + kEnable + "<presence/>" + message("u1") + kRequest);
    world.run_for(kSecond);
    EXPECT_TRUE(client.saw(ack(2))) << client.seen();
    client.channel().cut();
    return id_of(client);
  }
  void crash() {
    world.crash_and_restart();
    disk.crash_after(0);  // one that was meant for the start, and came too late for it
  }
  sim::SimDisk disk{"sm", GetParam()};
  World world{{.seed = GetParam(), .workers = 2, .disk = &disk}};
};

TEST_P(PowerCut, TakesNoAcknowledgementBack) {
  const std::string id = make_detached_session();
  world.run_for(kSecond);
  {
    RawClient client(world);
    client.write(resume_of("u0", id));
    world.run_for(kSecond);
    EXPECT_TRUE(client.saw("<resumed xmlns='urn:xmpp:sm:3' h='2'")) << client.seen();
    client.write(message("u1") + kRequest);
    world.run_for(kSecond);
    EXPECT_TRUE(client.saw(ack(3))) << client.seen();
    crash();
  }
  RawClient client(world);
  client.write(resume_of("u0", id));
  world.run_for(kSecond);
  EXPECT_FALSE(client.saw("<resumed")) << client.seen();
  EXPECT_TRUE(client.saw("<item-not-found")) << client.seen();
}

TEST_P(PowerCut, LosesNothingThatWaitedForASessionWithALink) {
  const std::string id = make_detached_session();
  world.run_for(kSecond);
  {
    RawClient other(world);
    other.write(login("u2") + kEnable + message("u0") + kRequest);
    world.run_for(kSecond);
    EXPECT_TRUE(other.saw(ack(1))) << other.seen();
    RawClient client(world);
    client.write(resume_of("u0", id));  // and it acknowledges nothing of what it gets
    world.run_for(kSecond);
    EXPECT_TRUE(client.saw("<body>x</body>")) << client.seen();
    crash();
  }
  world.run_for(kSecond);
  RawClient client(world);
  client.write(login("u0") + "<presence/>");
  world.run_for(kSecond);
  EXPECT_EQ(count(client.seen(), "<body>x</body>"), 1U) << client.seen();
}

// Its client says what it got, in part, and then something that makes the session be stored again.
TEST_P(PowerCut, LeavesTheNumbersOfWhatIsStoredAlone) {
  const std::string id = make_detached_session();
  world.run_for(kSecond);
  {
    RawClient other(world);
    other.write(login("u2") + message("u0") + message("u0") + message("u0"));
    world.run_for(kSecond);
    RawClient client(world);
    client.write(resume_of("u0", id));
    world.run_for(kSecond);
    EXPECT_EQ(count(client.seen(), "<body>x</body>"), 3U) << client.seen();
    // Its own presence and the first message.
    client.write(ack(2) + "<presence><show>away</show></presence>");
    world.run_for(kSecond);
    world.kill_and_restart();
  }
  RawClient client(world);
  // With the presence and all messages, and its presence again.
  std::string resume = resume_of("u0", id);
  resume.replace(resume.find("h='0'"), 5, "h='5'");
  client.write(resume);
  world.run_for(kSecond);
  EXPECT_TRUE(client.saw("<resumed ")) << client.seen();
  EXPECT_EQ(count(client.seen(), "<body>x</body>"), 0U) << client.seen();
}

// With its sender's address it is more than what a stream may bring; the next ones have its number.
TEST_P(PowerCut, LosesNoStanzaForItsSize) {
  const std::string id = make_detached_session();
  world.run_for(kSecond);
  const sim::LinkQuality wide{.window = 1 << 20};
  {
    const std::string begin = "<message to='u0@localhost' type='chat' id='big'><body>";
    const std::string end = "</body></message>";
    RawClient other(world, wide);
    other.write(login("u2"));
    world.run_for(kSecond);
    other.write(begin + std::string(262'144 - begin.size() - end.size(), 'x') + end);
    world.run_for(kSecond);
    world.kill_and_restart();
  }
  RawClient client(world, wide);
  client.write(resume_of("u0", id));
  world.run_for(kSecond);
  EXPECT_TRUE(client.saw("<resumed "));
  EXPECT_TRUE(client.saw("id='big'"));
}

// What is stored of a session may be large, and a client may change its presence without end.
TEST(SmStored, PresencesDoNotQueueForTheDatabase) {
  sim::SimDisk disk("sm", 1);
  World world({.seed = 1, .workers = 1, .disk = &disk});
  world.add_account("u0@localhost");
  RawClient client(world);
  client.write(login("u0") + kEnable + "<presence/>");
  world.run_for(kSecond);
  world.stall_storage(world.now() + 3 * kSecond);
  for (int i = 1; i <= 100; ++i) {
    client.write("<presence><priority>" + std::to_string(i) + "</priority></presence>");
  }
  world.run_for(kSecond);
  ASSERT_TRUE(client.saw("<priority>100</priority>")) << client.seen();
  EXPECT_LE(world.server().storage().depth(), 2U);
  world.run_for(5 * kSecond);
  world.kill_and_restart();
  Account* account = world.server().worker(0).accounts().find(*xmpp::Jid::parse("u0@localhost"));
  ASSERT_NE(account, nullptr);
  ASSERT_EQ(account->sessions().size(), 1U);
  EXPECT_EQ(account->sessions().front()->priority(), 100) << "the last one is stored";
}

// The client has been told that its presence was dealt with; without that the session would come
// back unavailable, and messages to the account pass it by.
TEST(SmStored, WhatIsNotStoredYetCannotBeGoneOnWith) {
  sim::SimDisk disk("sm", 1);
  World world({.seed = 1, .workers = 1, .disk = &disk});
  world.add_account("u0@localhost");
  std::string id;
  for (const bool is_stored : {true, false}) {
    RawClient client(world);
    client.write(login("u0") + kEnable + "<presence/>");
    world.run_for(kSecond);
    if (!is_stored) world.stall_storage(world.now() + 3 * kSecond);
    client.write("<presence><priority>1</priority></presence>" + kRequest);
    world.run_for(kSecond);
    EXPECT_TRUE(client.saw(ack(2))) << client.seen();
    world.kill_and_restart();
    RawClient again(world);
    again.write(resume_of("u0", id_of(client)));
    world.run_for(5 * kSecond);
    EXPECT_EQ(again.saw("<resumed "), is_stored) << again.seen();
    EXPECT_EQ(again.saw("<item-not-found "), !is_stored) << again.seen();
  }
}

// As RFC 6121 4.7.2.3 and XML Schema allow it to be written.
TEST(SmStored, APriorityIsRestoredHoweverItIsWritten) {
  for (const auto& [text, priority] :
       {std::pair("-1", -1), std::pair(" -1 ", -1), std::pair("+5", 5), std::pair("\n127", 127)}) {
    sim::SimDisk disk("sm", 1);
    World world({.seed = 1, .workers = 1, .disk = &disk});
    world.add_account("u0@localhost");
    RawClient client(world);
    client.write(login("u0") + kEnable + "<presence><priority>" + text + "</priority></presence>");
    world.run_for(kSecond);
    world.kill_and_restart();
    Account* account = world.server().worker(0).accounts().find(*xmpp::Jid::parse("u0@localhost"));
    ASSERT_NE(account, nullptr);
    ASSERT_EQ(account->sessions().size(), 1U);
    EXPECT_EQ(account->sessions().front()->priority(), priority) << "'" << text << "'";
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, PowerCut, testing::Range(1U, 6U));

}  // namespace
}  // namespace xmppd
