// The integrity of a database: its own check, the references between tables, and what the stores
// rely on beyond that.
//
// Thread-safety: the caller's session.
#pragma once

#include <string>
#include <vector>

#include "storage/session.h"

namespace xmppd::sql {

// What is wrong, in words, at most 100; empty: nothing. Reads all of the database, which may take
// long. Throws if it cannot be read.
[[nodiscard]] std::vector<std::string> check_integrity(Session& session);

}  // namespace xmppd::sql
