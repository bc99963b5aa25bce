// Atoms: every text is found, nothing else is.
#include "xmpp/xml/atoms.h"

#include <gtest/gtest.h>

#include <string>

namespace xmpp::xml {
namespace {

static_assert(find_atom("message") == Atom::message);
static_assert(Name("jabber:client", "nobody").local_atom == Atom::unknown);

TEST(Atoms, EveryTextIsFoundAtRunTime) {
  for (std::size_t i = 1; i < static_cast<std::size_t>(Atom::count_); ++i) {
    const auto atom = static_cast<Atom>(i);
    const std::string text(atom_text(atom));
    EXPECT_EQ(find_atom(text), atom) << text;
    EXPECT_EQ(find_atom(text + "x"), Atom::unknown) << text;
  }
  EXPECT_EQ(find_atom(""), Atom::unknown);
  EXPECT_EQ(atom_text(Atom::unknown), "");
}

TEST(Atoms, NoLookUpProbesFar) {
  std::size_t longest = 0;
  std::size_t run = 0;
  for (const std::uint16_t atom : detail::kAtomTable) {
    run = atom == 0 ? 0 : run + 1;
    longest = std::max(longest, run);
  }
  EXPECT_LT(longest, 16U);
}

}  // namespace
}  // namespace xmpp::xml
