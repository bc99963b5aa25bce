// SmQueues over SQL: one row per session, one per stanza that its client has not acknowledged.
#include "storage/stores.h"
#include "xmpp/base/assert.h"

namespace xmppd::sql {
namespace {

std::int64_t milliseconds(xmpp::Duration value) noexcept {
  return std::chrono::duration_cast<std::chrono::milliseconds>(value).count();
}

xmpp::Timestamp timestamp(std::int64_t milliseconds) noexcept {
  return xmpp::Timestamp(std::chrono::milliseconds(milliseconds));
}

}  // namespace

StorageResult<void> SqlSmQueues::put(const SmSessionRecord& session) {
  XMPP_ASSERT(session.jid.is_full());
  return session_.guarded([&] {
    Query upsert = session_.change(
        "INSERT INTO sm_sessions (id, host, username, resource, window_ms, handled, acknowledged,"
        " detached_at_ms, presence, slots) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET handled = excluded.handled,"
        " acknowledged = excluded.acknowledged, detached_at_ms = excluded.detached_at_ms,"
        " presence = excluded.presence, slots = excluded.slots");
    upsert.bind(session.id).bind(session.jid.domain()).bind(session.jid.local());
    upsert.bind(session.jid.resource()).bind(milliseconds(session.window));
    upsert.bind(std::int64_t{session.handled}).bind(std::int64_t{session.acknowledged});
    upsert.bind(milliseconds(session.detached_at.time_since_epoch()));
    upsert.bind_blob(session.presence).bind_blob(session.slots).run();
  });
}

StorageResult<void> SqlSmQueues::append(const std::string& id,
                                        const std::vector<SmStanza>& stanzas) {
  return session_.guarded([&] {
    for (const SmStanza& stanza : stanzas) {
      // Not for a session that has gone meanwhile, with its account for example.
      Query insert = session_.change(
          "INSERT INTO sm_stanzas (id, place, at_ms, stanza) SELECT id, ?, ?, ? FROM sm_sessions"
          " WHERE id = ?");
      insert.bind(static_cast<std::int64_t>(stanza.place));
      insert.bind(milliseconds(stanza.at.time_since_epoch())).bind_blob(stanza.stanza).bind(id);
      insert.run();
    }
  });
}

StorageResult<void> SqlSmQueues::remove_stanzas(const std::string& id) {
  return session_.guarded([&] {
    Query remove = session_.change("DELETE FROM sm_stanzas WHERE id = ?");
    remove.bind(id).run();
  });
}

StorageResult<void> SqlSmQueues::remove(const std::string& id) {
  return session_.guarded([&] {
    // Its stanzas go by ON DELETE CASCADE.
    Query remove = session_.change("DELETE FROM sm_sessions WHERE id = ?");
    remove.bind(id).run();
  });
}

StorageResult<std::vector<SmStored>> SqlSmQueues::load() {
  return session_.guarded([&] {
    std::vector<SmStored> all;
    Query sessions = session_.query(
        "SELECT id, host, username, resource, window_ms, handled, acknowledged, detached_at_ms,"
        " presence, slots FROM sm_sessions ORDER BY id");
    while (sessions.step()) {
      SmSessionRecord& one = all.emplace_back().session;
      one.id = sessions.text(0);
      one.jid = xmpp::Jid::from_prepared(sessions.text(2) + '@' + sessions.text(1) + '/' +
                                         sessions.text(3));
      one.window = std::chrono::milliseconds(sessions.integer(4));
      one.handled = static_cast<std::uint32_t>(sessions.integer(5));
      one.acknowledged = static_cast<std::uint32_t>(sessions.integer(6));
      one.detached_at = timestamp(sessions.integer(7));
      one.presence = sessions.text(8);
      one.slots = sessions.text(9);
    }
    // Both in the order of the sessions: one pass.
    Query stanzas =
        session_.query("SELECT id, place, at_ms, stanza FROM sm_stanzas ORDER BY id, place");
    auto at = all.begin();
    while (stanzas.step()) {
      const std::string id = stanzas.text(0);
      while (at != all.end() && at->session.id < id) ++at;
      if (at == all.end()) throw DataError("a stanza of no session");
      at->stanzas.push_back({.place = static_cast<std::uint64_t>(stanzas.integer(1)),
                             .at = timestamp(stanzas.integer(2)),
                             .stanza = stanzas.text(3)});
    }
    return all;
  });
}

}  // namespace xmppd::sql
