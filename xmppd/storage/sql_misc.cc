// Small stores over SQL: KeyValue.
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
    Query upsert = session_.change(
        "INSERT INTO key_value (space, key, value) VALUES (?, ?, ?)"
        " ON CONFLICT (space, key) DO UPDATE SET value = excluded.value");
    upsert.bind(space).bind(key).bind_blob(value).run();
  });
}

StorageResult<bool> SqlKeyValue::remove(std::string_view space, std::string_view key) {
  return session_.guarded([&] {
    Query remove = session_.change("DELETE FROM key_value WHERE space = ? AND key = ?");
    return remove.bind(space).bind(key).run() > 0;
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
