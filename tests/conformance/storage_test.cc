// SqlStorage itself: order, group commit, errors, migrations.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <fstream>
#include <thread>

#include "storage/schema.h"
#include "storage/session.h"
#include "storage_fixture.h"
#include "xmpp/base/task.h"

namespace xmppd::test {
namespace {

using xmpp::Task;

constexpr auto kPut = [](Tx& tx, const std::string& key, const std::string& value) {
  return tx.key_value().put("test", key, value);
};
constexpr auto kFind = [](Tx& tx, const std::string& key) {
  return tx.key_value().find("test", key);
};
// Puts, and then fails.
constexpr auto kPutAndFail = [](Tx& tx, const std::string& key) -> StorageResult<void> {
  if (auto put = tx.key_value().put("test", key, "lost"); !put) return put;
  return xmpp::Err(StorageError{StorageErrorCode::constraint, "no"});
};

// The outcomes of callbacks, in order of arrival.
struct Collector {
  std::vector<std::string> seen;

  auto value(const std::string& name) {
    return [this, name](StorageResult<std::optional<std::string>> outcome) {
      seen.push_back(name + "=" + (outcome ? outcome->value_or("-") : outcome.error().text));
    };
  }
  auto done(const std::string& name) {
    return [this, name](StorageResult<void> outcome) {
      seen.push_back(name + (outcome ? " ok" : " " + std::string(to_string(outcome.error().code))));
    };
  }
};

std::optional<std::string> value_of(Storage& storage, const std::string& key) {
  auto found = storage.read_blocking("look", kFind, key);
  EXPECT_TRUE(found);
  return *found;
}

Task<void> create_and_count(Storage& storage, xmpp::net::Reactor& reactor, std::string& log) {
  const AccountRecord record = account("alice@localhost");
  auto pending = storage.write(
      reactor, record.jid, [](Tx& tx, const AccountRecord& a) { return tx.accounts().create(a); },
      record);
  auto created = co_await pending;
  log += created && *created ? "created " : "failed ";
  auto counting =
      storage.read(reactor, record.jid, [](Tx& tx) { return tx.accounts().count("localhost"); });
  auto count = co_await counting;
  log += count ? std::to_string(*count) : "failed";
}

TEST(Storage, ACoroutineGoesOnAfterTheCommitOnItsReactor) {
  World world;
  xmpp::TaskOwner tasks;
  std::string log;
  tasks.spawn(create_and_count(*world.storage, world.reactor, log));
  EXPECT_EQ(log, "");
  EXPECT_TRUE(world.storage->run_one());
  EXPECT_EQ(log, "");  // committed, but its mail has not been read
  world.reactor.turn();
  EXPECT_EQ(log, "created ");
  EXPECT_TRUE(world.storage->run_one());
  world.reactor.turn();
  EXPECT_EQ(log, "created 1");
  EXPECT_FALSE(world.storage->run_one());
}

TEST(Storage, AWriteIsDoneThoughItsTaskDied) {
  World world;
  {
    xmpp::TaskOwner tasks;
    std::string log;
    tasks.spawn(create_and_count(*world.storage, world.reactor, log));
  }
  world.storage->run_one();
  world.reactor.turn();
  auto exists = world.storage->read_blocking(
      "x", [](Tx& tx, const xmpp::Jid& j) { return tx.accounts().exists(j); },
      jid("alice@localhost"));
  EXPECT_TRUE(*exists);
}

TEST(Storage, OneFailingClosureDoesNotHurtTheOthersOfItsBatch) {
  World world;
  Collector out;
  world.storage->write_then(world.reactor, "a", out.done("a"), kPut, std::string("a"),
                            std::string("1"));
  world.storage->write_then(world.reactor, "b", out.done("b"), kPutAndFail, std::string("b"));
  world.storage->write_then(world.reactor, "c", out.done("c"), kPut, std::string("c"),
                            std::string("3"));
  EXPECT_EQ(world.storage->depth(), 3U);
  EXPECT_TRUE(world.storage->run_batch());
  EXPECT_FALSE(world.storage->run_batch());
  world.reactor.turn();
  EXPECT_EQ(out.seen, (std::vector<std::string>{"a ok", "b constraint", "c ok"}));
  EXPECT_EQ(value_of(*world.storage, "a"), "1");
  EXPECT_EQ(value_of(*world.storage, "b"), std::nullopt);
  EXPECT_EQ(value_of(*world.storage, "c"), "3");
}

// Else whoever makes a few fail, by going over a quota, takes from all others what they gain by
// sharing commits.
TEST(Storage, AFailingClosureDoesNotCostTheOthersACommitEach) {
  World world;
  Collector out;
  std::vector<std::string> expected;
  for (int i = 0; i < 1'000; ++i) {
    const std::string key = std::to_string(i);
    if (i == 300 || i == 301) {
      world.storage->write_then(world.reactor, key, out.done(key), kPutAndFail, key);
      expected.push_back(key + " constraint");
    } else {
      world.storage->write_then(world.reactor, key, out.done(key), kPut, key, key);
      expected.push_back(key + " ok");
    }
  }
  const auto before = world.storage->status();
  EXPECT_TRUE(world.storage->run_batch());
  EXPECT_FALSE(world.storage->run_batch());
  world.reactor.turn();
  EXPECT_EQ(out.seen, expected);
  EXPECT_EQ(value_of(*world.storage, "299"), "299");
  EXPECT_EQ(value_of(*world.storage, "300"), std::nullopt);
  EXPECT_EQ(value_of(*world.storage, "999"), "999");
  const auto after = world.storage->status();
  EXPECT_LE(after.commits - before.commits, 20U);
  EXPECT_EQ(after.failures - before.failures, 2U);
}

TEST(Storage, AClosureThatIgnoresAStoresErrorIsRolledBack) {
  World world;
  auto outcome = world.storage->write_blocking("a", [](Tx& tx) -> StorageResult<bool> {
    auto record =
        account("alice@localhost", {xmpp::sasl::ScramHash::sha1, xmpp::sasl::ScramHash::sha1});
    (void)tx.accounts().create(record);  // refused by the primary key of the keys
    return true;
  });
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, StorageErrorCode::constraint);
  auto count =
      world.storage->read_blocking("a", [](Tx& tx) { return tx.accounts().count("localhost"); });
  EXPECT_EQ(*count, 0U);
}

TEST(Storage, AnExceptionOfAClosureIsAnError) {
  World world;
  Collector out;
  world.storage->write_then(world.reactor, "a", out.done("a"), [](Tx&) -> StorageResult<void> {
    throw std::runtime_error("broken closure");
  });
  world.storage->write_then(world.reactor, "b", out.done("b"), kPut, std::string("b"),
                            std::string("2"));
  world.storage->run_batch();
  world.reactor.turn();
  EXPECT_EQ(out.seen, (std::vector<std::string>{"a unavailable", "b ok"}));
}

TEST(Storage, ReadsSeeEarlierWritesOfTheirKeyThoughTheCommitIsLate) {
  const TemporaryDirectory directory;
  World world({.path = directory.file("test.db")});
  Collector out;
  world.storage->write_then(world.reactor, "a", out.done("write"), kPut, std::string("a"),
                            std::string("new"));
  world.storage->read_then(world.reactor, "a", out.value("same key"), kFind, std::string("a"));
  world.storage->read_then(world.reactor, "b", out.value("other key"), kFind, std::string("a"));
  EXPECT_TRUE(world.storage->run_read());   // the other key does not wait for the writer
  EXPECT_FALSE(world.storage->run_read());  // the same key waits
  world.reactor.turn();
  EXPECT_EQ(out.seen, (std::vector<std::string>{"other key=-"}));
  EXPECT_TRUE(world.storage->run_batch());
  world.reactor.turn();
  EXPECT_EQ(out.seen, (std::vector<std::string>{"other key=-", "write ok", "same key=new"}));

  // Nothing pending any more: beside the writer again.
  world.storage->read_then(world.reactor, "a", out.value("later"), kFind, std::string("a"));
  EXPECT_TRUE(world.storage->run_read());
  world.reactor.turn();
  EXPECT_EQ(out.seen.back(), "later=new");
}

TEST(Storage, AReadInABatchSeesNothingThatIsRolledBack) {
  World world;
  Collector out;
  world.storage->write_then(world.reactor, "a", out.done("a"), kPut, std::string("a"),
                            std::string("1"));
  world.storage->write_then(world.reactor, "b", out.done("b"), kPutAndFail, std::string("b"));
  world.storage->read_then(world.reactor, "b", out.value("read"), kFind, std::string("b"));
  world.storage->run_batch();
  world.reactor.turn();
  EXPECT_EQ(out.seen, (std::vector<std::string>{"a ok", "b constraint", "read=-"}));
}

TEST(Storage, ABatchIsBounded) {
  World world({.batch = 2});
  Collector out;
  for (const char* key : {"a", "b", "c"}) {
    world.storage->write_then(world.reactor, key, out.done(key), kPut, std::string(key),
                              std::string("x"));
  }
  world.storage->run_batch();
  EXPECT_EQ(world.storage->depth(), 1U);
  world.storage->run_batch();
  world.reactor.turn();
  EXPECT_EQ(out.seen, (std::vector<std::string>{"a ok", "b ok", "c ok"}));
}

TEST(Storage, AFullQueueIsBusyAtOnce) {
  World world({.queue = 1});
  Collector out;
  world.storage->write_then(world.reactor, "a", out.done("a"), kPut, std::string("a"),
                            std::string("1"));
  const auto refused =
      world.storage->write(world.reactor, "b", kPut, std::string("b"), std::string("2"));
  EXPECT_TRUE(refused.is_completed());
  world.storage->write_then(world.reactor, "c", out.done("c"), kPut, std::string("c"),
                            std::string("3"));
  EXPECT_TRUE(out.seen.empty());  // never called within the call
  world.reactor.turn();
  EXPECT_EQ(out.seen, (std::vector<std::string>{"c busy"}));
  world.storage->run_batch();
  world.reactor.turn();
  EXPECT_EQ(out.seen, (std::vector<std::string>{"c busy", "a ok"}));
  EXPECT_EQ(value_of(*world.storage, "b"), std::nullopt);
}

TEST(Storage, StopFinishesWhatWaitsAndRefusesTheRest) {
  World world;
  Collector out;
  world.storage->write_then(world.reactor, "a", out.done("a"), kPut, std::string("a"),
                            std::string("1"));
  world.storage->stop();
  world.storage->write_then(world.reactor, "b", out.done("b"), kPut, std::string("b"),
                            std::string("2"));
  world.reactor.turn();
  EXPECT_EQ(out.seen, (std::vector<std::string>{"a ok", "b unavailable"}));
  world.storage->stop();
}

TEST(Storage, ALockedDatabaseIsBusy) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("test.db");
  World world({.path = path, .timeout = std::chrono::milliseconds(0)});
  sql::Session other({.path = path});
  other.begin_write();
  Collector out;
  for (const char* key : {"a", "b"}) {
    world.storage->write_then(world.reactor, key, out.done(key), kPut, std::string(key),
                              std::string("x"));
  }
  world.storage->run_batch();
  world.reactor.turn();
  EXPECT_EQ(out.seen, (std::vector<std::string>{"a busy", "b busy"}));
  other.rollback();
  world.storage->write_then(world.reactor, "a", out.done("a"), kPut, std::string("a"),
                            std::string("x"));
  world.storage->run_batch();
  world.reactor.turn();
  EXPECT_EQ(out.seen.back(), "a ok");
}

TEST(Storage, DataSurviveAndAreTheServersAlone) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("test.db");
  {
    World world({.path = path});
    EXPECT_TRUE(world.storage->write_blocking("a", kPut, std::string("a"), std::string("1")));
    struct stat status {};
    ASSERT_EQ(::stat((path + "-wal").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
  }
  World world({.path = path});
  EXPECT_EQ(value_of(*world.storage, "a"), "1");
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

// For ThreadSanitizer: every thread sees its own writes, however commits are grouped.
TEST(Storage, ThreadsSeeTheirOwnWrites) {
  const TemporaryDirectory directory;
  auto storage =
      SqlStorage::open({.path = directory.file("test.db"), .is_synchronous_full = false});
  ASSERT_TRUE(storage);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&storage, &wrong, t] {
      const std::string key = "key" + std::to_string(t);
      for (int i = 0; i < 25; ++i) {
        auto put = (*storage)->write_blocking(key, kPut, key, std::to_string(i));
        auto found = (*storage)->read_blocking(key, kFind, key);
        if (!put || !found || *found != std::to_string(i)) ++wrong;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

struct BadFile {
  const char* what;
  std::string path;
  StorageErrorCode code;
  std::string text;
};

TEST(Storage, ADatabaseThatCannotBeOpenedSaysWhy) {
  const TemporaryDirectory directory;
  const std::string garbage = directory.file("garbage.db");
  std::ofstream(garbage) << std::string(8'192, 'x');
  const std::string missing = directory.file("missing/test.db");
  const std::string folder = directory.file("");
  const std::string remedy = " (its directory must exist and be writable for xmppd)";
  const std::array cases = {
      BadFile{"no directory", missing, StorageErrorCode::unavailable,
              "cannot open the database '" + missing + "': unable to open database file" + remedy},
      BadFile{"a directory", folder, StorageErrorCode::unavailable,
              "cannot open the database '" + folder + "': unable to open database file" + remedy},
      BadFile{"no database", garbage, StorageErrorCode::corrupt,
              "cannot open the database '" + garbage + "': file is not a database"},
  };
  for (const BadFile& bad : cases) {
    auto opened = SqlStorage::open({.path = bad.path, .has_threads = false});
    ASSERT_FALSE(opened) << bad.what;
    EXPECT_EQ(opened.error().code, bad.code) << bad.what;
    EXPECT_EQ(opened.error().text, bad.text) << bad.what;
  }
}

TEST(Schema, AnOlderDatabaseIsBroughtUpToDate) {
  const std::array steps = {
      sql::Migration{1, "first", "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1);"},
      sql::Migration{2, "second", "ALTER TABLE t ADD COLUMN b INTEGER; UPDATE t SET b = a + 1;"},
  };
  sql::Session session({.path = ":memory:"});
  EXPECT_EQ(sql::schema_version(session), 0);
  sql::migrate(session, std::span(steps).first(1));
  EXPECT_EQ(sql::schema_version(session), 1);
  sql::migrate(session, steps);
  sql::migrate(session, steps);  // nothing left to do
  EXPECT_EQ(sql::schema_version(session), 2);
  auto query = session.query("SELECT a, b FROM t");
  ASSERT_TRUE(query.step());
  EXPECT_EQ(query.integer(0), 1);
  EXPECT_EQ(query.integer(1), 2);
  EXPECT_FALSE(query.step());
}

TEST(Schema, AFailedMigrationChangesNothing) {
  const std::array steps = {
      sql::Migration{1, "half", "CREATE TABLE t (a INTEGER); INSERT INTO missing VALUES (1);"}};
  sql::Session session({.path = ":memory:"});
  EXPECT_ANY_THROW(sql::migrate(session, steps));
  EXPECT_EQ(sql::schema_version(session), 0);
  session.execute("CREATE TABLE t (a INTEGER)");  // was rolled back
}

TEST(Schema, ANewerDatabaseIsRefused) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("test.db");
  {
    sql::Session session({.path = path});
    EXPECT_EQ(sql::schema_version(session), 0);
    session.execute("INSERT INTO schema_migrations VALUES (99, 'from the future')");
  }
  auto opened = SqlStorage::open({.path = path, .has_threads = false});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, StorageErrorCode::corrupt);
  EXPECT_NE(opened.error().text.find("schema is number 99"), std::string::npos);
}

TEST(Schema, TheMigrationsAreNumberedWithoutGaps) {
  int expected = 1;
  for (const sql::Migration& step : sql::migrations()) EXPECT_EQ(step.number, expected++);
}

TEST(Schema, ADatabaseOfTheFirstSchemaKeepsItsAccountsAndGetsRosters) {
  sql::Session session({.path = ":memory:"});
  sql::migrate(session, sql::migrations().first(1));
  session.execute(
      "INSERT INTO accounts (host, username, enabled, created_at_ms, key_hashes)"
      " VALUES ('localhost', 'alice', 1, 1700000000000, 0)");
  sql::migrate(session, sql::migrations());
  EXPECT_EQ(sql::schema_version(session), static_cast<int>(sql::migrations().size()));
  auto query = session.query("SELECT COUNT(*) FROM accounts");
  ASSERT_TRUE(query.step());
  EXPECT_EQ(query.integer(0), 1);
  session.execute(
      "INSERT INTO roster_contacts VALUES ('localhost', 'alice', 'bob@localhost', 1, '', 0, 0, 0,"
      " '')");
}

static_assert(Sendable<std::string> && Sendable<AccountRecord> && Sendable<int>);
static_assert(Sendable<std::vector<std::pair<std::string, xmpp::Jid>>>);
static_assert(!Sendable<std::string_view> && !Sendable<const char*> && !Sendable<int&>);
static_assert(!Sendable<std::optional<std::string_view>> && !Sendable<std::vector<int*>>);
static_assert(!Sendable<std::reference_wrapper<int>> && !Sendable<std::span<int>>);
struct Opted {
  using not_sendable = void;
};
static_assert(!Sendable<Opted> && !Sendable<std::tuple<int, Opted>>);

}  // namespace
}  // namespace xmppd::test
