// Blocklists over SQL: one row per address.
#include "storage/stores.h"
#include "xmpp/base/assert.h"

namespace xmppd::sql {

using xmpp::Jid;

StorageResult<std::vector<Jid>> SqlBlocklists::load(const Jid& account) {
  return session_.guarded([&] {
    std::vector<Jid> jids;
    Query select =
        session_.query("SELECT jid FROM blocked WHERE host = ? AND username = ? ORDER BY jid");
    select.bind(account.domain()).bind(account.local());
    while (select.step()) jids.push_back(jid_from(select.text(0)));
    return jids;
  });
}

StorageResult<void> SqlBlocklists::add(const Jid& account, const std::vector<Jid>& jids) {
  XMPP_ASSERT(!account.local().empty() && account.is_bare());
  return session_.guarded([&] {
    for (const Jid& jid : jids) {
      check_key(account, jid.str());
      Query insert = session_.change(
          "INSERT INTO blocked (host, username, jid) VALUES (?, ?, ?)"
          " ON CONFLICT (host, username, jid) DO NOTHING");
      insert.bind(account.domain()).bind(account.local()).bind(jid.str()).post();
    }
  });
}

StorageResult<void> SqlBlocklists::remove(const Jid& account, const std::vector<Jid>& jids) {
  return session_.guarded([&] {
    for (const Jid& jid : jids) {
      Query remove =
          session_.change("DELETE FROM blocked WHERE host = ? AND username = ? AND jid = ?");
      remove.bind(account.domain()).bind(account.local()).bind(jid.str()).post();
    }
  });
}

}  // namespace xmppd::sql
