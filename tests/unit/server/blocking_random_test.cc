// Blocking and carbons under random schedules: while an address is blocked, nothing that it sends
// reaches any session of the account, neither itself nor as a copy, and nothing sent to it leaves.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/backstop.h"
#include "core/worker.h"
#include "unit/server/raw_client.h"

namespace xmppd {
namespace {

constexpr std::size_t kAccounts = 3;
constexpr std::size_t kSessions = 2;  // of each

std::string account_name(std::size_t account) {
  return "u" + std::to_string(account);
}

std::string login_as(std::size_t account, std::size_t session) {
  std::string text = login(account_name(account));
  const std::string resource = "<resource>r";
  text.insert(text.find(resource) + resource.size(), std::to_string(session));
  return text + "<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>" +
         "<iq type='get' id='l'><blocklist xmlns='urn:xmpp:blocking'/></iq><presence/>";
}

class Chaos {
 public:
  explicit Chaos(std::uint64_t seed) : world_({.seed = seed, .workers = 2}), rng_(seed) {
    for (std::size_t i = 0; i < kAccounts; ++i) world_.add_account(account_name(i) + "@localhost");
    for (std::size_t i = 0; i < kAccounts * kSessions; ++i) {
      clients_.push_back(std::make_unique<RawClient>(world_));
      clients_.back()->write(login_as(i / kSessions, i % kSessions));
    }
    world_.run_for(std::chrono::seconds(1));
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      act();
      world_.run_for(std::chrono::microseconds(rng_.below(3'000)));
    }
    world_.run_for(std::chrono::seconds(2));
    for (auto& [key, block] : blocks_) check(key.first, key.second, block);
  }

  [[nodiscard]] int checked() const { return checked_; }

 private:
  // An account's block of another, asked for by one of its sessions.
  struct Block {
    std::size_t session = 0;
    std::string id;  // of the request; empty: not blocked
  };
  using Pair = std::pair<std::size_t, std::size_t>;

  std::size_t pick(std::size_t below) { return static_cast<std::size_t>(rng_.below(below)); }

  void act() {
    const std::size_t from = pick(kAccounts);
    const std::size_t to = (from + 1 + pick(kAccounts - 1)) % kAccounts;
    RawClient& client = *clients_[from * kSessions + pick(kSessions)];
    const std::string number = std::to_string(++number_);
    std::string jid = account_name(to) + "@localhost";
    const std::size_t dice = pick(10);
    if (dice == 0) {
      change(from, to);
      return;
    }
    if (pick(2) == 0) jid += "/r" + std::to_string(pick(kSessions));
    if (dice == 1) {
      client.write("<presence to='" + jid + "'/>");
    } else if (dice == 2) {
      client.write("<iq type='get' id='q" + number + "' to='" + jid +
                   "'><ping xmlns='urn:xmpp:ping'/></iq>");
    } else {
      client.write("<message type='chat' id='m" + number + "' to='" + jid + "'><body>" +
                   account_name(from) + " " + number + "</body></message>");
    }
  }

  void change(std::size_t from, std::size_t to) {
    Block& block = blocks_[{from, to}];
    const std::string item = "<item jid='" + account_name(to) + "@localhost'/>";
    if (block.id.empty()) {
      // Always the same session of hers: what two of them ask for may change places.
      block = {from * kSessions + to % kSessions, "b" + std::to_string(++number_)};
      clients_[block.session]->write("<iq type='set' id='" + block.id +
                                     "'><block xmlns='urn:xmpp:blocking'>" + item +
                                     "</block></iq>");
      return;
    }
    check(from, to, block);
    clients_[block.session]->write("<iq type='set' id='u'><unblock xmlns='urn:xmpp:blocking'>" +
                                   item + "</unblock></iq>");
    block.id.clear();
  }

  // What its session saw since the block was confirmed.
  void check(std::size_t from, std::size_t to, const Block& block) {
    if (block.id.empty()) return;
    const std::string& seen = clients_[block.session]->seen();
    const std::size_t confirmed = seen.find("id='" + block.id + "' type='result'");
    if (confirmed == std::string::npos) return;
    ++checked_;
    const std::string other = "from='" + account_name(to) + "@localhost";
    for (std::size_t at = seen.find(other, confirmed); at != std::string::npos;
         at = seen.find(other, at + 1)) {
      // Only our own refusals bear that name.
      const std::size_t end = seen.find("</error>", at);
      const bool is_refusal = end != std::string::npos && end - at < 300 &&
                              seen.substr(at, end - at).find("<blocked ") != std::string::npos;
      EXPECT_TRUE(is_refusal) << account_name(from) << " saw " << seen.substr(at, 200);
    }
    const std::string copied = "to='" + account_name(to) + "@localhost";
    EXPECT_EQ(seen.find(copied, confirmed), std::string::npos) << "a copy of what was refused";
  }

  World world_;
  xmpp::SeededRng rng_;
  std::vector<std::unique_ptr<RawClient>> clients_;
  std::map<Pair, Block> blocks_;
  std::uint64_t number_ = 0;
  int checked_ = 0;
};

TEST(BlockingAndCarbons, NothingOfABlockedAddressArrivesUnderAnySchedule) {
  const auto exceptions = exception_count();
  int checked = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Chaos chaos(seed);
    chaos.run(300);
    checked += chaos.checked();
  }
  EXPECT_GT(checked, 50);
  EXPECT_EQ(exception_count(), exceptions);
}

}  // namespace
}  // namespace xmppd
