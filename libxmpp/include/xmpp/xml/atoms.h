// Atoms: well-known element names, attribute names and namespaces as 16-bit integers, so that matching is
// integer comparison. atoms.def lists them once; it is append-only within an ABI number. Names that it
// does not know have Atom::unknown and compare as text, so third-party modules need no rebuild.
//
// Thread-safety: constant data.
#pragma once

#include <cstdint>
#include <string_view>

namespace xmpp::xml {

enum class Atom : std::uint16_t {
  unknown = 0,
#define XMPP_ATOM(symbol, text) symbol,
#include "xmpp/xml/atoms.def"
#undef XMPP_ATOM
  count_
};

// The atom of `text`, or Atom::unknown. Usable in constant expressions; O(1).
[[nodiscard]] constexpr Atom find_atom(std::string_view text) noexcept;
// The text of an atom; empty for Atom::unknown.
[[nodiscard]] constexpr std::string_view atom_text(Atom atom) noexcept;

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
