// Uses a service without requiring the module that provides it.
#include "xmppd/directed_presence.h"
#include "xmppd/module.h"

namespace xmppd::mod::wants_service {

class WantsService final : public Module {
 public:
  void attach(Scope& scope) override { (void)scope.use<DirectedPresence>(); }
};
XMPPD_MODULE(WantsService, {.name = "wants_service", .summary = ""});

}  // namespace xmppd::mod::wants_service
