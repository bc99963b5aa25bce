// Sound when it is loaded; its handlers, its hook and its timer throw when they are called.
#include <stdexcept>

#include "xmppd/module.h"

namespace xmppd::mod::throws_called {

namespace {
struct Throw {
  static constexpr auto codec = xmpp::xml::element("urn:example:throw", "throw");
};
struct ThrowLater {
  static constexpr auto codec = xmpp::xml::element("urn:example:throw", "later");
};
}  // namespace

class ThrowsCalled final : public Module {
 public:
  void attach(Scope& scope) override {
    scope.on_iq<Throw>(Target::host, [](IqCall&, const Throw&) -> IqReply {
      throw std::runtime_error("no luck when called");
    });
    scope.on_iq<ThrowLater>(Target::host, [](IqCall&, const ThrowLater&) -> xmpp::Task<IqReply> {
      throw std::runtime_error("no luck before the task");
    });
    scope.on_nonza("urn:example:throw", [](Session&, xmpp::xml::Element) {
      throw std::runtime_error("no luck with an element");
    });
    scope.on<FromSession>(Stage::validate, [](FromSession& hook) -> Verdict {
      if (hook.stanza.is_message() && hook.stanza.child_text("body") == "throw") throw 7;
      return Verdict::pass;
    });
    scope.timer(std::chrono::milliseconds(1),
                []() -> xmpp::Duration { throw std::runtime_error("no luck in time"); });
  }
};
XMPPD_MODULE(ThrowsCalled, {.name = "throws_called", .summary = "Throws when it is called"});

}  // namespace xmppd::mod::throws_called
