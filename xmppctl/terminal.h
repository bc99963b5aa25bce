// The terminal that the administrator sits at.
//
// Thread-safety: one thread.
#pragma once

#include <optional>
#include <string>

namespace xmppctl {

// Asks for a line that is not shown while it is typed; nullopt: standard input is no terminal, or
// it ended.
[[nodiscard]] std::optional<std::string> ask_secret(const std::string& prompt);

}  // namespace xmppctl
