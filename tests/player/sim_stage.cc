#include <memory>
#include <string>

#include "player/stage.h"
#include "sim/sim_world.h"

namespace play {
namespace {

class SimStage final : public Stage {
 public:
  explicit SimStage(const StageOptions& options)
      : disk_(options.restarts ? std::make_unique<sim::SimDisk>("play", options.seed) : nullptr),
        rng_(options.seed + 1),
        world_({.seed = options.seed,
                .workers = 2,
                .config = "[host.\"localhost\"]\n" + options.config,
                .disk = disk_.get()}),
        reactor_(world_.make_reactor()) {}

  void add_account(const Account& account) override {
    world_.add_account(account.jid, account.password);
  }
  xmpp::net::Reactor& reactor() override { return reactor_; }
  xmpp::Rng& rng() override { return rng_; }
  std::unique_ptr<xmpp::net::ByteChannel> connect() override { return world_.connect({}); }
  xmpp::Instant now() override { return world_.now(); }
  void restart_server() override { world_.kill_and_restart(); }
  void turn(xmpp::Instant latest) override { (void)world_.step(latest); }
  xmpp::StreamPolicy::Tls tls_policy() const override { return xmpp::StreamPolicy::Tls::none; }
  xmpp::LinkTls tls() const override { return {}; }
  bool has_plain_wire() const override { return true; }

 private:
  std::unique_ptr<sim::SimDisk> disk_;  // null: nothing has to outlive a server
  xmpp::SeededRng rng_;
  sim::SimWorld world_;
  xmpp::net::Reactor& reactor_;
};

}  // namespace

std::unique_ptr<Stage> make_sim_stage(const StageOptions& options) {
  return std::make_unique<SimStage>(options);
}

}  // namespace play
