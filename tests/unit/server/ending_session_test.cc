// A session whose stream is over stays in its account's list until the next turn; what comes for it
// meanwhile goes where it would without it, and is not lost.
#include <gtest/gtest.h>

#include <string>

#include "core/worker.h"
#include "unit/server/raw_client.h"
#include "xmppd/module.h"
#include "xmppd/session.h"

namespace xmppd {
namespace {

constexpr auto kSecond = std::chrono::seconds(1);

std::string login_with(const std::string& user, const std::string& resource) {
  std::string text = login(user);
  const std::string tag = "<resource>";
  text.replace(text.find(tag) + tag.size(), 1, resource);
  return text + "<presence/>";
}

class EndingSession : public testing::Test {
 protected:
  EndingSession()
      : world({.seed = 1, .workers = 1}),
        scope(*world.server().worker(0).find_profile("default"), "a-test") {
    // Before whatever stores messages.
    scope.on<ToAccount>(Stage::fallback, [this](ToAccount& hook) {
      if (!hook.stanza.is_message()) return Verdict::pass;
      ++undelivered;
      return Verdict::handled;
    });
    world.add_account("romeo@localhost");
    world.add_account("juliet@localhost");
    romeo.write(login_with("romeo", "r"));
    balcony.write(login_with("juliet", "balcony"));
    world.run_for(kSecond);
  }

  // In one turn: juliet's session ends, and the stanza comes.
  void end_and_route(xmpp::Stanza stanza) {
    auto& worker = world.server().worker(0);
    stanza.envelope().from = *xmpp::Jid::parse("romeo@localhost/r");
    worker.call([&worker, stanza = std::move(stanza)] {
      Account* account = worker.accounts().find(*xmpp::Jid::parse("juliet@localhost"));
      ASSERT_NE(account, nullptr);
      account->find_session("balcony")->close({xmpp::StreamCondition::reset, {}});
      worker.router().route(xmpp::Stanza(stanza));
    });
    world.run_for(kSecond);
  }

  World world;
  Scope scope;
  int undelivered = 0;
  RawClient romeo{world};
  RawClient balcony{world};
};

xmpp::Stanza chat(const std::string& to) {
  auto stanza = xmpp::Stanza::message(xmpp::StanzaType::chat, *xmpp::Jid::parse(to));
  stanza.envelope().id = "m1";
  stanza.add_text("body", "late");
  return stanza;
}

TEST_F(EndingSession, AMessageGoesToTheOthers) {
  RawClient chamber(world);
  chamber.write(login_with("juliet", "chamber"));
  world.run_for(kSecond);
  end_and_route(chat("juliet@localhost/balcony"));
  EXPECT_TRUE(chamber.saw("late")) << chamber.seen();
  EXPECT_EQ(undelivered, 0);
}

TEST_F(EndingSession, AMessageToTheAccountDoesNotVanish) {
  end_and_route(chat("juliet@localhost"));
  EXPECT_EQ(undelivered, 1);
}

TEST_F(EndingSession, ARequestIsAnswered) {
  auto stanza =
      xmpp::Stanza::iq(xmpp::StanzaType::get, *xmpp::Jid::parse("juliet@localhost/balcony"), "q1");
  stanza.add(
      xmpp::Payload(xmpp::xml::Name("urn:xmpp:ping", "ping"), "<ping xmlns='urn:xmpp:ping'/>"));
  end_and_route(std::move(stanza));
  EXPECT_TRUE(romeo.saw("id='q1' type='error'")) << romeo.seen();
}

}  // namespace
}  // namespace xmppd
