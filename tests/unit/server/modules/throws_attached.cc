// Its attach() throws after it has registered something.
#include <stdexcept>

#include "xmppd/module.h"

namespace xmppd::mod::throws_attached {

class ThrowsAttached final : public Module {
 public:
  void attach(Scope& scope) override {
    scope.feature("urn:example:half-way");
    scope.on<ToAccount>(Stage::filter, [](ToAccount&) { return Verdict::pass; });
    throw std::runtime_error("no luck when attached");
  }
};
XMPPD_MODULE(ThrowsAttached, {.name = "throws_attached", .summary = ""});

}  // namespace xmppd::mod::throws_attached
