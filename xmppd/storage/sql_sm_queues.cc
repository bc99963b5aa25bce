// SmQueues over SQL: one row per session, one per stanza that its client has not acknowledged.
#include "storage/stores.h"
#include "xmpp/base/assert.h"

namespace xmppd::sql {

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
    upsert.bind(session.jid.resource()).bind(to_milliseconds(session.window));
    upsert.bind(std::int64_t{session.handled}).bind(std::int64_t{session.acknowledged});
    upsert.bind(to_milliseconds(session.detached_at.time_since_epoch()));
    upsert.bind_blob(session.presence).bind_blob(session.slots).post();
  });
}

StorageResult<void> SqlSmQueues::append(const std::string& id,
                                        const std::vector<SmStanza>& stanzas) {
  return session_.guarded([&] {
    {
      Query session = session_.query("SELECT 1 FROM sm_sessions WHERE id = ?");
      // Not for a session that has gone meanwhile, with its account for example.
      if (!session.bind(id).step()) return;
    }
    for (const SmStanza& stanza : stanzas) {
      Query insert =
          session_.change("INSERT INTO sm_stanzas (id, place, at_ms, stanza) VALUES (?, ?, ?, ?)");
      insert.bind(id).bind(static_cast<std::int64_t>(stanza.place));
      insert.bind(to_milliseconds(stanza.at.time_since_epoch())).bind_blob(stanza.stanza).post();
    }
  });
}

StorageResult<void> SqlSmQueues::remove_stanzas(const std::string& id) {
  return session_.guarded([&] {
    Query remove = session_.change("DELETE FROM sm_stanzas WHERE id = ?");
    remove.bind(id).post();
  });
}

StorageResult<void> SqlSmQueues::remove(const std::string& id) {
  return session_.guarded([&] {
    // Its stanzas go by ON DELETE CASCADE.
    Query remove = session_.change("DELETE FROM sm_sessions WHERE id = ?");
    remove.bind(id).post();
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
      // What is no address stays empty: one damaged row must not keep the others away.
      const auto jid =
          xmpp::Jid::parse(sessions.text(2) + '@' + sessions.text(1) + '/' + sessions.text(3));
      if (jid) one.jid = *jid;
      one.window = duration_from(sessions.integer(4));
      one.handled = static_cast<std::uint32_t>(sessions.integer(5));
      one.acknowledged = static_cast<std::uint32_t>(sessions.integer(6));
      one.detached_at = timestamp_from(sessions.integer(7));
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
                             .at = timestamp_from(stanzas.integer(2)),
                             .stanza = stanzas.text(3)});
    }
    return all;
  });
}

}  // namespace xmppd::sql
