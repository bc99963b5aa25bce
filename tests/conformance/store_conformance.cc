// Every store, on every kind of database: what its interface promises.
// Length: one suite, so that no store can be left out on one of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "storage/dialect.h"
#include "storage/schema.h"
#include "storage_fixture.h"
#include "support/postgres.h"

namespace xmppd::test {
namespace {

using xmpp::sasl::ScramHash;
using xmpp::sasl::ScramHashSet;

enum class Kind { memory, file, postgresql };
constexpr auto kKinds = std::array{Kind::memory, Kind::file, Kind::postgresql};
std::string name_of(Kind kind) {
  return std::array{"memory", "file", "postgresql"}.at(static_cast<std::size_t>(kind));
}

class StoreConformance : public testing::TestWithParam<Kind> {
 protected:
  StoreConformance() : world_(options()) {}

  StorageOptions options() {
    StorageOptions options;
    if (GetParam() == Kind::file) options.path = directory_.file("test.db");
    if (GetParam() == Kind::postgresql) {
      schema_ = std::make_unique<PostgresSchema>();
      options.driver = sql::DriverKind::postgresql;
      options.connection = xmpp::Secret(schema_->connection());
    }
    return options;
  }

  // REQUIRES: the closure succeeds.
  template <typename F, typename... Args>
  auto write(F fn, Args... args) {
    auto outcome = world_.storage->write_blocking("test", fn, std::move(args)...);
    if (!outcome) ADD_FAILURE() << outcome.error().text;
    return std::move(*outcome);
  }
  template <typename F, typename... Args>
  auto read(F fn, Args... args) {
    auto outcome = world_.storage->read_blocking("test", fn, std::move(args)...);
    if (!outcome) ADD_FAILURE() << outcome.error().text;
    return std::move(*outcome);
  }

  bool create(const AccountRecord& record) {
    return write([](Tx& tx, const AccountRecord& a) { return tx.accounts().create(a); }, record);
  }
  std::optional<AccountRecord> find(const std::string& address) {
    return read([](Tx& tx, const xmpp::Jid& j) { return tx.accounts().find(j); }, jid(address));
  }
  bool set_keys(const std::string& address, std::vector<xmpp::sasl::ScramKeys> keys) {
    return write(
        [](Tx& tx, const xmpp::Jid& j, const std::vector<xmpp::sasl::ScramKeys>& k) {
          return tx.accounts().set_keys(j, k);
        },
        jid(address), std::move(keys));
  }
  bool set_enabled(const std::string& address, bool enabled) {
    return write([](Tx& tx, const xmpp::Jid& j, bool e) { return tx.accounts().set_enabled(j, e); },
                 jid(address), enabled);
  }
  bool remove(const std::string& address) {
    return write([](Tx& tx, const xmpp::Jid& j) { return tx.accounts().remove(j); }, jid(address));
  }
  ScramHashSet common_hashes(const std::string& host) {
    return read([](Tx& tx, const std::string& h) { return tx.accounts().common_hashes(h); }, host);
  }
  std::string names(const std::string& host, const std::string& after, int limit) {
    auto page = read([](Tx& tx, const std::string& h, const std::string& a,
                        int n) { return tx.accounts().list(h, a, static_cast<std::size_t>(n)); },
                     host, after, limit);
    std::string names;
    for (const auto& one : page) names += std::string(one.jid.str()) + " ";
    return names;
  }

  // Another connection to the same database. REQUIRES: not in memory.
  sql::Session other_session() {
    sql::SessionOptions options;
    if (schema_) options = schema_->options();
    options.path = directory_.file("test.db");
    return sql::Session(options);
  }

  TemporaryDirectory directory_;
  std::unique_ptr<PostgresSchema> schema_;
  World world_;
};

INSTANTIATE_TEST_SUITE_P(Databases, StoreConformance, testing::ValuesIn(kKinds),
                         [](const auto& kind) { return name_of(kind.param); });

TEST_P(StoreConformance, AnAccountIsFoundAsItWasCreated) {
  EXPECT_FALSE(find("alice@localhost"));
  const auto stored = account("alice@localhost", {ScramHash::sha1, ScramHash::sha512});
  EXPECT_TRUE(create(stored));
  const auto found = find("alice@localhost");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->jid, stored.jid);
  EXPECT_TRUE(found->is_enabled);
  EXPECT_EQ(found->created_at, stored.created_at);
  ASSERT_NE(found->find_keys(ScramHash::sha1), nullptr);
  ASSERT_NE(found->find_keys(ScramHash::sha512), nullptr);
  EXPECT_EQ(*found->find_keys(ScramHash::sha1), keys_of(ScramHash::sha1));
  EXPECT_EQ(*found->find_keys(ScramHash::sha512), keys_of(ScramHash::sha512));
  EXPECT_EQ(found->find_keys(ScramHash::sha256), nullptr);
}

TEST_P(StoreConformance, AnAccountIsCreatedOnce) {
  EXPECT_TRUE(create(account("alice@localhost", {ScramHash::sha1})));
  EXPECT_FALSE(create(account("alice@localhost", {ScramHash::sha256})));
  EXPECT_EQ(find("alice@localhost")->keys.size(), 1U);
  EXPECT_EQ(find("alice@localhost")->keys[0].hash, ScramHash::sha1);
  EXPECT_TRUE(create(account("alice@example.org")));  // another host, another account
}

TEST_P(StoreConformance, ARemovedAccountLeavesNothing) {
  create(account("alice@localhost", {ScramHash::sha1}));
  EXPECT_TRUE(remove("alice@localhost"));
  EXPECT_FALSE(remove("alice@localhost"));
  EXPECT_FALSE(find("alice@localhost"));
  EXPECT_TRUE(create(account("alice@localhost")));
  EXPECT_TRUE(find("alice@localhost")->keys.empty());
}

TEST_P(StoreConformance, ExistsAndCount) {
  const auto exists = [](Tx& tx, const xmpp::Jid& j) { return tx.accounts().exists(j); };
  const auto count = [](Tx& tx, const std::string& h) { return tx.accounts().count(h); };
  EXPECT_FALSE(read(exists, jid("alice@localhost")));
  EXPECT_EQ(read(count, std::string("localhost")), 0U);
  create(account("alice@localhost"));
  create(account("bob@localhost"));
  create(account("carol@example.org"));
  EXPECT_TRUE(read(exists, jid("alice@localhost")));
  EXPECT_EQ(read(count, std::string("localhost")), 2U);
}

TEST_P(StoreConformance, AccountsAreListedInPages) {
  for (const char* name : {"c@localhost", "a@localhost", "b@localhost", "z@other"}) {
    create(account(name));
  }
  set_enabled("b@localhost", false);
  EXPECT_EQ(names("localhost", "", 2), "a@localhost b@localhost ");
  EXPECT_EQ(names("localhost", "b", 2), "c@localhost ");
  EXPECT_EQ(names("localhost", "c", 2), "");
  EXPECT_EQ(names("nowhere", "", 2), "");
}

TEST_P(StoreConformance, KeysAreReplaced) {
  EXPECT_FALSE(set_keys("alice@localhost", {}));
  create(account("alice@localhost", {ScramHash::sha1, ScramHash::sha256}));
  EXPECT_TRUE(set_keys("alice@localhost", {keys_of(ScramHash::sha512)}));
  const auto found = find("alice@localhost");
  ASSERT_EQ(found->keys.size(), 1U);
  EXPECT_EQ(found->keys[0], keys_of(ScramHash::sha512));
}

TEST_P(StoreConformance, OneHashTwiceIsRefusedAndChangesNothing) {
  create(account("alice@localhost", {ScramHash::sha1}));
  auto outcome = world_.storage->write_blocking(
      "test",
      [](Tx& tx, const xmpp::Jid& j, const std::vector<xmpp::sasl::ScramKeys>& k) {
        return tx.accounts().set_keys(j, k);
      },
      jid("alice@localhost"), std::vector{keys_of(ScramHash::sha256), keys_of(ScramHash::sha256)});
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, StorageErrorCode::constraint);
  EXPECT_EQ(find("alice@localhost")->keys[0].hash, ScramHash::sha1);
}

TEST_P(StoreConformance, AHashIsCommonIfEveryEnabledAccountHasIt) {
  EXPECT_EQ(common_hashes("localhost"), ScramHashSet::all());
  ScramHashSet expected;
  expected.add(ScramHash::sha256);
  create(account("alice@localhost", {ScramHash::sha1, ScramHash::sha256, ScramHash::sha512}));
  EXPECT_EQ(common_hashes("localhost"), ScramHashSet::all());
  create(account("bob@localhost", {ScramHash::sha256}));
  EXPECT_EQ(common_hashes("localhost"), expected);
  create(account("carol@localhost"));
  EXPECT_TRUE(common_hashes("localhost").is_empty());
  EXPECT_EQ(common_hashes("example.org"), ScramHashSet::all());

  EXPECT_TRUE(set_enabled("carol@localhost", false));  // cannot log in in any case
  EXPECT_FALSE(set_enabled("nobody@localhost", false));
  EXPECT_EQ(common_hashes("localhost"), expected);
  EXPECT_FALSE(find("carol@localhost")->is_enabled);
  set_keys("bob@localhost", {keys_of(ScramHash::sha1), keys_of(ScramHash::sha256)});
  expected.add(ScramHash::sha1);
  EXPECT_EQ(common_hashes("localhost"), expected);
  remove("bob@localhost");
  EXPECT_EQ(common_hashes("localhost"), ScramHashSet::all());
}

TEST_P(StoreConformance, BytesByKey) {
  using namespace std::string_literals;
  const auto find_value = [](Tx& tx, const std::string& k) {
    return tx.key_value().find("server", k);
  };
  const auto put = [](Tx& tx, const std::string& k, const std::string& v) -> StorageResult<bool> {
    if (auto done = tx.key_value().put("server", k, v); !done) return xmpp::Err(done.error());
    return true;
  };
  const auto remove_value = [](Tx& tx, const std::string& k) {
    return tx.key_value().remove("server", k);
  };
  EXPECT_FALSE(read(find_value, "secret"s));
  write(put, "secret"s, "a\0\xff"s);
  EXPECT_EQ(read(find_value, "secret"s), "a\0\xff"s);
  write(put, "secret"s, ""s);
  EXPECT_EQ(read(find_value, "secret"s), ""s);
  EXPECT_FALSE(read(find_value, "other"s));
  EXPECT_TRUE(write(remove_value, "secret"s));
  EXPECT_FALSE(write(remove_value, "secret"s));
}

// Tables that are no account's own. A table of accounts has the columns host and username and goes
// with its account; whoever adds another kind adds it here.
// (Stanzas of a session go with it, which goes with its account.)
constexpr std::array<std::string_view, 4> kTablesOfNobody = {"accounts", "key_value",
                                                             "schema_migrations", "sm_stanzas"};

std::vector<std::string> strings_of(sql::Query& query) {
  std::vector<std::string> all;
  while (query.step()) all.push_back(query.text(0));
  return all;
}

// A row with '1' in every column but the account's: both databases make of it what the column is.
std::string insert_row(const std::string& table, const std::vector<std::string>& columns) {
  std::string names;
  std::string values;
  for (const std::string& column : columns) {
    names += (names.empty() ? "" : ", ") + column;
    const std::string value = column == "host" ? "localhost" : column == "username" ? "alice" : "1";
    values += (values.empty() ? "'" : ", '") + value + "'";
  }
  return "INSERT INTO " + table + " (" + names + ") VALUES (" + values + ")";
}

TEST_P(StoreConformance, AnAccountTakesEverythingWithIt) {
  if (GetParam() == Kind::memory) return;  // has one connection only
  create(account("alice@localhost"));
  sql::Session session = other_session();
  session.begin_read();
  std::vector<std::pair<std::string, std::vector<std::string>>> tables;
  auto names = session.query(sql::list_tables(session.kind()));
  for (const std::string& name : strings_of(names)) {
    if (std::ranges::count(kTablesOfNobody, name) != 0) continue;
    auto columns = session.query(sql::list_columns(session.kind()));
    columns.bind(name);
    tables.emplace_back(name, strings_of(columns));
    EXPECT_EQ(std::ranges::count(tables.back().second, "host"), 1) << name;
    EXPECT_EQ(std::ranges::count(tables.back().second, "username"), 1) << name;
  }
  session.rollback();
  ASSERT_GE(tables.size(), 4U);
  // A row may need one of another table: whatever order works.
  std::size_t full = 0;
  for (std::size_t round = 0; round < tables.size(); ++round) {
    full = 0;
    for (const auto& [name, columns] : tables) {
      if (session.guarded([&] { session.execute(insert_row(name, columns)); })) ++full;
    }
  }
  const auto count = [&](const std::string& name) {
    session.begin_read();
    auto query = session.query("SELECT COUNT(*) FROM " + name);
    query.step();
    const auto rows = query.integer(0);
    session.rollback();
    return rows;
  };
  for (const auto& [name, columns] : tables) EXPECT_EQ(count(name), 1) << name << ' ' << full;
  EXPECT_TRUE(remove("alice@localhost"));
  for (const auto& [name, columns] : tables) EXPECT_EQ(count(name), 0) << name;
}

TEST_P(StoreConformance, TheIntegrityCheckFindsNothingAndThenADamage) {
  if (GetParam() == Kind::memory) return;
  create(account("alice@localhost", {ScramHash::sha1}));
  auto problems = world_.storage->check();
  ASSERT_TRUE(problems) << problems.error().text;
  EXPECT_EQ(*problems, std::vector<std::string>());
  const StorageStatus status = world_.storage->status();
  EXPECT_TRUE(status.is_reachable) << status.error;
  EXPECT_EQ(status.schema, sql::migrations().size());
  EXPECT_EQ(status.schema, status.schema_known);
  EXPECT_EQ(*world_.storage->migrate(), 0U);
  other_session().execute("DELETE FROM scram_keys");
  problems = world_.storage->check();
  ASSERT_TRUE(problems);
  EXPECT_EQ(*problems,
            std::vector<std::string>{"the password keys of alice@localhost are incomplete"});
}

// A database of each earlier schema keeps its account and gets what came since.
TEST_P(StoreConformance, EverySchemaIsUpgraded) {
  if (GetParam() == Kind::memory) return;
  for (std::size_t from = 1; from < sql::migrations().size(); ++from) {
    const TemporaryDirectory directory;
    std::unique_ptr<PostgresSchema> schema;
    StorageOptions options;
    sql::SessionOptions old;
    if (GetParam() == Kind::postgresql) {
      schema = std::make_unique<PostgresSchema>();
      old = schema->options();
      options.driver = old.driver;
      options.connection = old.connection;
    }
    options.path = old.path = directory.file("test.db");
    {
      sql::Session session(old);
      EXPECT_EQ(sql::migrate(session, sql::migrations().first(from)), static_cast<int>(from));
      session.execute(
          "INSERT INTO accounts (host, username, enabled, created_at_ms, key_hashes)"
          " VALUES ('localhost', 'alice', 1, 1700000000000, 0)");
    }
    World world(options);
    auto found = world.storage->read_blocking(
        "a", [](Tx& tx, const xmpp::Jid& j) { return tx.accounts().find(j); },
        jid("alice@localhost"));
    ASSERT_TRUE(found) << from;
    EXPECT_TRUE(*found) << from;
    EXPECT_EQ(world.storage->status().schema, sql::migrations().size());
    EXPECT_EQ(*world.storage->check(), std::vector<std::string>()) << from;
  }
}

// SmQueues
// ---------------------------------------------------------------------------------------

constexpr auto kLoadSm = [](Tx& tx) { return tx.sm_queues().load(); };
constexpr auto kPutSm = [](Tx& tx, const SmSessionRecord& one) -> StorageResult<bool> {
  if (auto done = tx.sm_queues().put(one); !done) return xmpp::Err(done.error());
  return true;
};
constexpr auto kAppendSm = [](Tx& tx, const std::string& id,
                              const std::vector<SmStanza>& stanzas) -> StorageResult<bool> {
  if (auto done = tx.sm_queues().append(id, stanzas); !done) return xmpp::Err(done.error());
  return true;
};
constexpr auto kRemoveSmStanzas = [](Tx& tx, const std::string& id) -> StorageResult<bool> {
  if (auto done = tx.sm_queues().remove_stanzas(id); !done) return xmpp::Err(done.error());
  return true;
};
constexpr auto kRemoveSm = [](Tx& tx, const std::string& id) -> StorageResult<bool> {
  if (auto done = tx.sm_queues().remove(id); !done) return xmpp::Err(done.error());
  return true;
};

TEST_P(StoreConformance, SessionsToBeResumedAreKept) {
  create(account("alice@localhost"));
  create(account("bob@localhost"));
  SmSessionRecord first{
      .id = "b", .jid = jid("alice@localhost/a"), .window = std::chrono::minutes(5)};
  SmSessionRecord second{.id = "a",
                         .jid = jid("bob@localhost/\u2603 /x"),
                         .window = std::chrono::seconds(1),
                         .handled = 0xFFFFFFFF,
                         .acknowledged = 7,
                         .detached_at = xmpp::Timestamp(std::chrono::seconds(1'700'000'000)),
                         .presence = "<presence/>",
                         .slots = std::string("\0\1", 2)};
  const SmStanza one{1, xmpp::Timestamp(std::chrono::milliseconds(1'700'000'000'123)),
                     "<message/>"};
  const SmStanza two{2, {}, "<iq/>"};
  write(kPutSm, first);
  write(kPutSm, second);
  write(kAppendSm, second.id, std::vector{two});
  write(kAppendSm, second.id, std::vector{one});
  write(kAppendSm, std::string("nobody's"), std::vector{one});
  auto all = read(kLoadSm);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].session, second);
  EXPECT_EQ(all[0].stanzas, (std::vector{one, two}));
  EXPECT_EQ(all[1].session, first);
  EXPECT_TRUE(all[1].stanzas.empty());

  second.handled = 1;
  second.presence.clear();
  write(kPutSm, second);  // stanzas stay
  EXPECT_EQ(read(kLoadSm)[0].session, second);
  EXPECT_EQ(read(kLoadSm)[0].stanzas.size(), 2U);
  write(kRemoveSmStanzas, second.id);
  EXPECT_TRUE(read(kLoadSm)[0].stanzas.empty());
  write(kAppendSm, first.id, std::vector{one});
  write(kRemoveSm, second.id);
  write(kRemoveSm, second.id);
  ASSERT_EQ(read(kLoadSm).size(), 1U);
  // They go with their account.
  write([](Tx& tx, const xmpp::Jid& who) { return tx.accounts().remove(who); },
        jid("alice@localhost"));
  EXPECT_TRUE(read(kLoadSm).empty());
}

// Rosters ----------------------------------------------------------------------------------------

RosterContact contact(const std::string& address) {
  RosterContact made;
  made.jid = jid(address);
  made.is_listed = true;
  return made;
}
constexpr auto kLoadRoster = [](Tx& tx, const xmpp::Jid& a) { return tx.rosters().load(a); };
constexpr auto kPutContact = [](Tx& tx, const xmpp::Jid& a,
                                const RosterContact& c) -> StorageResult<bool> {
  if (auto done = tx.rosters().put(a, c); !done) return xmpp::Err(done.error());
  return true;
};
constexpr auto kRaiseVersion = [](Tx& tx, const xmpp::Jid& a) {
  return tx.rosters().raise_version(a);
};

TEST_P(StoreConformance, ARosterIsKept) {
  const auto alice = jid("alice@localhost");
  create(account("alice@localhost"));
  create(account("bob@localhost"));
  RosterContact full = contact("bob@example.org");
  full.name = "Bob";
  full.subscription = RosterSubscription::from;
  full.is_asked = full.is_approved = true;
  full.groups = {"Friends", "Work"};
  full.request = "<presence/>";
  write(kPutContact, alice, full);
  write(kPutContact, alice, contact("carol@localhost"));
  RosterContact grouped = contact("a@localhost");
  grouped.groups = {"Z"};
  write(kPutContact, alice, grouped);
  auto roster = read(kLoadRoster, alice);
  ASSERT_EQ(roster.contacts.size(), 3U);
  EXPECT_EQ(roster.contacts[0], grouped);
  EXPECT_EQ(roster.contacts[1], full);
  EXPECT_EQ(roster.contacts[2], contact("carol@localhost"));
  EXPECT_TRUE(read(kLoadRoster, jid("bob@localhost")).contacts.empty());
  EXPECT_TRUE(read(kLoadRoster, jid("nobody@localhost")).contacts.empty());

  full.groups = {"Work"};  // replaced as a whole
  full.is_asked = false;
  write(kPutContact, alice, full);
  EXPECT_EQ(read(kLoadRoster, alice).contacts[1], full);
}

TEST_P(StoreConformance, TheLastPresenceIsKept) {
  const auto put = [](Tx& tx, const xmpp::Jid& a, const std::string& text) -> StorageResult<bool> {
    if (auto done = tx.rosters().put_last_presence(a, text); !done) return xmpp::Err(done.error());
    return true;
  };
  const auto alice = jid("alice@localhost");
  create(account("alice@localhost"));
  EXPECT_EQ(read(kLoadRoster, alice).last_presence, "");
  write(put, alice, std::string("<presence/>"));
  write(put, alice, std::string("<presence id='2'/>"));
  EXPECT_EQ(read(kLoadRoster, alice).last_presence, "<presence id='2'/>");
  remove("alice@localhost");
  create(account("alice@localhost"));
  EXPECT_EQ(read(kLoadRoster, alice).last_presence, "");
  auto refused = world_.storage->write_blocking("test", put, jid("nobody@localhost"),
                                                std::string("<presence/>"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, StorageErrorCode::constraint);
}

TEST_P(StoreConformance, AnEmptyContactIsRemoved) {
  const auto alice = jid("alice@localhost");
  create(account("alice@localhost"));
  RosterContact one = contact("bob@localhost");
  one.groups = {"Friends"};
  write(kPutContact, alice, one);
  one.is_listed = false;
  one.groups.clear();
  one.request = "<presence/>";  // only a request is left
  write(kPutContact, alice, one);
  ASSERT_EQ(read(kLoadRoster, alice).contacts.size(), 1U);
  EXPECT_EQ(read(kLoadRoster, alice).contacts[0], one);
  one.request.clear();
  write(kPutContact, alice, one);
  EXPECT_TRUE(read(kLoadRoster, alice).contacts.empty());
  write(kPutContact, alice, one);  // nothing there
}

TEST_P(StoreConformance, ARosterGoesWithItsAccountAndNeverRepeatsAVersion) {
  const auto alice = jid("alice@localhost");
  AccountRecord record = account("alice@localhost");
  create(record);
  RosterContact one = contact("bob@localhost");
  one.groups = {"Friends"};
  write(kPutContact, alice, one);
  const auto before = read(kLoadRoster, alice).version;
  const auto first = write(kRaiseVersion, alice);
  EXPECT_GT(first, before);
  const auto second = write(kRaiseVersion, alice);
  EXPECT_GT(second, first);
  EXPECT_EQ(read(kLoadRoster, alice).version, second);
  remove("alice@localhost");
  EXPECT_TRUE(read(kLoadRoster, alice).contacts.empty());
  record.created_at += std::chrono::seconds(1);
  create(record);
  EXPECT_TRUE(read(kLoadRoster, alice).contacts.empty());
  EXPECT_GT(read(kLoadRoster, alice).version, second);
}

TEST_P(StoreConformance, WithoutAnAccountThereIsNoRoster) {
  auto put = world_.storage->write_blocking("test", kPutContact, jid("nobody@localhost"),
                                            contact("bob@localhost"));
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, StorageErrorCode::constraint);
  auto raised = world_.storage->write_blocking("test", kRaiseVersion, jid("nobody@localhost"));
  ASSERT_FALSE(raised);
  EXPECT_EQ(raised.error().code, StorageErrorCode::constraint);
}

// Offline messages
// ---------------------------------------------------------------------------------

constexpr auto kAddOffline = [](Tx& tx, const xmpp::Jid& a, const OfflineMessage& m,
                                const OfflineLimits& l) { return tx.offline().add(a, m, l); };
constexpr auto kLoadOffline = [](Tx& tx, const xmpp::Jid& a, std::uint64_t after, std::size_t count,
                                 std::size_t bytes) {
  return tx.offline().load(a, after, count, bytes);
};
constexpr auto kRemoveOffline = [](Tx& tx, const xmpp::Jid& a, std::uint64_t up_to) {
  return tx.offline().remove(a, up_to);
};
constexpr OfflineLimits kPlenty{.messages = 100, .messages_per_sender = 100, .bytes = 1'000'000};

OfflineMessage offline(const std::string& sender, const std::string& stanza) {
  OfflineMessage message;
  message.sender = jid(sender);
  message.received_at = xmpp::Timestamp(std::chrono::milliseconds(5'678));
  message.stanza = stanza;
  return message;
}

std::string stanzas(const std::vector<OfflineMessage>& messages) {
  std::string all;
  for (const auto& one : messages) all += one.stanza + " ";
  return all;
}

TEST_P(StoreConformance, OfflineMessagesComeInOrder) {
  const auto alice = jid("alice@localhost");
  create(account("alice@localhost"));
  create(account("bob@localhost"));
  for (const char* text : {"1", "2", "3"}) {
    EXPECT_EQ(write(kAddOffline, alice, offline("bob@localhost", text), kPlenty),
              OfflineOutcome::stored);
  }
  write(kAddOffline, jid("bob@localhost"), offline("x@example.org", "other"), kPlenty);
  auto all = read(kLoadOffline, alice, std::uint64_t{0}, std::size_t{10}, std::size_t{1'000});
  ASSERT_EQ(stanzas(all), "1 2 3 ");
  EXPECT_EQ(all[0].sender, jid("bob@localhost"));
  EXPECT_EQ(all[0].received_at, xmpp::Timestamp(std::chrono::milliseconds(5'678)));
  EXPECT_LT(all[0].number, all[1].number);
  const auto page = [&](std::uint64_t after, std::size_t count, std::size_t bytes) {
    return stanzas(read(kLoadOffline, alice, after, count, bytes));
  };
  EXPECT_EQ(page(0, 2, 1'000), "1 2 ");
  EXPECT_EQ(page(0, 10, 1), "1 ");  // at least one
  EXPECT_EQ(page(all[0].number, 10, 1'000), "2 3 ");
  EXPECT_EQ(page(all[2].number, 10, 1'000), "");

  EXPECT_EQ(write(kRemoveOffline, alice, all[1].number), 2U);
  EXPECT_EQ(page(0, 10, 1'000), "3 ");
  write(kAddOffline, alice, offline("bob@localhost", "4"), kPlenty);
  EXPECT_EQ(page(0, 10, 1'000), "3 4 ");
  EXPECT_EQ(write(kRemoveOffline, alice, std::uint64_t{1'000}), 2U);
  EXPECT_EQ(write(kRemoveOffline, alice, std::uint64_t{1'000}), 0U);
  EXPECT_EQ(read(kLoadOffline, jid("bob@localhost"), std::uint64_t{0}, std::size_t{10},
                 std::size_t{1'000})
                .size(),
            1U);
}

TEST_P(StoreConformance, OfflineMessagesHaveTheirLimits) {
  const auto alice = jid("alice@localhost");
  create(account("alice@localhost"));
  const OfflineLimits limits{.messages = 3, .messages_per_sender = 2, .bytes = 10};
  const auto add = [&](const char* sender, const char* text) {
    return write(kAddOffline, alice, offline(sender, text), limits);
  };
  EXPECT_EQ(add("bob@localhost", "12345678901"), OfflineOutcome::full);
  EXPECT_EQ(add("bob@localhost", "12345"), OfflineOutcome::stored);
  EXPECT_EQ(add("bob@localhost", "123456"), OfflineOutcome::full);
  EXPECT_EQ(add("bob@localhost", "1"), OfflineOutcome::stored);
  EXPECT_EQ(add("bob@localhost", "1"), OfflineOutcome::full);
  EXPECT_EQ(add("carol@localhost", "1"), OfflineOutcome::stored);
  EXPECT_EQ(add("carol@localhost", "1"), OfflineOutcome::full);
  EXPECT_EQ(read(kLoadOffline, alice, std::uint64_t{0}, std::size_t{10}, std::size_t{1'000}).size(),
            3U);
}

TEST_P(StoreConformance, OfflineMessagesGoWithTheirAccount) {
  const auto alice = jid("alice@localhost");
  EXPECT_EQ(write(kAddOffline, alice, offline("bob@localhost", "1"), kPlenty),
            OfflineOutcome::no_account);
  create(account("alice@localhost"));
  write(kAddOffline, alice, offline("bob@localhost", "1"), kPlenty);
  remove("alice@localhost");
  create(account("alice@localhost"));
  EXPECT_TRUE(
      read(kLoadOffline, alice, std::uint64_t{0}, std::size_t{10}, std::size_t{1'000}).empty());
}

// Data of accounts -------------------------------------------------------------------------------

constexpr auto kFindData = [](Tx& tx, const xmpp::Jid& a, const std::string& space,
                              const std::string& key) {
  return tx.account_data().find(a, space, key);
};
constexpr auto kPutData = [](Tx& tx, const xmpp::Jid& a, const std::string& space,
                             const std::string& key, const std::string& value,
                             const DataLimits& limits) {
  return tx.account_data().put(a, space, key, value, limits);
};
constexpr auto kRemoveData = [](Tx& tx, const xmpp::Jid& a, const std::string& space,
                                const std::string& key) {
  return tx.account_data().remove(a, space, key);
};

TEST_P(StoreConformance, DataOfAccountsByKey) {
  using namespace std::string_literals;
  constexpr DataLimits kLimits{.entries = 2, .bytes = 10};
  const auto alice = jid("alice@localhost");
  create(account("alice@localhost"));
  create(account("bob@localhost"));
  EXPECT_FALSE(read(kFindData, alice, "notes"s, "a"s));
  EXPECT_TRUE(write(kPutData, alice, "notes"s, "a"s, "1\0\xff"s, kLimits));
  EXPECT_EQ(read(kFindData, alice, "notes"s, "a"s), "1\0\xff"s);
  EXPECT_FALSE(read(kFindData, alice, "other"s, "a"s));
  EXPECT_FALSE(read(kFindData, jid("bob@localhost"), "notes"s, "a"s));
  EXPECT_FALSE(write(kPutData, alice, "notes"s, "a"s, "12345678901"s, kLimits));
  EXPECT_TRUE(write(kPutData, alice, "notes"s, "a"s, "1234567890"s, kLimits));  // replaced
  EXPECT_FALSE(write(kPutData, alice, "notes"s, "b"s, "1"s, kLimits));
  EXPECT_TRUE(write(kPutData, alice, "notes"s, "b"s, ""s, kLimits));
  EXPECT_FALSE(write(kPutData, alice, "notes"s, "c"s, ""s, kLimits));
  EXPECT_TRUE(write(kPutData, alice, "other"s, "c"s, "1"s, kLimits));
  EXPECT_TRUE(write(kRemoveData, alice, "notes"s, "a"s));
  EXPECT_FALSE(write(kRemoveData, alice, "notes"s, "a"s));
  EXPECT_FALSE(read(kFindData, alice, "notes"s, "a"s));

  remove("alice@localhost");
  EXPECT_FALSE(read(kFindData, alice, "notes"s, "b"s));
  create(account("alice@localhost"));
  EXPECT_FALSE(read(kFindData, alice, "notes"s, "b"s));
  auto put = world_.storage->write_blocking("test", kPutData, jid("nobody@localhost"), "notes"s,
                                            "a"s, ""s, kLimits);
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, StorageErrorCode::constraint);
}

// Blocked addresses ------------------------------------------------------------------------------

constexpr auto kLoadBlocked = [](Tx& tx, const xmpp::Jid& a) { return tx.blocklists().load(a); };
constexpr auto kBlock = [](Tx& tx, const xmpp::Jid& a,
                           const std::vector<xmpp::Jid>& jids) -> StorageResult<bool> {
  if (auto done = tx.blocklists().add(a, jids); !done) return xmpp::Err(done.error());
  return true;
};
constexpr auto kUnblock = [](Tx& tx, const xmpp::Jid& a,
                             const std::vector<xmpp::Jid>& jids) -> StorageResult<bool> {
  if (auto done = tx.blocklists().remove(a, jids); !done) return xmpp::Err(done.error());
  return true;
};

TEST_P(StoreConformance, BlockedAddressesAreKeptInOrder) {
  using Jids = std::vector<xmpp::Jid>;
  const auto alice = jid("alice@localhost");
  create(account("alice@localhost"));
  create(account("bob@localhost"));
  EXPECT_EQ(read(kLoadBlocked, alice), Jids());
  write(kBlock, alice, Jids{jid("c@example.org/r"), jid("b.example"), jid("a@example.org")});
  write(kBlock, alice, Jids{jid("b.example")});  // there already
  EXPECT_EQ(read(kLoadBlocked, alice),
            (Jids{jid("a@example.org"), jid("b.example"), jid("c@example.org/r")}));
  EXPECT_EQ(read(kLoadBlocked, jid("bob@localhost")), Jids());
  write(kUnblock, alice, Jids{jid("b.example"), jid("z.example")});
  EXPECT_EQ(read(kLoadBlocked, alice), (Jids{jid("a@example.org"), jid("c@example.org/r")}));
  remove("alice@localhost");
  create(account("alice@localhost"));
  EXPECT_EQ(read(kLoadBlocked, alice), Jids()) << "they go with the account";
}

TEST_P(StoreConformance, WithoutAnAccountNobodyIsBlocked) {
  auto blocked = world_.storage->write_blocking("test", kBlock, jid("nobody@localhost"),
                                                std::vector<xmpp::Jid>{jid("a@example.org")});
  ASSERT_FALSE(blocked);
  EXPECT_EQ(blocked.error().code, StorageErrorCode::constraint);
  EXPECT_TRUE(read(kLoadBlocked, jid("nobody@localhost")).empty());
}

}  // namespace
}  // namespace xmppd::test
