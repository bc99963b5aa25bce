// The storage on a disk that fails and crashes: what was committed is there, the rest was there or
// not as a whole, and the database stays sound.
#include "sim/sim_vfs.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "../conformance/storage_fixture.h"

namespace sim {
namespace {

using xmppd::StorageOptions;
using xmppd::StorageResult;
using xmppd::Tx;
using xmppd::test::World;

// Two values that stand or fall together.
constexpr auto kPutTwice = [](Tx& tx, const std::string& key,
                              const std::string& value) -> StorageResult<void> {
  if (auto put = tx.key_value().put("first", key, value); !put) return put;
  return tx.key_value().put("second", key, value);
};
constexpr auto kFindBoth = [](Tx& tx, const std::string& key) -> StorageResult<std::string> {
  auto first = tx.key_value().find("first", key);
  if (!first) return xmpp::Err(first.error());
  auto second = tx.key_value().find("second", key);
  if (!second) return xmpp::Err(second.error());
  if (*first != *second) return std::string("TORN");
  return first->value_or("");
};

StorageOptions on(const SimDisk& disk) {
  StorageOptions options;
  options.path = "sim.db";
  options.vfs = disk.name();
  options.readers = 1;
  options.timeout = std::chrono::milliseconds(0);
  return options;
}

// What each key may hold: one value, or several after a write of which nobody knows.
using Model = std::map<std::string, std::set<std::string>>;

class Life {
 public:
  Life(SimDisk& disk, Model& model, xmpp::SeededRng& rng)
      : model_(model), rng_(rng), world_(on(disk)) {}

  void check() {
    for (auto& [key, possible] : model_) {
      auto found = world_.storage->read_blocking("check", kFindBoth, key);
      ASSERT_TRUE(found) << found.error().text;
      ASSERT_EQ(possible.count(*found), 1U) << key << " is " << *found;
      possible = {*found};
    }
    auto problems = world_.storage->check();
    ASSERT_TRUE(problems) << problems.error().text;
    ASSERT_EQ(*problems, std::vector<std::string>());
  }

  // A batch of a few writes; their outcomes go into the model.
  void write() {
    const auto count = 1 + rng_.below(12);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::string key = "k" + std::to_string(rng_.below(30));
      const std::string value = std::to_string(rng_.next_u64()) + std::string(rng_.below(900), 'x');
      auto& possible = model_.try_emplace(key, std::set<std::string>{""}).first->second;
      possible.insert(value);
      world_.storage->write_then(
          world_.reactor, key,
          [this, key, value](const StorageResult<void>& outcome) {
            if (!outcome) return;
            ++committed_;
            // Whatever was unknown before is overwritten; what was asked for later may follow.
            auto& now = model_[key];
            auto& order = order_[key];
            const auto at = std::find(order.begin(), order.end(), value);
            for (auto it = order.begin(); it != at; ++it) now.erase(*it);
            order.erase(order.begin(), at);
          },
          kPutTwice, key, value);
      auto& order = order_[key];
      if (order.empty()) {
        for (const auto& old : possible) {
          if (old != value) order.push_back(old);
        }
      }
      order.push_back(value);
    }
    while (world_.storage->run_batch()) {
    }
    world_.reactor.turn();
  }
  int committed() const { return committed_; }

 private:
  Model& model_;
  xmpp::SeededRng& rng_;
  World world_;
  std::map<std::string, std::vector<std::string>> order_;  // values of a key, oldest first
  int committed_ = 0;
};

// Every write's commit, checkpoint and recovery, cut at a random operation, over and over.
TEST(SimVfs, CrashesAtAnyPointLoseNothingCommitted) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    SimDisk disk("crashing" + std::to_string(seed), seed);
    xmpp::SeededRng rng(seed);
    Model model;
    int committed = 0;
    for (int life = 0; life < 12; ++life) {
      {
        Life now(disk, model, rng);
        now.check();
        if (HasFatalFailure()) {
          FAIL() << "seed " << seed << ", life " << life;
        }
        disk.crash_after(1 + rng.below(300));
        while (!disk.has_crashed()) now.write();
        now.write();  // nothing works any more, and nothing breaks
        committed += now.committed();
      }
      disk.recover();
    }
    EXPECT_GT(committed, 20) << "seed " << seed;
  }
}

TEST(SimVfs, WritesAndSyncsThatFailAreReported) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    SimDisk disk("failing" + std::to_string(seed), seed);
    xmpp::SeededRng rng(seed);
    Model model;
    int committed = 0;
    {
      Life now(disk, model, rng);
      disk.fail(15);
      for (int i = 0; i < 60; ++i) now.write();
      disk.fail(0);
      now.write();  // it has recovered by itself
      committed = now.committed();
      now.check();
      if (HasFatalFailure()) FAIL() << "seed " << seed;
    }
    Life again(disk, model, rng);
    again.check();
    if (HasFatalFailure()) FAIL() << "seed " << seed;
    EXPECT_GT(committed, 20);
  }
}

TEST(SimVfs, AFullDiskRecoversWhenThereIsRoom) {
  SimDisk disk("full", 1);
  xmpp::SeededRng rng(1);
  Model model;
  Life now(disk, model, rng);
  now.write();
  disk.set_size(250'000);
  const int before = now.committed();
  for (int i = 0; i < 200; ++i) now.write();
  const int during = now.committed();
  disk.set_size(0);
  for (int i = 0; i < 10; ++i) now.write();
  EXPECT_GT(during, before);
  EXPECT_GE(now.committed(), during + 10);
  now.check();
}

TEST(SimVfs, TheSameSeedGivesTheSameDisk) {
  const auto run = [](const std::string& name) {
    SimDisk disk(name, 7);
    xmpp::SeededRng rng(7);
    Model model;
    Life now(disk, model, rng);
    disk.crash_after(120);
    while (!disk.has_crashed()) now.write();
    return std::pair(disk.operations(), now.committed());
  };
  EXPECT_EQ(run("one"), run("two"));
}

}  // namespace
}  // namespace sim
