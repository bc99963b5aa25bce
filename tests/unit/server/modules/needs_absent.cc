// Requires a module that the profile leaves out.
#include "xmppd/module.h"

namespace xmppd::mod::needs_absent {

class NeedsAbsent final : public Module {
 public:
  void attach(Scope&) override {}
};
XMPPD_MODULE(NeedsAbsent, {.name = "needs_absent", .summary = "", .requires_modules = {"sound"}});

}  // namespace xmppd::mod::needs_absent
