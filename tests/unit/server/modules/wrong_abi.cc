// As if it had been built against the headers of another version.
#include "xmppd/export.h"
#undef XMPPD_ABI
#define XMPPD_ABI 9999
#include "xmppd/module.h"

namespace xmppd::mod::wrong_abi {

class WrongAbi final : public Module {
 public:
  void attach(Scope&) override {}
};
XMPPD_MODULE(WrongAbi, {.name = "wrong_abi", .summary = ""});

}  // namespace xmppd::mod::wrong_abi
