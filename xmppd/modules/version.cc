// XEP-0092 1.1 complete
// Tells the server's name and version.
#include "xmpp/xep/version.h"

#include "xmppd/module.h"

namespace xmppd::mod::version {

class Version final : public Module {
 public:
  void attach(Scope& scope) override {
    scope.feature(xmpp::ns::version);
    scope.on_iq<xmpp::xep::SoftwareVersion>(
        Target::host, IqKind::get, [this](IqCall&, const xmpp::xep::SoftwareVersion&) {
          xmpp::xep::SoftwareVersion answer{.name = "xmppd",
                                            .version = std::string(server_version())};
          if (*show_os_) answer.os = "Linux";
          return IqReply::with(answer);
        });
  }

 private:
  Option<bool> show_os_{*this, "show_os", false, "Tell the operating system's name too."};
};
XMPPD_MODULE(Version, {.name = "version", .xep = "0092", .summary = "Tells name and version"});

}  // namespace xmppd::mod::version
