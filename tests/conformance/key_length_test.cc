// How long the keys of rows may be: the same on every kind of database.
#include <gtest/gtest.h>

#include <array>

#include "storage_fixture.h"
#include "support/postgres.h"
#include "xmpp/base/random.h"

namespace xmppd::test {
namespace {

using Jids = std::vector<xmpp::Jid>;
using Groups = std::vector<std::string>;

constexpr std::size_t kPartMax = 1'023;  // RFC 7622 3: of each part of an address

// Nothing that a database could compress.
std::string letters(std::size_t size) {
  static xmpp::SeededRng rng(7);
  std::string text;
  while (text.size() < size) text += static_cast<char>('a' + rng.below(26));
  return text;
}

xmpp::Jid address(std::size_t local, std::size_t domain) {
  return jid(letters(local) + '@' + letters(domain));
}

class KeyLength : public testing::TestWithParam<bool> {
 protected:
  KeyLength() : world_(options()) {}
  StorageOptions options() {
    StorageOptions options;
    if (GetParam()) {
      schema_ = std::make_unique<PostgresSchema>();
      options.driver = sql::DriverKind::postgresql;
      options.connection = xmpp::Secret(schema_->connection());
    }
    return options;
  }

  // The outcome in a word.
  template <typename F, typename... Args>
  std::string write(F fn, Args... args) {
    auto outcome = world_.storage->write_blocking("test", fn, std::move(args)...);
    return outcome ? "ok" : std::string(to_string(outcome.error().code));
  }
  std::string create(const xmpp::Jid& who) {
    return write([](Tx& tx, const AccountRecord& a) { return tx.accounts().create(a); },
                 account(std::string(who.str()), {xmpp::sasl::ScramHash::sha1}));
  }
  std::string put_contact(const xmpp::Jid& who, const xmpp::Jid& jid, Groups groups) {
    RosterContact contact;
    contact.jid = jid;
    contact.is_listed = true;
    contact.groups = std::move(groups);
    return write(
        [](Tx& tx, const xmpp::Jid& a, const RosterContact& c) { return tx.rosters().put(a, c); },
        who, contact);
  }
  std::string put_request(const xmpp::Jid& who, const xmpp::Jid& jid) {
    RosterContact contact;
    contact.jid = jid;
    contact.request = "<presence/>";
    return write(
        [](Tx& tx, const xmpp::Jid& a, const RosterContact& c) { return tx.rosters().put(a, c); },
        who, contact);
  }
  std::string block(const xmpp::Jid& who, Jids jids) {
    return write(
        [](Tx& tx, const xmpp::Jid& a, const Jids& j) { return tx.blocklists().add(a, j); }, who,
        std::move(jids));
  }
  std::string put_data(const xmpp::Jid& who, const std::string& key) {
    return write(
        [](Tx& tx, const xmpp::Jid& a, const std::string& k) {
          return tx.account_data().put(a, "space", k, "value", {.entries = 9, .bytes = 999});
        },
        who, key);
  }
  std::string put_value(const std::string& key) {
    return write(
        [](Tx& tx, const std::string& k) { return tx.key_value().put("space", k, "value"); }, key);
  }
  std::string put_message(const xmpp::Jid& who, const xmpp::Jid& sender) {
    OfflineMessage message;
    message.sender = sender;
    message.stanza = "<message/>";
    return write(
        [](Tx& tx, const xmpp::Jid& a, const OfflineMessage& m) {
          return tx.offline().add(a, m, {.messages = 9, .messages_per_sender = 9, .bytes = 999});
        },
        who, message);
  }

  std::unique_ptr<PostgresSchema> schema_;
  World world_;
};

INSTANTIATE_TEST_SUITE_P(Databases, KeyLength, testing::Bool(),
                         [](const auto& is) { return is.param ? "postgresql" : "sqlite"; });

// An account of an everyday name.
TEST_P(KeyLength, TheLongestAddresses) {
  const auto alice = jid("alice@localhost");
  ASSERT_EQ(create(alice), "ok");
  const auto longest = address(kPartMax, kPartMax);
  EXPECT_EQ(put_contact(alice, longest, {}), "ok");
  EXPECT_EQ(put_contact(alice, longest, {letters(500)}), "ok");
  EXPECT_EQ(put_contact(alice, longest, {letters(kPartMax)}), "constraint");
  EXPECT_EQ(put_contact(alice, address(500, 500), {letters(kPartMax)}), "ok");
  EXPECT_EQ(put_request(alice, address(kPartMax, kPartMax)), "ok");
  EXPECT_EQ(put_message(alice, address(kPartMax, kPartMax)), "ok");
  EXPECT_EQ(block(alice, {longest}), "ok");
  const auto full = jid(std::string(longest.str()) + '/' + letters(kPartMax));
  EXPECT_EQ(block(alice, {full}), "constraint");
  EXPECT_EQ(block(alice, {address(9, 9)}), "ok") << "others go on";
}

// To the byte, so that what modules ask (fits_key()) is what a database can do; an account of the
// longest name works as any other.
TEST_P(KeyLength, TheBoundIsTheSameForAllRows) {
  const auto own = address(kPartMax, kPartMax);
  ASSERT_EQ(create(own), "ok");
  EXPECT_EQ(put_contact(own, jid("alice@localhost"), {"Friends"}), "ok");
  const std::size_t left = kKeyBytesMax - (own.str().size() - 1);
  for (const bool is_too_long : {false, true}) {
    const std::string expected = is_too_long ? "constraint" : "ok";
    const std::size_t size = left + (is_too_long ? 1 : 0);
    const auto other = jid(letters(9) + '@' + letters(size - 10));
    EXPECT_EQ(fits_key(own, other.str()), !is_too_long);
    EXPECT_EQ(put_contact(own, other, {}), expected);
    EXPECT_EQ(put_contact(own, jid("bob@localhost"), {"A", letters(size - 13)}), expected);
    EXPECT_EQ(put_request(own, jid(letters(9) + '@' + letters(size - 10))), expected);
    EXPECT_EQ(put_message(own, other), expected);
    EXPECT_EQ(block(own, {jid("c@localhost"), other}), expected);
    EXPECT_EQ(put_data(own, letters(size - 5)), expected);
    const std::size_t all = kKeyBytesMax - 5 + (is_too_long ? 1 : 0);
    EXPECT_EQ(put_value(letters(all)), expected);
  }
}

}  // namespace
}  // namespace xmppd::test
