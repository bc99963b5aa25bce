// Looks at the certificates that a configuration names, for --check-config.
//
// Thread-safety: one thread. Invariant: nothing is written, also where a start would make a
// self-signed certificate.
#pragma once

#include <string>
#include <vector>

#include "core/config.h"
#include "xmppd/export.h"

namespace xmppd {

// What a start would refuse: a file that is missing, unreadable or no PEM, a key of another
// certificate. Each error has the position of its host in the file.
[[nodiscard]] XMPPD_API std::vector<ConfigError> check_certificates(const Config& config);

// The same for one host; empty if there is nothing wrong.
[[nodiscard]] std::string check_certificate(const Config& config, const HostConfig& host);

}  // namespace xmppd
