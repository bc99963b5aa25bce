// SimWorld: the real server (core, modules, storage closures) with all its workers in one thread, a
// virtual clock, a simulated network, and a seeded scheduler that decides which worker, client,
// storage batch or offloaded job runs next. Time moves only when nothing can run.
//
// Thread-safety: one thread; one world at a time in a process (ownership hashes under the process's
// key). Invariants: (1) equal seeds and equal calls give equal runs. (2) Whoever has nothing to do
// is not run, so that work which nobody was woken for stays undone and is noticed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/entrance.h"
#include "core/environment.h"
#include "core/server.h"
#include "sim/sim_net.h"
#include "sim/sim_vfs.h"
#include "xmpp/base/random.h"
#include "xmpp/base/time.h"
#include "xmpp/net/reactor.h"

namespace sim {

// The password of every account that add_account() makes without saying another.
inline constexpr std::string_view kPassword = "secret";

struct WorldOptions {
  std::uint64_t seed = 1;
  unsigned workers = 2;
  // TOML, read behind the world's own: hosts, modules' options, limits.
  std::string config = "[host.\"localhost\"]\n";
  // Where the database is, so that it outlives a server; null: in memory, failing never. Must
  // outlive the world.
  SimDisk* disk = nullptr;
  // It has a directory for its data and a file for its configuration, so that an operator can add
  // hosts and have the file read again.
  bool is_administered = false;
};

// The configuration of a world; throws std::runtime_error with the configuration's own errors.
[[nodiscard]] xmppd::Config make_config(const WorldOptions& options);

class SimEnvironment final : public xmppd::Environment {
 public:
  SimEnvironment(xmpp::ManualClock& clock, std::uint64_t seed, std::string vfs = {})
      : clock_(clock), seed_(seed), vfs_(std::move(vfs)) {}
  [[nodiscard]] xmpp::Clock& clock() override { return clock_; }
  [[nodiscard]] std::unique_ptr<xmpp::net::Poller> make_poller() override;
  [[nodiscard]] std::unique_ptr<xmpp::Rng> make_rng() override;
  [[nodiscard]] bool has_threads() const override { return false; }
  [[nodiscard]] std::string storage_vfs() const override { return vfs_; }
  // In the order of the workers.
  [[nodiscard]] const std::vector<SimPoller*>& pollers() const noexcept { return pollers_; }
  // The server is gone, and its pollers with it.
  void forget_pollers() noexcept { pollers_.clear(); }

 private:
  xmpp::ManualClock& clock_;
  std::uint64_t seed_;
  std::string vfs_;
  std::vector<SimPoller*> pollers_;
};

class SimWorld {
 public:
  explicit SimWorld(const WorldOptions& options);
  ~SimWorld();
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;

  [[nodiscard]] xmppd::Server& server() noexcept { return *server_; }
  [[nodiscard]] xmpp::Clock& clock() noexcept { return clock_; }
  [[nodiscard]] Instant now() noexcept { return clock_.now(); }
  bool may_reload = true;  // modules, under way
  // How often modules began or ended to be replaced: odd meanwhile.
  std::uint64_t reloads = 0;
  // The scheduler's randomness, which workloads share.
  [[nodiscard]] xmpp::Rng& rng() noexcept { return rng_; }

  void add_account(const std::string& jid, std::string_view password = kPassword);
  // A name, not made an account, that shares no place of the server's LoginThrottle with any name
  // so far: guesses at it close no other's door.
  [[nodiscard]] std::string find_lone_name(const std::string& prefix,
                                           std::string_view host = "localhost");
  // What the server's file says from now on, as WorldOptions::config. REQUIRES: is_administered.
  void write_config(const std::string& config) const;
  // The server's process dies, without a word to its clients or its disk, and another one starts on
  // the same data. REQUIRES: options.disk.
  void kill_and_restart();
  // A loop for one or more clients, which the scheduler runs like a worker. Lives as long as the
  // world.
  [[nodiscard]] xmpp::net::Reactor& make_reactor();
  // A new connection to a worker of the scheduler's choice; without `address` it has one of its own
  // on this machine.
  [[nodiscard]] std::unique_ptr<SimChannel> connect(const LinkQuality& quality,
                                                    std::string address = {});

  [[nodiscard]] const SimNet& net() const noexcept { return net_; }

  // "198.51.100.1:4000": from now on no connection whose address connect() makes up shares its
  // counter of AddressTable.
  void reserve_address(const std::string& address);
  // A loop made by make_reactor() gets no turn until then: a client that does not read. Or that of
  // a worker, which is slow.
  void freeze(const xmpp::net::Reactor& loop, Instant until);

  // The storage gets no turn until then: a slow disk.
  void stall_storage(Instant until) noexcept { storage_stalled_until_ = until; }
  // Nor do the threads for blocking jobs.
  void stall_offload(Instant until) noexcept { offload_stalled_until_ = until; }
  // The machine of the server fails and comes back: every connection breaks, what was under way or
  // not synced is lost, a new server starts on the disk. Now and then the power goes again before
  // that has started. REQUIRES: options.disk.
  void crash_and_restart();

  // Called after everything that ran.
  std::function<void()> on_step;

  // Runs one thing that can run; if there is none, moves the clock to the next thing that will be,
  // at most to `latest`. False: nothing will happen by itself until `latest`, where the clock now
  // stands (kNever: it did not move).
  bool step(Instant latest = xmpp::kNever);
  // Steps until `is_done`; false if the time ran out first.
  bool run_until(const std::function<bool()>& is_done, Instant latest);
  // Lets everything that is under way arrive.
  void run_for(Duration time);

 private:
  struct Node {
    xmpp::net::Reactor* reactor;
    SimPoller* poller;
    Instant frozen_until{};
  };
  struct ClientLoop;
  struct Directory;
  void start_server();
  void stop_server();
  [[nodiscard]] bool can_run(const Node& node, Instant now) const;
  [[nodiscard]] bool can_store(Instant now) const;
  [[nodiscard]] bool can_offload(Instant now) const;
  [[nodiscard]] Instant next_event() const;

  const WorldOptions options_;
  std::unique_ptr<Directory> directory_;  // of what a dead process leaves beside the database
  xmpp::ManualClock clock_;
  xmpp::SeededRng rng_;
  SimNet net_;
  SimEnvironment environment_;
  std::unique_ptr<xmppd::Server> server_;
  std::shared_ptr<const xmppd::Entrance> entrance_;
  std::vector<std::unique_ptr<ClientLoop>> loops_;
  std::vector<Node> nodes_;
  std::vector<int> runnable_;                // scratch of step()
  std::set<std::uint64_t> throttle_places_;  // of all names
  std::set<std::uint32_t> reserved_counters_;
  Instant storage_stalled_until_{};
  Instant offload_stalled_until_{};
  std::uint32_t next_address_ = 1;
};

}  // namespace sim
