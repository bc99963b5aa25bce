// A host as the database keeps it: a row of the key-value space "hosts", its name and a text.
//
// Thread-safety: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "core/config.h"

namespace xmppd {

inline constexpr std::string_view kHostSpace = "hosts";

// "profile=default\ncertificate=/etc/a.crt\nkey=/etc/a.key\n". REQUIRES: no line ends in it.
[[nodiscard]] std::string format_stored_host(const HostConfig& host);
// Keys that it does not know are passed over: a newer server wrote them.
[[nodiscard]] HostConfig parse_stored_host(std::string_view name, std::string_view text);

}  // namespace xmppd
