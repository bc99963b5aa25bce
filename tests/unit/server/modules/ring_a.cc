// Requires ring_b, which requires it.
#include "xmppd/module.h"

namespace xmppd::mod::ring_a {

class RingA final : public Module {
 public:
  void attach(Scope&) override {}
};
XMPPD_MODULE(RingA, {.name = "ring_a", .summary = "", .requires_modules = {"ring_b"}});

}  // namespace xmppd::mod::ring_a
