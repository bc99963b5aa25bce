// Does what no module may: keeps its worker from its work for a while.
#include <future>
#include <optional>

#include "xmppd/module.h"

namespace xmppd::mod::blocker {

namespace {
struct Block {
  std::optional<std::uint64_t> ms;
  static constexpr auto codec =
      xmpp::xml::element("urn:example:block", "block", xmpp::xml::attr("ms", &Block::ms));
};
}  // namespace

class Blocker final : public Module {
 public:
  void attach(Scope& scope) override {
    scope.on_iq<Block>(Target::own_account, [](IqCall&, const Block& query) {
      std::promise<void> never;
      never.get_future().wait_for(std::chrono::milliseconds(query.ms.value_or(0)));
      return IqReply::ok();
    });
  }
};
XMPPD_MODULE(Blocker, {.name = "blocker", .summary = "Blocks its worker"});

}  // namespace xmppd::mod::blocker
