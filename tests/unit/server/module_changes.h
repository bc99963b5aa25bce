// Changes of modules through the module manager of a simulated server, as an administrator asks
// for them: begun, and looked at while the world goes on.
//
// Thread-safety: one thread.
#pragma once

#include <string>
#include <utility>

#include "core/commands.h"
#include "core/module_change.h"
#include "unit/server/raw_client.h"
#include "xmpp/base/random.h"
#include "xmpp/base/task.h"

namespace xmppd {

class ModuleChanges {
 public:
  using Outcome = ModuleManager::Outcome;

  explicit ModuleChanges(World& world) : world_(world) {}

  void load(std::string_view module, std::string_view profile = "default") {
    begin(modules().load(context_, std::string(profile), std::string(module)));
  }
  void unload(std::string_view module, std::string_view profile = "default") {
    begin(modules().unload(context_, std::string(profile), std::string(module)));
  }
  void reload(std::string_view module, std::string_view profile = "default") {
    begin(modules().reload(context_, std::string(profile), std::string(module)));
  }
  // What became of the last one: "under way", the error, or nothing.
  [[nodiscard]] const std::string& said() const { return said_; }

 private:
  [[nodiscard]] ModuleManager& modules() { return world_.server().modules(); }
  void begin(xmpp::Task<Outcome> changing) {
    context_.reactor.call([] {});  // it sees what time it is
    world_.run_for(std::chrono::milliseconds(10));
    said_ = "under way";
    owner_.spawn(keep(std::move(changing), said_));
  }
  static xmpp::Task<void> keep(xmpp::Task<Outcome> changing, std::string& text) {
    auto outcome = co_await std::move(changing);
    text = outcome ? "" : outcome.error().code + ": " + outcome.error().text;
  }

  World& world_;
  xmpp::SeededRng rng_{1};
  CommandContext context_{.server = world_.server(), .reactor = world_.make_reactor(), .rng = rng_};
  std::string said_;
  xmpp::TaskOwner owner_;  // last member: tasks go before what they use
};

}  // namespace xmppd
