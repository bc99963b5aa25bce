// The differences between the databases' SQL. Stores and migrations are written once, in the part
// of SQLite's SQL that this file translates for PostgreSQL; docs/storage.md lists what is portable.
//
// Statements: `?` is a parameter. Upserts (ON CONFLICT ... DO UPDATE), RETURNING, LIMIT, row values
// and WITH are the same in both. Schemas: INTEGER has 64 bits, BLOB is BYTEA, TEXT is compared by
// its bytes, INTEGER PRIMARY KEY AUTOINCREMENT is an identity, WITHOUT ROWID goes away.
//
// Thread-safety: free functions.
#pragma once

#include <string>
#include <string_view>

#include "storage/driver.h"

namespace xmppd::sql {

// A statement of a store in the database's words.
[[nodiscard]] std::string to_dialect(DriverKind kind, std::string_view statement);
// The statements of a migration in the database's words.
[[nodiscard]] std::string schema_to_dialect(DriverKind kind, std::string_view statements);

// The tables of the database, one name per row.
[[nodiscard]] std::string_view list_tables(DriverKind kind) noexcept;
// The columns of the table that is the one parameter, one name per row.
[[nodiscard]] std::string_view list_columns(DriverKind kind) noexcept;

}  // namespace xmppd::sql
