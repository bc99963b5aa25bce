// Connection strings of PostgreSQL: "host=... dbname=...", or a URI. In a file of its own, since
// the configuration checks them without a database.
//
// Thread-safety: free functions.
#pragma once

#include <optional>
#include <string>

#include "xmpp/base/secret.h"

namespace xmppd::sql {

// The database that it means, for messages: never with a password. nullopt: no connection string.
[[nodiscard]] std::optional<std::string> describe_connection(const xmpp::Secret& connection);

}  // namespace xmppd::sql
