// Atoms: well-known element names, attribute names and namespaces as 16-bit integers, so that
// matching is integer comparison. atoms.def lists them once; it is append-only within an ABI
// number. Names that it does not know have Atom::unknown and compare as text, so third-party
// modules need no rebuild.
//
// Thread-safety: constant data.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

#include "xmpp/core/namespaces.h"

namespace xmpp::xml {

enum class Atom : std::uint16_t {
  unknown = 0,
#define XMPP_ATOM(symbol, text) symbol,
#include "xmpp/xml/atoms.def"
#undef XMPP_ATOM
  count_
};

namespace detail {

inline constexpr std::size_t kAtomCount = static_cast<std::size_t>(Atom::count_);
inline constexpr std::size_t kAtomSlotBits = 11;
inline constexpr std::size_t kAtomSlots = std::size_t{1} << kAtomSlotBits;
static_assert(kAtomCount * 4 < kAtomSlots, "the probe sequences would get long");

inline constexpr std::array<std::string_view, kAtomCount> kAtomTexts = {
    std::string_view{},
#define XMPP_ATOM(symbol, text) std::string_view{text},
#include "xmpp/xml/atoms.def"
#undef XMPP_ATOM
};

// The first `Size` bytes at `bytes`, least significant first.
template <std::size_t Size>
constexpr std::uint64_t load_bytes(const char* bytes) noexcept {
  if (!std::is_constant_evaluated() && std::endian::native == std::endian::little) {
    std::conditional_t<Size == 8, std::uint64_t, std::uint32_t> word = 0;
    std::memcpy(&word, bytes, Size);
    return word;
  }
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < Size; ++i) {
    word |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  }
  return word;
}

// Ends of the text and its length; that tells the texts of atoms.def apart, and costs the same for
// a long namespace as for a short name. Nobody can aim at a bucket: the table is fixed.
constexpr std::size_t atom_slot(std::string_view text) noexcept {
  const std::size_t size = text.size();
  const char* data = text.data();
  std::uint64_t head = 0;
  std::uint64_t tail = 0;
  if (size >= 8) {
    head = load_bytes<8>(data);
    tail = load_bytes<8>(data + size - 8);
  } else if (size >= 4) {
    head = load_bytes<4>(data);
    tail = load_bytes<4>(data + size - 4);
  } else if (size > 0) {
    head = static_cast<unsigned char>(data[0]);
    tail = static_cast<std::uint64_t>(static_cast<unsigned char>(data[size / 2])) << 8 |
           static_cast<unsigned char>(data[size - 1]);
  }
  std::uint64_t mixed = (head * 0x9E3779B97F4A7C15U) ^ ((tail + size) * 0xC2B2AE3D27D4EB4FU);
  mixed ^= mixed >> 29;
  mixed *= 0xBF58476D1CE4E5B9U;
  return static_cast<std::size_t>(mixed >> (64 - kAtomSlotBits));
}

// Open addressing with linear probing. A text listed twice does not compile.
constexpr std::array<std::uint16_t, kAtomSlots> make_atom_table() {
  std::array<std::uint16_t, kAtomSlots> table{};
  for (std::size_t atom = 1; atom < kAtomCount; ++atom) {
    std::size_t slot = atom_slot(kAtomTexts[atom]);
    while (table[slot] != 0) {
      if (kAtomTexts[table[slot]] == kAtomTexts[atom]) throw "atoms.def lists a text twice";
      slot = (slot + 1) % kAtomSlots;
    }
    table[slot] = static_cast<std::uint16_t>(atom);
  }
  return table;
}

inline constexpr std::array<std::uint16_t, kAtomSlots> kAtomTable = make_atom_table();

}  // namespace detail

// The atom of `text`, or Atom::unknown. Usable in constant expressions; O(1).
[[nodiscard]] constexpr Atom find_atom(std::string_view text) noexcept {
  if (text.empty()) return Atom::unknown;
  std::size_t slot = detail::atom_slot(text);
  while (true) {
    const std::uint16_t atom = detail::kAtomTable[slot];
    if (atom == 0) return Atom::unknown;
    if (detail::kAtomTexts[atom] == text) return static_cast<Atom>(atom);
    slot = (slot + 1) % detail::kAtomSlots;
  }
}

// The text of an atom; empty for Atom::unknown.
[[nodiscard]] constexpr std::string_view atom_text(Atom atom) noexcept {
  return detail::kAtomTexts[static_cast<std::size_t>(atom)];
}

// An expanded name to match against: namespace and local name, with their atoms.
struct Name {
  std::string_view ns;
  std::string_view local;
  Atom ns_atom = Atom::unknown;
  Atom local_atom = Atom::unknown;

  constexpr Name(std::string_view ns_text, std::string_view local_text) noexcept
      : ns(ns_text),
        local(local_text),
        ns_atom(find_atom(ns_text)),
        local_atom(find_atom(local_text)) {}
};

}  // namespace xmpp::xml
