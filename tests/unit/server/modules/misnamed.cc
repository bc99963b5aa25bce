// Its file has another name than it has.
#include "xmppd/module.h"

namespace xmppd::mod::misnamed {

class Misnamed final : public Module {
 public:
  void attach(Scope&) override {}
};
XMPPD_MODULE(Misnamed, {.name = "another", .summary = ""});

}  // namespace xmppd::mod::misnamed
