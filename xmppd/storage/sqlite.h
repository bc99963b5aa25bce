// The SQLite driver, over SQLiteCpp. Private to storage/.
//
// Thread-safety: one thread at a time.
#pragma once

#include <exception>
#include <memory>
#include <optional>

#include "storage/driver.h"

namespace xmppd::sql {

[[nodiscard]] std::unique_ptr<Driver> make_sqlite_driver(const SessionOptions& options);

// nullopt: no exception of SQLiteCpp's.
[[nodiscard]] std::optional<StorageErrorCode> sqlite_code_of(const std::exception& error) noexcept;

}  // namespace xmppd::sql
