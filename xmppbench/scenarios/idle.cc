// idle: everybody is logged in and stays; memory and CPU are read from outside.
#include "scenario.h"
#include "swarm.h"

namespace xmppbench {

std::unique_ptr<Scenario> make_idle_scenario(Shard& /*shard*/) {
  return std::make_unique<Scenario>();
}

}  // namespace xmppbench
