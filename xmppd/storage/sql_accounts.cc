// Accounts over SQL: one row per account, one per SCRAM hash that it has keys for.
//
// Invariant: accounts.key_hashes has exactly the bits of the account's rows in scram_keys.
#include <array>
#include <chrono>

#include "storage/stores.h"
#include "xmpp/base/assert.h"

namespace xmppd::sql {
namespace {

using xmpp::Jid;
using xmpp::sasl::ScramHash;
using xmpp::sasl::ScramHashSet;
using xmpp::sasl::ScramKeys;

// How hashes are stored: never change a number.
struct HashBit {
  ScramHash hash;
  std::int64_t bit;
};
constexpr std::array kHashBits = {HashBit{ScramHash::sha1, 1}, HashBit{ScramHash::sha256, 2},
                                  HashBit{ScramHash::sha512, 4}};
constexpr std::int64_t kAllBits = 7;

std::int64_t bit_of(ScramHash hash) {
  for (const HashBit& row : kHashBits) {
    if (row.hash == hash) return row.bit;
  }
  throw DataError("a SCRAM hash that has no number in the database");
}

ScramHash hash_of(std::int64_t bit) {
  for (const HashBit& row : kHashBits) {
    if (row.bit == bit) return row.hash;
  }
  throw DataError("unknown SCRAM hash " + std::to_string(bit) + " in the database");
}

std::int64_t bits_of(const std::vector<ScramKeys>& keys) {
  std::int64_t bits = 0;
  for (const ScramKeys& one : keys) bits |= bit_of(one.hash);
  return bits;
}

std::int64_t to_ms(xmpp::Timestamp at) noexcept {
  return std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
}

xmpp::Timestamp from_ms(std::int64_t ms) noexcept {
  return timestamp_from(ms);
}

// REQUIRES: `jid` is the address of an account.
void check(const Jid& jid) noexcept {
  XMPP_ASSERT(!jid.local().empty() && jid.is_bare());
}

}  // namespace

StorageResult<bool> SqlAccounts::create(const AccountRecord& account) {
  check(account.jid);
  return session_.guarded([&] {
    Query insert = session_.change(
        "INSERT INTO accounts (host, username, enabled, created_at_ms, key_hashes)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");
    insert.bind(account.jid.domain()).bind(account.jid.local());
    insert.bind(std::int64_t{account.is_enabled}).bind(to_ms(account.created_at));
    insert.bind(bits_of(account.keys));
    if (insert.run() == 0) return false;
    insert_keys(account.jid, account.keys);
    return true;
  });
}

void SqlAccounts::insert_keys(const Jid& jid, const std::vector<ScramKeys>& keys) {
  for (const ScramKeys& one : keys) {
    Query insert = session_.change(
        "INSERT INTO scram_keys (host, username, hash, salt, iterations, stored_key, server_key)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)");
    insert.bind(jid.domain()).bind(jid.local()).bind(bit_of(one.hash)).bind_blob(one.salt);
    insert.bind(std::int64_t{one.iterations}).bind_blob(one.stored_key).bind_blob(one.server_key);
    insert.post();
  }
}

StorageResult<std::optional<AccountRecord>> SqlAccounts::find(const Jid& jid) {
  check(jid);
  return session_.guarded([&] {
    Query select = session_.query(
        "SELECT a.enabled, a.created_at_ms, k.hash, k.salt, k.iterations, k.stored_key,"
        " k.server_key FROM accounts a LEFT JOIN scram_keys k"
        " ON k.host = a.host AND k.username = a.username WHERE a.host = ? AND a.username = ?");
    select.bind(jid.domain()).bind(jid.local());
    std::optional<AccountRecord> found;
    while (select.step()) {
      if (!found)
        found = AccountRecord{jid, select.integer(0) != 0, from_ms(select.integer(1)), {}};
      if (select.is_null(2)) continue;  // no keys at all
      ScramKeys keys;
      keys.hash = hash_of(select.integer(2));
      keys.salt = select.text(3);
      keys.iterations = static_cast<std::uint32_t>(select.integer(4));
      keys.stored_key = select.text(5);
      keys.server_key = select.text(6);
      found->keys.push_back(std::move(keys));
    }
    return found;
  });
}

StorageResult<bool> SqlAccounts::exists(const Jid& jid) {
  check(jid);
  return session_.guarded([&] {
    Query select = session_.query("SELECT 1 FROM accounts WHERE host = ? AND username = ?");
    return select.bind(jid.domain()).bind(jid.local()).step();
  });
}

StorageResult<bool> SqlAccounts::remove(const Jid& jid) {
  check(jid);
  return session_.guarded([&] {
    // The keys go by ON DELETE CASCADE.
    Query remove = session_.change("DELETE FROM accounts WHERE host = ? AND username = ?");
    return remove.bind(jid.domain()).bind(jid.local()).run() > 0;
  });
}

StorageResult<std::vector<AccountSummary>> SqlAccounts::list(std::string_view host,
                                                             std::string_view after,
                                                             std::size_t limit) {
  return session_.guarded([&] {
    Query select = session_.query(
        "SELECT username, enabled, created_at_ms FROM accounts WHERE host = ? AND username > ?"
        " ORDER BY username LIMIT ?");
    select.bind(host).bind(after).bind(static_cast<std::int64_t>(limit));
    std::vector<AccountSummary> accounts;
    while (select.step()) {
      const std::string address = select.text(0) + "@" + std::string(host);
      accounts.push_back(
          {Jid::from_prepared(address), select.integer(1) != 0, from_ms(select.integer(2))});
    }
    return accounts;
  });
}

StorageResult<bool> SqlAccounts::set_keys(const Jid& jid, const std::vector<ScramKeys>& keys) {
  check(jid);
  return session_.guarded([&] {
    Query update =
        session_.change("UPDATE accounts SET key_hashes = ? WHERE host = ? AND username = ?");
    if (update.bind(bits_of(keys)).bind(jid.domain()).bind(jid.local()).run() == 0) return false;
    Query remove = session_.change("DELETE FROM scram_keys WHERE host = ? AND username = ?");
    remove.bind(jid.domain()).bind(jid.local()).post();
    insert_keys(jid, keys);
    return true;
  });
}

StorageResult<bool> SqlAccounts::set_enabled(const Jid& jid, bool is_enabled) {
  check(jid);
  return session_.guarded([&] {
    Query update =
        session_.change("UPDATE accounts SET enabled = ? WHERE host = ? AND username = ?");
    return update.bind(std::int64_t{is_enabled}).bind(jid.domain()).bind(jid.local()).run() > 0;
  });
}

StorageResult<std::uint64_t> SqlAccounts::count(std::string_view host) {
  return session_.guarded([&] {
    Query select = session_.query("SELECT COUNT(*) FROM accounts WHERE host = ?");
    select.bind(host).step();
    return static_cast<std::uint64_t>(select.integer(0));
  });
}

StorageResult<ScramHashSet> SqlAccounts::common_hashes(std::string_view host) {
  return session_.guarded([&] {
    Query select = session_.query(
        "WITH sets (bits) AS (VALUES (0), (1), (2), (3), (4), (5), (6), (7))"
        " SELECT bits FROM sets WHERE EXISTS (SELECT 1 FROM accounts"
        " WHERE host = ? AND enabled = 1 AND key_hashes = bits)");
    select.bind(host);
    std::int64_t common = kAllBits;
    while (select.step()) common &= select.integer(0);
    ScramHashSet hashes;
    for (const HashBit& row : kHashBits) {
      if ((common & row.bit) != 0) hashes.add(row.hash);
    }
    return hashes;
  });
}

StorageResult<std::vector<IterationCount>> SqlAccounts::iteration_counts(std::string_view host,
                                                                         std::size_t sample) {
  return session_.guarded([&] {
    Query select = session_.query(
        "SELECT iterations, COUNT(*) FROM"
        " (SELECT iterations FROM scram_keys WHERE host = ? LIMIT ?) AS sampled"
        " GROUP BY iterations ORDER BY iterations DESC");
    select.bind(host).bind(static_cast<std::int64_t>(sample));
    std::vector<IterationCount> counts;
    while (select.step()) {
      counts.push_back({static_cast<std::uint32_t>(select.integer(0)),
                        static_cast<std::uint64_t>(select.integer(1))});
    }
    return counts;
  });
}

}  // namespace xmppd::sql
