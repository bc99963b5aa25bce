// Any text as a configuration file: parsed or refused with a message that names a place; never a
// crash.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/config.h"
#include "xmpp/base/assert.h"

namespace {

// Names of included files are relative to a folder that does not exist. Absolute ones are left out:
// what they name is on the disk of whoever runs this, and may be as endless as /dev/zero. Escapes
// could hide either word, and are toml++'s own affair.
bool reads_other_files(std::string_view text) {
  const auto has = [text](std::string_view part) { return text.find(part) != text.npos; };
  const bool has_escape = has("\\u") || has("\\U");
  return (has_escape || has("include")) && (has_escape || has("/"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (reads_other_files(text)) return 0;
  const auto config = xmppd::parse_config(text, "/fuzz/xmppd.toml");
  if (config) {
    XMPP_ASSERT(config->profiles.contains("default") && !config->listen.empty());
    return 0;
  }
  XMPP_ASSERT(!config.error().empty());
  for (const auto& error : config.error()) XMPP_ASSERT(!error.text.empty());
  return 0;
}
