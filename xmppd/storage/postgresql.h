// The PostgreSQL driver, over libpq. Private to storage/.
//
// Every connection is in libpq's pipeline mode: BEGIN, posted statements and COMMIT travel together
// with the next statement whose answer is needed, which costs one round trip. A lost connection is
// made anew by begin(), with a pause that doubles while that fails; in the pause begin() fails at
// once.
//
// Thread-safety: one thread at a time.
// Invariant: whatever waits for the server waits for SessionOptions::timeout and two seconds at
// most, execute() excepted.
#pragma once

#include <memory>

#include "storage/driver.h"

namespace xmppd::sql {

[[nodiscard]] std::unique_ptr<Driver> make_postgresql_driver(const SessionOptions& options);

}  // namespace xmppd::sql
