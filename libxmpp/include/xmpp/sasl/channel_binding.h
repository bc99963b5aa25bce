// Channel bindings as data: what a TLS layer hands over and a SASL mechanism mixes into its proof.
//
// Specs: RFC 9266 (tls-exporter), RFC 5929 4 (tls-server-end-point), XEP-0440 (the names on the
// wire). Thread-safety: values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace xmpp::sasl {

// Preferred first.
enum class ChannelBindingType : std::uint8_t { tls_exporter, tls_server_end_point };
inline constexpr std::array kChannelBindingTypes = {ChannelBindingType::tls_exporter,
                                                    ChannelBindingType::tls_server_end_point};

[[nodiscard]] std::string_view to_string(ChannelBindingType type) noexcept;
[[nodiscard]] std::optional<ChannelBindingType> parse_channel_binding_type(
    std::string_view text) noexcept;

// The data of every binding type that one connection has; empty means not available. All empty: no
// TLS, or no usable binding.
struct ChannelBindings {
  std::string tls_exporter;
  std::string tls_server_end_point;

  [[nodiscard]] std::string_view find(ChannelBindingType type) const noexcept {
    return type == ChannelBindingType::tls_exporter ? tls_exporter : tls_server_end_point;
  }
  [[nodiscard]] bool has(ChannelBindingType type) const noexcept { return !find(type).empty(); }
  [[nodiscard]] bool is_empty() const noexcept {
    return tls_exporter.empty() && tls_server_end_point.empty();
  }
  // The available types, preferred first: what XEP-0440 advertises.
  [[nodiscard]] std::vector<ChannelBindingType> types() const;
};

}  // namespace xmpp::sasl
