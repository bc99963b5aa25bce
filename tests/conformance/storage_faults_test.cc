// SqlStorage over connections that fail, hesitate or run out of disk, each at a chosen moment.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "storage_fixture.h"

namespace xmppd::test {
namespace {

using namespace std::string_literals;
using std::chrono::milliseconds;

// What happens to the connections of one storage.
struct Faults {
  std::atomic<int> begins_that_fail{0};
  std::atomic<int> commits_that_fail{0};
  std::atomic<int> commits_without_answer{0};  // committed, but nobody hears of it
  std::atomic<int> delay_ms{0};                // of every commit
  std::atomic<int> max_pages{0};               // of the file from the next begin on
};

class FaultyDriver final : public sql::Driver {
 public:
  FaultyDriver(std::unique_ptr<sql::Driver> real, Faults& faults)
      : real_(std::move(real)), faults_(faults) {}

  sql::DriverKind kind() const noexcept override { return real_->kind(); }
  std::unique_ptr<sql::Statement> prepare(std::string_view sql) override {
    return real_->prepare(sql);
  }
  void execute(const std::string& statements) override { real_->execute(statements); }
  void begin(bool is_write) override {
    is_undecided_ = false;
    if (take(faults_.begins_that_fail)) throw error("begin failed");
    if (const int pages = faults_.max_pages; is_write && pages != 0) {
      real_->execute("PRAGMA max_page_count = " + std::to_string(pages));
    }
    real_->begin(is_write);
  }
  void commit() override {
    std::this_thread::sleep_for(milliseconds(faults_.delay_ms));
    if (take(faults_.commits_that_fail)) throw error("commit failed");
    real_->commit();
    if (take(faults_.commits_without_answer)) {
      is_undecided_ = true;
      throw error("connection lost");
    }
  }
  void rollback() noexcept override { real_->rollback(); }
  bool is_in_transaction() const noexcept override { return real_->is_in_transaction(); }
  bool is_commit_undecided() const noexcept override {
    return is_undecided_ || real_->is_commit_undecided();
  }

 private:
  static bool take(std::atomic<int>& count) {
    if (count == 0) return false;
    --count;
    return true;
  }
  static sql::DatabaseError error(const char* text) {
    return {StorageErrorCode::unavailable, text};
  }

  std::unique_ptr<sql::Driver> real_;
  Faults& faults_;
  bool is_undecided_ = false;
};

StorageOptions faulty(Faults& faults) {
  StorageOptions options;
  options.make_driver = [&faults](const sql::SessionOptions& session) {
    return std::make_unique<FaultyDriver>(sql::make_driver(session), faults);
  };
  return options;
}

// Adds to what is there: shows how often a closure was committed.
constexpr auto kAppend = [](Tx& tx, const std::string& key,
                            const std::string& value) -> StorageResult<void> {
  auto found = tx.key_value().find("test", key);
  if (!found) return xmpp::Err(found.error());
  return tx.key_value().put("test", key, found->value_or("") + value);
};
constexpr auto kFind = [](Tx& tx, const std::string& key) {
  return tx.key_value().find("test", key);
};

std::string value_of(Storage& storage, const std::string& key) {
  auto found = storage.read_blocking("look", kFind, key);
  EXPECT_TRUE(found);
  return found ? found->value_or("-") : "error";
}

class StorageFaults : public testing::Test {
 protected:
  void append(const std::string& key) {
    world_.storage->write_then(
        world_.reactor, key,
        [this, key](StorageResult<void> outcome) {
          seen_ += key + (outcome ? " ok, " : " " + outcome.error().text + ", ");
        },
        kAppend, key, "x"s);
  }
  std::string run_batch() {
    seen_.clear();
    world_.storage->run_batch();
    world_.reactor.turn();
    return seen_;
  }

  Faults faults_;
  World world_{faulty(faults_)};
  std::string seen_;
};

TEST_F(StorageFaults, WhoeverOnlyReadsIsToldWhatAnUnknownCommitLeft) {
  append("a");
  world_.storage->read_then(
      world_.reactor, "a"s,
      [this](const StorageResult<std::optional<std::string>>& found) {
        seen_ += found ? "read " + found->value_or("-") : found.error().text;
      },
      kFind, "a"s);
  faults_.commits_without_answer = 1;
  EXPECT_EQ(run_batch(), "a outcome of a commit unknown: connection lost, read x");
}

TEST_F(StorageFaults, ACommitOfUnknownOutcomeIsReportedAndNotRepeated) {
  for (const char* key : {"a", "b"}) append(key);
  faults_.commits_without_answer = 1;
  EXPECT_EQ(run_batch(),
            "a outcome of a commit unknown: connection lost, "
            "b outcome of a commit unknown: connection lost, ");
  // It had happened: a second run would have appended again.
  EXPECT_EQ(value_of(*world_.storage, "a"), "x");
  append("c");
  faults_.commits_without_answer = 1;
  EXPECT_EQ(run_batch(), "c outcome of a commit unknown: connection lost, ");
  EXPECT_EQ(value_of(*world_.storage, "c"), "x");
  append("a");
  EXPECT_EQ(run_batch(), "a ok, ");
  EXPECT_EQ(value_of(*world_.storage, "a"), "xx");
}

TEST_F(StorageFaults, ACommitThatFailedForCertainIsRepeatedOnceAlone) {
  for (const char* key : {"a", "b", "c"}) append(key);
  faults_.commits_that_fail = 2;  // the batch's, then that of a
  EXPECT_EQ(run_batch(), "a commit failed, b ok, c ok, ");
  EXPECT_EQ(value_of(*world_.storage, "a"), "-");
  EXPECT_EQ(value_of(*world_.storage, "b"), "x");
}

TEST_F(StorageFaults, WithoutTransactionsEverythingFailsAtOnceAndRecovers) {
  for (const char* key : {"a", "b", "c"}) append(key);
  faults_.begins_that_fail = 1;
  EXPECT_EQ(run_batch(), "a begin failed, b begin failed, c begin failed, ");
  append("a");
  EXPECT_EQ(run_batch(), "a ok, ");
  EXPECT_EQ(value_of(*world_.storage, "a"), "x");
  const StorageStatus status = world_.storage->status();
  EXPECT_EQ(status.failures, 3U);
  EXPECT_EQ(status.commits, 1U);
}

TEST(StorageSlow, WhatWaitsForTooLongIsBusy) {
  const TemporaryDirectory directory;
  Faults faults;
  StorageOptions options = faulty(faults);
  options.path = directory.file("test.db");
  options.batch = 1;
  options.timeout = milliseconds(20);
  auto opened = SqlStorage::open(options);
  ASSERT_TRUE(opened);
  auto& storage = **opened;
  faults.delay_ms = 100;
  std::atomic<int> ok{0};
  std::atomic<int> busy{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 5; ++i) {
    threads.emplace_back([&] {
      auto outcome = storage.write_blocking("a", kAppend, "a"s, "x"s);
      if (outcome) ++ok;
      if (!outcome && outcome.error().code == StorageErrorCode::busy) ++busy;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_GE(ok, 1);
  EXPECT_GE(busy, 2);
  EXPECT_EQ(ok + busy, 5);
  faults.delay_ms = 0;
  EXPECT_TRUE(storage.write_blocking("a", kAppend, "a"s, "x"s));
  EXPECT_EQ(value_of(storage, "a").size(), static_cast<std::size_t>(ok) + 1);
}

TEST(StorageDisk, AFullDiskFailsWritesAndHarmsNothing) {
  const TemporaryDirectory directory;
  Faults faults;
  StorageOptions options = faulty(faults);
  options.path = directory.file("test.db");
  World world(options);
  auto& storage = *world.storage;
  ASSERT_TRUE(storage.write_blocking("a", kAppend, "a"s, "x"s));
  faults.max_pages = 60;
  const std::string big(400'000, 'y');
  std::string seen;
  const auto done = [&](const char* name) {
    return [&seen, name](StorageResult<void> outcome) {
      seen +=
          name + (outcome ? " ok, "s : " "s + std::string(to_string(outcome.error().code)) + ", ");
    };
  };
  world.storage->write_then(world.reactor, "a", done("a"), kAppend, "a"s, "x"s);
  world.storage->write_then(world.reactor, "b", done("b"), kAppend, "b"s, big);
  world.storage->write_then(world.reactor, "c", done("c"), kAppend, "c"s, "x"s);
  world.storage->run_batch();
  world.reactor.turn();
  EXPECT_EQ(seen, "a ok, b unavailable, c ok, ");
  EXPECT_EQ(value_of(storage, "a"), "xx");
  EXPECT_EQ(value_of(storage, "b"), "-");
  faults.max_pages = 100'000;  // somebody has made room
  EXPECT_TRUE(storage.write_blocking("b", kAppend, "b"s, big));
  EXPECT_EQ(value_of(storage, "b").size(), big.size());
  auto problems = storage.check();
  ASSERT_TRUE(problems) << problems.error().text;
  EXPECT_EQ(*problems, std::vector<std::string>());
}

}  // namespace
}  // namespace xmppd::test
