// Blocking while the database does not write: what is acknowledged is stored.
#include <gtest/gtest.h>

#include <string>

#include "sim/sim_vfs.h"
#include "unit/server/raw_client.h"

namespace xmppd {
namespace {

constexpr auto kSecond = std::chrono::seconds(1);

std::string change(const std::string& id, const std::string& verb) {
  return "<iq type='set' id='" + id + "'><" + verb +
         " xmlns='urn:xmpp:blocking'><item jid='tybalt@localhost'/></" + verb + "></iq>";
}

bool has_answer(const RawClient& client, const std::string& id, const std::string& type) {
  return client.saw("id='" + id + "' type='" + type + "'");
}

// The list in memory still has what could not be stored until it has been read again.
TEST(BlockingFailure, ARepeatedChangeIsNotAcknowledgedForWhatTheFirstCouldNotStore) {
  sim::SimDisk disk("blocking-test", 1);
  World world({.seed = 1, .disk = &disk});
  world.add_account("romeo@localhost");
  RawClient romeo(world);
  romeo.write(login("romeo"));
  world.run_for(kSecond);
  const auto is_storage_busy = [&] { return world.server().storage().depth() != 0; };
  disk.fail(1);
  romeo.write(change("one", "block") + change("two", "block"));
  ASSERT_TRUE(world.run_until(is_storage_busy, world.now() + kSecond));
  ASSERT_TRUE(world.run_until([&] { return !is_storage_busy(); }, world.now() + kSecond));
  // The first has failed. Now the disk is well again, and slow.
  disk.fail(0);
  world.stall_storage(world.now() + kSecond);
  world.run_for(3 * kSecond);
  EXPECT_TRUE(has_answer(romeo, "one", "error"));
  EXPECT_TRUE(has_answer(romeo, "two", "error"));

  romeo.write("<iq type='get' id='list'><blocklist xmlns='urn:xmpp:blocking'/></iq>");
  world.run_for(kSecond);
  EXPECT_TRUE(has_answer(romeo, "list", "result"));
  EXPECT_FALSE(romeo.saw("<item jid='tybalt@localhost'/>"));

  // It goes on.
  romeo.write(change("three", "block"));
  world.run_for(kSecond);
  EXPECT_TRUE(has_answer(romeo, "three", "result"));
}

}  // namespace
}  // namespace xmppd
