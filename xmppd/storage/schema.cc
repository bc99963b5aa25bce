// See storage/schema.h.
#include "storage/schema.h"

#include <array>
#include <string>

#include "xmpp/base/assert.h"

namespace xmppd::sql {
namespace {

constexpr std::array kMigrations = {
    // accounts.key_hashes and scram_keys.hash are bits, see sql_accounts.cc; the index makes "which
    // hashes
    // does every enabled account have" eight look-ups however many accounts there are.
    Migration{1, "accounts and server secrets", R"(
CREATE TABLE accounts (
  host TEXT NOT NULL,
  username TEXT NOT NULL,
  enabled INTEGER NOT NULL,
  created_at_ms INTEGER NOT NULL,
  key_hashes INTEGER NOT NULL,
  PRIMARY KEY (host, username)
) WITHOUT ROWID;
CREATE INDEX accounts_by_key_hashes ON accounts (host, enabled, key_hashes);
CREATE TABLE scram_keys (
  host TEXT NOT NULL,
  username TEXT NOT NULL,
  hash INTEGER NOT NULL,
  salt BLOB NOT NULL,
  iterations INTEGER NOT NULL,
  stored_key BLOB NOT NULL,
  server_key BLOB NOT NULL,
  PRIMARY KEY (host, username, hash),
  FOREIGN KEY (host, username) REFERENCES accounts (host, username) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE TABLE key_value (
  space TEXT NOT NULL,
  key TEXT NOT NULL,
  value BLOB NOT NULL,
  PRIMARY KEY (space, key)
) WITHOUT ROWID;
)"},
    // A contact is an item of the roster (listed), a waiting request, or both. Versions start at
    // the
    // account's time of creation, so that an account made anew does not repeat them.
    Migration{2, "rosters", R"(
CREATE TABLE roster_contacts (
  host TEXT NOT NULL,
  username TEXT NOT NULL,
  contact TEXT NOT NULL,
  listed INTEGER NOT NULL,
  name TEXT NOT NULL,
  subscription INTEGER NOT NULL,
  asked INTEGER NOT NULL,
  approved INTEGER NOT NULL,
  request BLOB NOT NULL,
  PRIMARY KEY (host, username, contact),
  FOREIGN KEY (host, username) REFERENCES accounts (host, username) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE TABLE roster_groups (
  host TEXT NOT NULL,
  username TEXT NOT NULL,
  contact TEXT NOT NULL,
  name TEXT NOT NULL,
  PRIMARY KEY (host, username, contact, name),
  FOREIGN KEY (host, username, contact)
    REFERENCES roster_contacts (host, username, contact) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE TABLE roster_versions (
  host TEXT NOT NULL,
  username TEXT NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (host, username),
  FOREIGN KEY (host, username) REFERENCES accounts (host, username) ON DELETE CASCADE
) WITHOUT ROWID;
)"},
    // The index holds all that the limits are counted by, so that no stanza is read for it.
    Migration{3, "offline messages", R"(
CREATE TABLE offline_messages (
  host TEXT NOT NULL,
  username TEXT NOT NULL,
  number INTEGER NOT NULL,
  sender TEXT NOT NULL,
  received_at_ms INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  stanza BLOB NOT NULL,
  PRIMARY KEY (host, username, number),
  FOREIGN KEY (host, username) REFERENCES accounts (host, username) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX offline_messages_by_sender ON offline_messages (host, username, sender, bytes);
)"},
    Migration{4, "data of accounts", R"(
CREATE TABLE account_data (
  host TEXT NOT NULL,
  username TEXT NOT NULL,
  space TEXT NOT NULL,
  key TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  value BLOB NOT NULL,
  PRIMARY KEY (host, username, space, key),
  FOREIGN KEY (host, username) REFERENCES accounts (host, username) ON DELETE CASCADE
) WITHOUT ROWID;
)"},
    // Sessions that may be resumed, and what their clients have not acknowledged.
    Migration{5, "sessions to be resumed", R"(
CREATE TABLE sm_sessions (
  id TEXT NOT NULL,
  host TEXT NOT NULL,
  username TEXT NOT NULL,
  resource TEXT NOT NULL,
  window_ms INTEGER NOT NULL,
  handled INTEGER NOT NULL,
  acknowledged INTEGER NOT NULL,
  detached_at_ms INTEGER NOT NULL,
  presence BLOB NOT NULL,
  slots BLOB NOT NULL,
  PRIMARY KEY (id),
  FOREIGN KEY (host, username) REFERENCES accounts (host, username) ON DELETE CASCADE
) WITHOUT ROWID;
CREATE INDEX sm_sessions_by_account ON sm_sessions (host, username);
CREATE TABLE sm_stanzas (
  id TEXT NOT NULL,
  place INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  stanza BLOB NOT NULL,
  PRIMARY KEY (id, place),
  FOREIGN KEY (id) REFERENCES sm_sessions (id) ON DELETE CASCADE
) WITHOUT ROWID;
)"},
    Migration{6, "blocked addresses", R"(
CREATE TABLE blocked (
  host TEXT NOT NULL,
  username TEXT NOT NULL,
  jid TEXT NOT NULL,
  PRIMARY KEY (host, username, jid),
  FOREIGN KEY (host, username) REFERENCES accounts (host, username) ON DELETE CASCADE
) WITHOUT ROWID;
)"},
    Migration{7, "last presences", R"(
CREATE TABLE last_presences (
  host TEXT NOT NULL,
  username TEXT NOT NULL,
  presence BLOB NOT NULL,
  PRIMARY KEY (host, username),
  FOREIGN KEY (host, username) REFERENCES accounts (host, username) ON DELETE CASCADE
) WITHOUT ROWID;
)"},
};

}  // namespace

std::span<const Migration> migrations() noexcept {
  return kMigrations;
}

int schema_version(Session& session) {
  session.execute(
      "CREATE TABLE IF NOT EXISTS schema_migrations"
      " (number INTEGER PRIMARY KEY, name TEXT NOT NULL)");
  return recorded_schema(session);
}

int recorded_schema(Session& session) {
  Query newest = session.query("SELECT COALESCE(MAX(number), 0) FROM schema_migrations");
  newest.step();
  return static_cast<int>(newest.integer(0));
}

int migrate(Session& session, std::span<const Migration> steps) {
  const int version = schema_version(session);
  if (version > static_cast<int>(steps.size())) {
    throw DataError("its schema is number " + std::to_string(version) + ", this xmppd knows " +
                    std::to_string(steps.size()) + ": run the newer xmppd that wrote it");
  }
  for (const Migration& step : steps.subspan(static_cast<std::size_t>(version))) {
    session.begin_write();
    try {
      session.execute(step.statements);
      Query note = session.change("INSERT INTO schema_migrations (number, name) VALUES (?, ?)");
      note.bind(std::int64_t{step.number}).bind(step.name).run();
    } catch (...) {
      session.rollback();
      throw;
    }
    session.commit();
  }
  return static_cast<int>(steps.size()) - version;
}

}  // namespace xmppd::sql
