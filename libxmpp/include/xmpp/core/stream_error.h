// The stream error conditions of RFC 6120 4.9.3, as data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace xmpp {

enum class StreamCondition : std::uint8_t {
  bad_format,
  bad_namespace_prefix,
  conflict,
  connection_timeout,
  host_gone,
  host_unknown,
  improper_addressing,
  internal_server_error,
  invalid_from,
  invalid_namespace,
  invalid_xml,
  not_authorized,
  not_well_formed,
  policy_violation,
  remote_connection_failed,
  reset,
  resource_constraint,
  restricted_xml,
  see_other_host,
  system_shutdown,
  undefined_condition,
  unsupported_encoding,
  unsupported_feature,
  unsupported_stanza_type,
  unsupported_version,
};

[[nodiscard]] std::string_view to_string(StreamCondition condition) noexcept;
[[nodiscard]] std::optional<StreamCondition> parse_stream_condition(std::string_view text) noexcept;

struct StreamError {
  StreamCondition condition = StreamCondition::undefined_condition;
  std::string text;  // optional, for people
};

}  // namespace xmpp
