// The database's schema as numbered migrations, in the SQL of storage/dialect.h: one text for both
// databases.
//
// A migration is never changed once released; a change of the schema is a new one at the end.
//
// Thread-safety: the caller's session.
#pragma once

#include <span>

#include "storage/session.h"

namespace xmppd::sql {

struct Migration {
  int number;  // 1, 2, ... without gaps
  const char* name;
  const char* statements;
};

[[nodiscard]] std::span<const Migration> migrations() noexcept;

// The number of the last migration that the database has had; 0 for an empty one, which gets the
// table of migrations. Throws.
[[nodiscard]] int schema_version(Session& session);

// The same of a database that had migrations. Changes nothing; throws.
[[nodiscard]] int recorded_schema(Session& session);

// Applies those of `steps` that are missing, each in a transaction; how many. Throws; DataError if
// the database is newer than `steps`.
int migrate(Session& session, std::span<const Migration> steps);

}  // namespace xmppd::sql
