// See xmpp/base/secret.h.
#include "xmpp/base/secret.h"

#include <string.h>  // explicit_bzero is not in <cstring>

namespace xmpp {

bool equal_constant_time(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return false;
  // volatile keeps the optimiser from leaving the loop at the first difference.
  volatile unsigned char difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference = static_cast<unsigned char>(
        difference | (static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i])));
  }
  return difference == 0;
}

void wipe(std::string& text) noexcept {
  // The whole capacity: a string that was moved from or shortened still holds the old bytes behind
  // its end (in its small buffer, for instance). Growing to the capacity never allocates.
  text.resize(text.capacity());
  explicit_bzero(text.data(), text.size());
  text.clear();
}

}  // namespace xmpp
