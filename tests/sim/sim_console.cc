#include "sim/sim_console.h"

#include <utility>

#include "core/module_manager.h"
#include "xmpp/base/assert.h"

namespace sim {
namespace {

xmpp::Task<xmppd::CommandResult> reload(xmppd::CommandContext& context, std::string profile,
                                        std::string name) {
  auto reloading = context.server.modules().reload(context, std::move(profile), std::move(name),
                                                   xmppd::ModuleManager::Code::same);
  auto outcome = co_await std::move(reloading);
  if (!outcome) co_return xmpp::Err(outcome.error());
  co_return xmppd::CommandValue();
}

// The directory of the configuration has another name in each process.
std::string without_directory(std::string text) {
  for (std::size_t at = 0; (at = text.find("/xmppd.toml", at)) != std::string::npos; ++at) {
    const auto path = text.find_last_of(" \n", at) + 1;  // 0 if there is none
    text.erase(path, at - path);
    at = path;
  }
  return text;
}

}  // namespace

Console::Console(const Stage& stage, std::uint64_t seed)
    : stage_(stage),
      rng_(seed),
      context_{.server = stage.world.server(), .reactor = stage.world.make_reactor(), .rng = rng_} {
}

void Console::run(std::string command, xmppd::CommandArguments arguments, Done done) {
  const auto* found = xmppd::find_command(command);
  XMPP_ASSERT(found != nullptr);
  start(command, found->run(context_, std::move(arguments)), std::move(done));
}

void Console::reload_module(const std::string& profile, const std::string& name, Done done) {
  start("reload of " + name, reload(context_, profile, name), std::move(done));
}

void Console::start(const std::string& what, xmpp::Task<xmppd::CommandResult> task, Done done) {
  XMPP_ASSERT(!is_busy_);
  is_busy_ = true;
  stage_.transcript.add(stage_.world.now(), "op", what);
  auto pending = std::make_shared<xmpp::Task<void>>(finish(what, std::move(task), std::move(done)));
  // The loop has slept: it has to see what time it is.
  context_.reactor.call([this, pending] { owner_.spawn(std::move(*pending)); });
}

xmpp::Task<void> Console::finish(std::string what, xmpp::Task<xmppd::CommandResult> task,
                                 Done done) {
  auto outcome = co_await std::move(task);
  stage_.transcript.add(
      stage_.world.now(), "op",
      what + (outcome ? " is done" : " failed: " + without_directory(outcome.error().text)));
  is_busy_ = false;
  done(outcome);
}

}  // namespace sim
