// Names of the stream error conditions, in the order of the enum.
#include "xmpp/core/stream_error.h"

#include "core/error_names.h"

namespace xmpp {
namespace {

constexpr auto kNames = std::to_array<std::string_view>({
    "bad-format",
    "bad-namespace-prefix",
    "conflict",
    "connection-timeout",
    "host-gone",
    "host-unknown",
    "improper-addressing",
    "internal-server-error",
    "invalid-from",
    "invalid-namespace",
    "invalid-xml",
    "not-authorized",
    "not-well-formed",
    "policy-violation",
    "remote-connection-failed",
    "reset",
    "resource-constraint",
    "restricted-xml",
    "see-other-host",
    "system-shutdown",
    "undefined-condition",
    "unsupported-encoding",
    "unsupported-feature",
    "unsupported-stanza-type",
    "unsupported-version",
});
static_assert(kNames.size() == static_cast<std::size_t>(StreamCondition::unsupported_version) + 1);

}  // namespace

std::string_view to_string(StreamCondition condition) noexcept {
  return kNames[static_cast<std::size_t>(condition)];
}

std::optional<StreamCondition> parse_stream_condition(std::string_view text) noexcept {
  return find_by_name<StreamCondition>(kNames, text);
}

}  // namespace xmpp
