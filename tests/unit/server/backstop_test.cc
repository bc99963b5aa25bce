// What a module throws while the server runs: the sender hears of it, it is counted, and everything
// else goes on.
#include "core/backstop.h"

#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>

#include "core/commands.h"
#include "core/worker.h"
#include "unit/server/raw_client.h"
#include "xmppd/module.h"

namespace xmppd {
namespace {

constexpr auto kSecond = std::chrono::seconds(1);

TEST(Backstop, AThrowingStanzaHookBouncesToTheSender) {
  World world({.seed = 21, .workers = 1});
  world.add_account("romeo@localhost");
  Scope scope(*world.server().worker(0).find_profile("default"), "test");
  int others = 0;
  scope.on<ToAccount>(Stage::validate, [](ToAccount& hook) {
    if (!hook.stanza.is_message() || hook.stanza.type() == xmpp::StanzaType::error) {
      return Verdict::pass;
    }
    throw std::runtime_error("no luck");
  });
  scope.on<ToAccount>(Stage::filter, [&others](ToAccount& hook) {
    if (hook.stanza.is_message() && hook.stanza.type() != xmpp::StanzaType::error) ++others;
    return Verdict::pass;
  });
  const auto before = exception_count();
  RawClient client(world);
  client.write(login("romeo") + "<message to='romeo@localhost/r' id='m'><body>x</body></message>");
  world.run_for(kSecond);
  EXPECT_TRUE(client.saw("<internal-server-error")) << client.seen();
  EXPECT_EQ(others, 0);
  EXPECT_EQ(exception_count() - before, 1U);
  EXPECT_EQ(world.server().session_count(), 1U) << "the session goes on";
}

xmpp::Task<CommandResult> throw_at_once(bool throws) {
  if (throws) throw std::runtime_error("no luck");
  co_return CommandValue("done");
}
xmpp::Task<void> keep(xmpp::Task<CommandResult> task, std::optional<CommandResult>& result) {
  auto outcome = co_await std::move(task);
  result = std::move(outcome);
}

TEST(Backstop, AThrowingCommandIsAnsweredWithAnError) {
  xmpp::TaskOwner owner;
  const auto before = exception_count();
  std::optional<CommandResult> result;
  owner.spawn(keep(shielded(throw_at_once(false)), result));
  ASSERT_TRUE(result);
  EXPECT_TRUE(*result);
  EXPECT_EQ(exception_count(), before);
  owner.spawn(keep(shielded(throw_at_once(true)), result));
  ASSERT_FALSE(*result);
  EXPECT_EQ(result->error().code, "internal");
  EXPECT_EQ(exception_count() - before, 1U);
}

TEST(Backstop, AThrowingTimerIsCountedAndNotSetAgain) {
  World world({.seed = 22, .workers = 1});
  Scope scope(*world.server().worker(0).find_profile("default"), "test");
  int calls = 0;
  int others = 0;
  scope.timer(kSecond, [&calls]() -> xmpp::Duration {
    ++calls;
    throw 42;
  });
  scope.timer(2 * kSecond, [&others]() -> xmpp::Duration {
    ++others;
    return xmpp::Duration::zero();
  });
  const auto before = exception_count();
  world.run_for(10 * kSecond);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(others, 1);
  EXPECT_EQ(exception_count() - before, 1U);
}

}  // namespace
}  // namespace xmppd
