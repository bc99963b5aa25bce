// Its constructor throws.
#include <stdexcept>

#include "xmppd/module.h"

namespace xmppd::mod::throws_made {

class ThrowsMade final : public Module {
 public:
  ThrowsMade() { throw std::runtime_error("no luck when made"); }
  void attach(Scope&) override {}
};
XMPPD_MODULE(ThrowsMade, {.name = "throws_made", .summary = ""});

}  // namespace xmppd::mod::throws_made
