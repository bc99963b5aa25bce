// ASCII tables of address preparation: what stays, what is lowered, what is refused.
//
// Thread-safety: constant data.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace xmpp::prep {

// For each byte: what it becomes in the part, or 0 if the fast path does not know.
using AsciiTable = std::array<char, 256>;

constexpr AsciiTable make_local_table() {
  AsciiTable table{};
  for (int c = 0x21; c <= 0x7E; ++c) {
    const char byte = static_cast<char>(c);
    // RFC 7622 3.3.1
    if (std::string_view("\"&'/:<>@").find(byte) != std::string_view::npos) continue;
    table[static_cast<std::size_t>(c)] =
        (c >= 'A' && c <= 'Z') ? static_cast<char>(c - 'A' + 'a') : byte;
  }
  return table;
}
constexpr AsciiTable make_domain_table() {
  AsciiTable table{};
  for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = static_cast<char>(c);
  for (int c = 'a'; c <= 'z'; ++c) {
    table[static_cast<std::size_t>(c)] = static_cast<char>(c);
    table[static_cast<std::size_t>(c - 'a' + 'A')] = static_cast<char>(c);
  }
  table['-'] = '-';
  table['.'] = '.';
  return table;
}
constexpr AsciiTable make_resource_table() {
  AsciiTable table{};
  for (int c = 0x20; c <= 0x7E; ++c) table[static_cast<std::size_t>(c)] = static_cast<char>(c);
  return table;
}

inline constexpr AsciiTable kLocalTable = make_local_table();
inline constexpr AsciiTable kDomainTable = make_domain_table();
inline constexpr AsciiTable kResourceTable = make_resource_table();

// Maps `from` to `out`; false if a byte is not in the table.
inline bool map_ascii(const AsciiTable& table, std::string_view from, char* out) noexcept {
  unsigned char bad = 0;
  for (std::size_t i = 0; i < from.size(); ++i) {
    const char mapped = table[static_cast<unsigned char>(from[i])];
    bad |= static_cast<unsigned char>(mapped == 0);
    out[i] = mapped;
  }
  return bad == 0;
}

// Labels of letters, digits and hyphens that are no A-labels (RFC 5890 2.3.1: NR-LDH): not empty,
// no hyphen at either end, none in the third and fourth place, at most 63 bytes. REQUIRES: mapped
// by kDomainTable.
inline bool has_plain_labels(std::string_view domain) noexcept {
  std::size_t begin = 0;
  char before = '.';
  for (std::size_t i = 0; i < domain.size(); ++i) {
    const char c = domain[i];
    if (c == '.') {
      if (before == '.' || before == '-' || i - begin > 63) return false;
      begin = i + 1;
    } else if (c == '-') {
      if (before == '.' || (before == '-' && i - begin == 3)) return false;
    }
    before = c;
  }
  return before != '.' && before != '-' && domain.size() - begin <= 63;
}

}  // namespace xmpp::prep
