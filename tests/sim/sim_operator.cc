#include "sim/sim_operator.h"

#include <utility>

namespace sim {

namespace {

constexpr const char* kProfile = "default";
constexpr std::size_t kReloadOneIn = 4;

}  // namespace

Operator::Operator(const Stage& stage, std::uint64_t seed)
    : stage_(stage),
      rng_(seed),
      context_{.server = stage.world.server(), .reactor = stage.world.make_reactor(), .rng = rng_} {
}

void Operator::act() {
  if (is_busy_ || stage_.pick(kReloadOneIn) != 0) return;
  const auto running = stage_.world.server().modules().running(kProfile);
  const std::string& name = running[stage_.pick(running.size())];
  stage_.transcript.add(stage_.world.now(), "op", "reloads " + name);
  is_busy_ = true;
  ++stage_.world.reloads;
  // The loop has slept: it has to see what time it is.
  context_.reactor.call([this, name] { owner_.spawn(reload(name)); });
}

xmpp::Task<void> Operator::reload(std::string name) {
  auto reloading = stage_.world.server().modules().reload(context_, kProfile, name,
                                                          xmppd::ModuleManager::Code::same);
  auto outcome = co_await std::move(reloading);
  stage_.transcript.add(stage_.world.now(), "op", "has reloaded " + name);
  if (!outcome) stage_.fail("reload of " + name + ": " + outcome.error().text);
  is_busy_ = false;
  ++stage_.world.reloads;
}

void Operator::check() {
  if (is_busy_) stage_.fail("a reload does not end");
}

}  // namespace sim
