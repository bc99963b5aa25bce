// Answers an iq after a while; the task waits for a timer meanwhile.
#include <optional>

#include "xmppd/module.h"

namespace xmppd::mod::sleeper {

namespace {
struct Sleep {
  std::optional<std::uint64_t> ms;
  static constexpr auto codec =
      xmpp::xml::element("urn:example:sleep", "sleep", xmpp::xml::attr("ms", &Sleep::ms));
};
}  // namespace

class Sleeper final : public Module {
 public:
  void attach(Scope& scope) override {
    scope_ = &scope;
    scope.on_iq<Sleep>(Target::host | Target::own_account,
                       [this](IqCall&, Sleep query) { return answer(query.ms.value_or(0)); });
  }

 private:
  xmpp::Task<IqReply> answer(std::uint64_t ms) {
    xmpp::Completion<void> done;
    xmpp::Timer timer([ticket = done.ticket()] { ticket.complete(); });
    auto& reactor = scope_->reactor();
    reactor.timers().set(timer, reactor.now() + std::chrono::milliseconds(ms));
    co_await done;
    co_return IqReply::ok();
  }
  Scope* scope_ = nullptr;
};
XMPPD_MODULE(Sleeper, {.name = "sleeper", .summary = "Takes its time"});

}  // namespace xmppd::mod::sleeper
