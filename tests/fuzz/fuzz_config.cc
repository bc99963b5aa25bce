// Any text as a configuration file: parsed or refused with a message that names a place; never a
// crash. Files that include others are left out: they would read what happens to lie on the disk.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/config.h"
#include "xmpp/base/assert.h"
#include "xmpp/base/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (text.find("include") != std::string_view::npos || !xmpp::utf8::is_ascii(text)) return 0;
  const auto config = xmppd::parse_config(text, "/fuzz/xmppd.toml");
  if (config) {
    XMPP_ASSERT(config->profiles.contains("default") && !config->listen.empty());
    return 0;
  }
  XMPP_ASSERT(!config.error().empty());
  for (const auto& error : config.error()) XMPP_ASSERT(!error.text.empty());
  return 0;
}
