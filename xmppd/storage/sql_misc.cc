// Small stores over SQL: KeyValue, AccountData.
#include "storage/stores.h"

namespace xmppd::sql {

StorageResult<std::optional<std::string>> SqlKeyValue::find(std::string_view space,
                                                            std::string_view key) {
  return session_.guarded([&] {
    Query select = session_.query("SELECT value FROM key_value WHERE space = ? AND key = ?");
    std::optional<std::string> value;
    if (select.bind(space).bind(key).step()) value = select.text(0);
    return value;
  });
}

StorageResult<void> SqlKeyValue::put(std::string_view space, std::string_view key,
                                     std::string_view value) {
  return session_.guarded([&] {
    check_key({}, space, key);
    Query upsert = session_.change(
        "INSERT INTO key_value (space, key, value) VALUES (?, ?, ?)"
        " ON CONFLICT (space, key) DO UPDATE SET value = excluded.value");
    upsert.bind(space).bind(key).bind_blob(value).post();
  });
}

StorageResult<bool> SqlKeyValue::remove(std::string_view space, std::string_view key) {
  return session_.guarded([&] {
    Query remove = session_.change("DELETE FROM key_value WHERE space = ? AND key = ?");
    return remove.bind(space).bind(key).run() > 0;
  });
}

StorageResult<std::optional<std::string>> SqlAccountData::find(const xmpp::Jid& account,
                                                               std::string_view space,
                                                               std::string_view key) {
  return session_.guarded([&] {
    Query select = session_.query(
        "SELECT value FROM account_data WHERE host = ? AND username = ? AND space = ? AND key = ?");
    select.bind(account.domain()).bind(account.local()).bind(space).bind(key);
    std::optional<std::string> value;
    if (select.step()) value = select.text(0);
    return value;
  });
}

StorageResult<bool> SqlAccountData::put(const xmpp::Jid& account, std::string_view space,
                                        std::string_view key, std::string_view value,
                                        const DataLimits& limits) {
  return session_.guarded([&] {
    check_key(account, space, key);
    Query others = session_.query(
        "SELECT COUNT(*), COALESCE(SUM(bytes), 0) FROM account_data"
        " WHERE host = ? AND username = ? AND space = ? AND key <> ?");
    others.bind(account.domain()).bind(account.local()).bind(space).bind(key).step();
    if (static_cast<std::uint64_t>(others.integer(0)) + 1 > limits.entries ||
        static_cast<std::uint64_t>(others.integer(1)) + value.size() > limits.bytes) {
      return false;
    }
    Query upsert = session_.change(
        "INSERT INTO account_data (host, username, space, key, bytes, value)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (host, username, space, key)"
        " DO UPDATE SET bytes = excluded.bytes, value = excluded.value");
    upsert.bind(account.domain()).bind(account.local()).bind(space).bind(key);
    upsert.bind(static_cast<std::int64_t>(value.size())).bind_blob(value).post();
    return true;
  });
}

StorageResult<bool> SqlAccountData::remove(const xmpp::Jid& account, std::string_view space,
                                           std::string_view key) {
  return session_.guarded([&] {
    Query remove = session_.change(
        "DELETE FROM account_data WHERE host = ? AND username = ? AND space = ? AND key = ?");
    return remove.bind(account.domain()).bind(account.local()).bind(space).bind(key).run() > 0;
  });
}

StorageResult<std::vector<KeyValueRow>> SqlKeyValue::list(std::string_view space) {
  return session_.guarded([&] {
    Query select = session_.query("SELECT key, value FROM key_value WHERE space = ? ORDER BY key");
    select.bind(space);
    std::vector<KeyValueRow> rows;
    while (select.step()) rows.push_back({select.text(0), select.text(1)});
    return rows;
  });
}

}  // namespace xmppd::sql
