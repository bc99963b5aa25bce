// Requires ring_a, which requires it.
#include "xmppd/module.h"

namespace xmppd::mod::ring_b {

class RingB final : public Module {
 public:
  void attach(Scope&) override {}
};
XMPPD_MODULE(RingB, {.name = "ring_b", .summary = "", .requires_modules = {"ring_a"}});

}  // namespace xmppd::mod::ring_b
