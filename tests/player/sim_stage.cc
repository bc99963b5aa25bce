#include <algorithm>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "player/stage.h"
#include "sim/sim_world.h"

namespace play {
namespace {

// Removed with everything in it; empty if nothing has to outlive a server.
struct Directory {
  explicit Directory(bool is_wanted) {
    if (!is_wanted) return;
    std::string pattern = (std::filesystem::temp_directory_path() / "play-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path = pattern;
  }
  ~Directory() {
    std::error_code none;
    if (!path.empty()) std::filesystem::remove_all(path, none);
  }
  std::filesystem::path path;
};

class SimStage final : public Stage {
 public:
  explicit SimStage(const StageOptions& options)
      : rng_(options.seed + 1),
        directory_(options.restarts),
        world_({.seed = options.seed,
                .workers = 2,
                .config = "[host.\"localhost\"]\n" + options.config,
                .directory = directory_.path}),
        reactor_(world_.make_reactor()) {}

  void add_account(const Account& account) override {
    world_.add_account(account.jid, account.password);
  }
  xmpp::net::Reactor& reactor() override { return reactor_; }
  xmpp::Rng& rng() override { return rng_; }
  std::unique_ptr<xmpp::net::ByteChannel> connect() override { return world_.connect({}); }
  xmpp::Instant now() override { return world_.now(); }
  void restart_server() override { world_.restart_server(); }
  void turn(xmpp::Instant latest) override { (void)world_.step(latest); }
  xmpp::StreamPolicy::Tls tls_policy() const override { return xmpp::StreamPolicy::Tls::none; }
  xmpp::LinkTls tls() const override { return {}; }
  bool has_plain_wire() const override { return true; }

 private:
  xmpp::SeededRng rng_;
  Directory directory_;
  sim::SimWorld world_;
  xmpp::net::Reactor& reactor_;
};

}  // namespace

std::unique_ptr<Stage> make_sim_stage(const StageOptions& options) {
  return std::make_unique<SimStage>(options);
}

}  // namespace play
