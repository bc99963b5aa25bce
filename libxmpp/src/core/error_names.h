// Enum <-> text for the RFC's condition names: a table indexed by the enumerator.
//
// Thread-safety: constant data.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace xmpp {

template <typename Enum, std::size_t N>
[[nodiscard]] std::optional<Enum> find_by_name(const std::array<std::string_view, N>& names,
                                               std::string_view name) noexcept {
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] == name) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

}  // namespace xmpp
