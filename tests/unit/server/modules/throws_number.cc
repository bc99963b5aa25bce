// Its attach() throws what is no std::exception.
#include "xmppd/module.h"

namespace xmppd::mod::throws_number {

class ThrowsNumber final : public Module {
 public:
  void attach(Scope&) override { throw 42; }
};
XMPPD_MODULE(ThrowsNumber, {.name = "throws_number", .summary = ""});

}  // namespace xmppd::mod::throws_number
