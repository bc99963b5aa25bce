// What differs between the configuration that runs and a new one, and how much of it can take
// effect without a restart.
//
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"
#include "xmppd/export.h"

namespace xmppd {

struct ConfigChange {
  enum class Kind : std::uint8_t { added, removed, changed };
  std::string key;  // "host.\"example.org\".profile"
  Kind kind = Kind::changed;
  std::string from;  // empty if added
  std::string to;    // empty if removed
  bool needs_restart = false;
};
[[nodiscard]] std::string_view to_string(ConfigChange::Kind kind) noexcept;

// In the order of the file's sections; hosts and profiles by name.
[[nodiscard]] XMPPD_API std::vector<ConfigChange> compare_configs(const Config& running,
                                                                  const Config& fresh);
// `fresh` with everything that needs a restart as it runs.
[[nodiscard]] XMPPD_API Config applicable_config(const Config& running, Config fresh);

}  // namespace xmppd
