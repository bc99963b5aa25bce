// Calls a function that no library has.
#include "xmppd/module.h"

void nobody_defines_this();

namespace xmppd::mod::missing_symbol {

class MissingSymbol final : public Module {
 public:
  void attach(Scope&) override { nobody_defines_this(); }
};
XMPPD_MODULE(MissingSymbol, {.name = "missing_symbol", .summary = ""});

}  // namespace xmppd::mod::missing_symbol
