// A module without fault, which stays attachable beside the faulty ones.
#include "xmppd/module.h"

namespace xmppd::mod::sound {

class Sound final : public Module {
 public:
  void attach(Scope&) override {}
};
XMPPD_MODULE(Sound, {.name = "sound", .summary = "Nothing is wrong"});

}  // namespace xmppd::mod::sound
