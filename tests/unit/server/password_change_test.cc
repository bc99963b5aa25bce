// A login that was under way when the password changed does not get in with the old one, however
// far it had come.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "core/commands.h"
#include "core/key_generations.h"
#include "core/worker.h"
#include "unit/server/raw_client.h"
#include "xmpp/sasl/mechanism.h"

namespace xmppd {
namespace {

constexpr auto kSecond = std::chrono::seconds(1);
// Not a constant: an address keeps its hash, and each world has its own key for that.
xmpp::Jid romeo_jid() {
  return *xmpp::Jid::parse("romeo@localhost");
}

// A client that proves its password by SCRAM, as slowly as one likes.
class ScramClient : public RawClient {
 public:
  explicit ScramClient(World& world, std::string password = std::string(sim::kPassword))
      : RawClient(world),
        mechanism_(xmpp::sasl::make_client_mechanism(
            {.id = xmpp::sasl::MechanismId::scram_sha_256},
            {.username = "romeo", .password = xmpp::Secret(std::move(password))}, {}, rng_)) {}
  void begin() {
    write(kHeader + "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>" +
          xmpp::base64_encode(*mechanism_->start()) + "</auth>");
  }
  // The proof; `then` follows when that was accepted.
  void prove(const std::string& then = kBind) {
    const auto from = seen().find('>', seen().find("<challenge")) + 1;
    const auto challenge =
        xmpp::base64_decode(seen().substr(from, seen().find('<', from) - from)).value_or("");
    const auto response = mechanism_->receive(challenge);
    ASSERT_TRUE(response);
    write("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" + xmpp::base64_encode(*response) +
          "</response>" + kHeader + then);
  }
  [[nodiscard]] bool is_refused() const {
    return saw("<not-authorized") && !saw("</jid>") && !saw("<resumed");
  }

 private:
  xmpp::SeededRng rng_{7};
  std::unique_ptr<xmpp::sasl::ClientMechanism> mechanism_;
};

class PasswordChange : public testing::TestWithParam<std::uint64_t> {
 protected:
  PasswordChange() { world.add_account("romeo@localhost"); }
  void run(const std::string& command, const std::string& password = {}) {
    CommandArguments arguments;
    arguments.set("jid", romeo_jid());
    if (!password.empty()) arguments.set("password", xmpp::Secret(password));
    context.reactor.call([] {});  // it sees what time it is
    world.run_for(std::chrono::milliseconds(10));
    bool is_done = false;
    xmpp::TaskOwner owner;
    owner.spawn(keep(find_command(command)->run(context, std::move(arguments)), is_done));
    world.run_for(kSecond);
    EXPECT_TRUE(is_done) << command;
  }
  static xmpp::Task<void> keep(xmpp::Task<CommandResult> running, bool& is_done) {
    auto result = co_await std::move(running);
    is_done = result.has_value();
  }
  void expect_login(const std::string& password) {
    ScramClient client(world, password);
    client.begin();
    world.run_for(kSecond);
    client.prove();
    world.run_for(kSecond);
    EXPECT_TRUE(client.saw("</jid>")) << client.seen();
  }

  World world{{.seed = GetParam(), .workers = 3}};
  xmpp::SeededRng rng{1};
  CommandContext context{.server = world.server(), .reactor = world.make_reactor(), .rng = rng};
};

TEST_P(PasswordChange, EndsALoginThatHasNotProvedTheOldOneYet) {
  RawClient owner(world);
  owner.write(login("romeo"));
  ScramClient late(world);
  late.begin();
  world.run_for(kSecond);
  owner.write(
      "<iq type='set' id='c'><query xmlns='jabber:iq:register'><username>romeo</username>"
      "<password>new</password></query></iq>");
  world.run_for(kSecond);
  ASSERT_TRUE(owner.saw("id='c'") && owner.saw("type='result'")) << owner.seen();
  late.prove();
  world.run_for(kSecond);
  EXPECT_TRUE(late.is_refused()) << late.seen();
  EXPECT_FALSE(owner.saw("<stream:error>")) << owner.seen();
  expect_login("new");
}

TEST_P(PasswordChange, ByAnOperatorEndsLoginsUnderWayButNoSessions) {
  RawClient session(world);
  session.write(login("romeo"));
  ScramClient late(world);
  late.begin();
  RawClient unbound(world);
  unbound.write(kHeader + plain("romeo") + kHeader);
  world.run_for(kSecond);
  ASSERT_TRUE(unbound.saw("<success"));
  run("user.passwd", "new");
  late.prove();
  unbound.write(kBind);
  world.run_for(kSecond);
  EXPECT_TRUE(late.is_refused()) << late.seen();
  EXPECT_TRUE(unbound.saw("<not-authorized") && !unbound.saw("</jid>")) << unbound.seen();
  EXPECT_FALSE(session.saw("<stream:error>")) << session.seen();
  expect_login("new");
}

TEST_P(PasswordChange, IsNotGotAroundByResumption) {
  std::string id;
  {
    RawClient session(world);
    session.write(login("romeo") + "<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
    world.run_for(kSecond);
    const auto from = session.seen().find(" id='", session.seen().find("<enabled ")) + 5;
    id = session.seen().substr(from, session.seen().find('\'', from) - from);
  }
  ScramClient late(world);
  late.begin();
  world.run_for(kSecond);
  run("user.passwd", "new");
  late.prove("<resume xmlns='urn:xmpp:sm:3' h='0' previd='" + id + "'/>");
  world.run_for(kSecond);
  EXPECT_TRUE(late.is_refused()) << late.seen();
}

TEST_P(PasswordChange, ANewAccountOfTheNameIsNotTheOldOne) {
  ScramClient late(world);
  late.begin();
  world.run_for(kSecond);
  run("user.delete");
  run("user.add", "new");
  late.prove();
  world.run_for(kSecond);
  EXPECT_TRUE(late.is_refused()) << late.seen();
  expect_login("new");
}

// Others' changes may look like its own.
TEST_P(PasswordChange, OfSomebodyElseIsNoReasonToRefuse) {
  ScramClient late(world);
  late.begin();
  RawClient unbound(world);
  unbound.write(kHeader + plain("romeo") + kHeader);
  world.run_for(kSecond);
  world.server().key_generations().raise(romeo_jid());
  late.prove();
  unbound.write("<resume xmlns='urn:xmpp:sm:3' h='0' previd='none'/>");
  world.run_for(kSecond);
  EXPECT_TRUE(late.saw("</jid>")) << late.seen();
  EXPECT_TRUE(unbound.saw("<item-not-found")) << unbound.seen();
  late.write("</stream:stream>");
  unbound.write(kBind);
  world.run_for(kSecond);
  EXPECT_TRUE(unbound.saw("</jid>")) << unbound.seen();
}

INSTANTIATE_TEST_SUITE_P(Seeds, PasswordChange, testing::Range(std::uint64_t{1}, std::uint64_t{5}));

}  // namespace
}  // namespace xmppd
