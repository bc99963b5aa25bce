#include "sim/sim_world.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>

#include "core/address_table.h"
#include "core/worker.h"
#include "xmpp/base/assert.h"
#include "xmpp/base/hash.h"
#include "xmpp/sasl/credentials.h"
#include "xmppd/storage.h"

namespace sim {
namespace {

constexpr std::string_view kConfig = R"(
[server]
data_dir = "/nonexistent"
control_socket = "/nonexistent/control.sock"
[storage]
path = "unused"
[[listen]]
service = "c2s"
address = ["127.0.0.1:5222"]
tls = "none"
[profile.default.auth]
plain_without_tls = true
)";

constexpr const char* kFileName = "xmppd.toml";
// What the scheduler may choose besides nodes.
constexpr int kStorage = -1;
constexpr int kOffload = -2;
// Time that every step takes.
constexpr std::uint64_t kStepMicroseconds = 20;
// Writes and syncs within which the power may go again while a server starts.
constexpr std::uint64_t kStartOperations = 30;

// PBKDF2 once per password and process.
const std::vector<xmpp::sasl::ScramKeys>& keys_of(std::string_view password) {
  static std::map<std::string, std::vector<xmpp::sasl::ScramKeys>, std::less<>> known;
  auto found = known.find(password);
  if (found == known.end()) {
    auto made = xmpp::sasl::derive_scram_keys(xmpp::Secret(std::string(password)),
                                              "0123456789abcdef", xmpp::sasl::kMinIterations);
    found = known.emplace(password, std::vector(made.begin(), made.end())).first;
  }
  return found->second;
}

// On which two names fall together there (xmppd/core/login_throttle.h).
std::uint64_t throttle_place(std::string_view username, std::string_view host) {
  constexpr std::uint64_t kPlaces = 16'384;
  const auto& key = xmpp::process_hash_key();
  return (xmpp::siphash64(key, username) ^ (xmpp::siphash64(key, host) << 1U)) % kPlaces;
}

// On which two addresses share a limit (xmppd/core/address_table.h).
std::uint32_t address_counter(const std::string& address) {
  constexpr std::uint32_t kCounters = 65'536;
  return xmppd::AddressTable::key_of(address) % kCounters;
}

}  // namespace

xmppd::Config make_config(const WorldOptions& options) {
  const std::string text = std::string(kConfig) + options.config;
  auto parsed = xmppd::parse_config(text, "/nonexistent/sim.toml");
  if (!parsed) {
    std::string errors;
    for (const auto& error : parsed.error()) errors += xmppd::to_string(error) + "\n";
    throw std::runtime_error("configuration of the simulation: " + errors);
  }
  parsed->server.workers = options.workers;
  parsed->storage.path = options.disk == nullptr ? ":memory:" : "sim.db";
  for (auto& [name, profile] : parsed->profiles) {
    auto& iterations = profile.auth.scram_iterations;
    if (iterations == xmppd::ProfileConfig().auth.scram_iterations) {
      iterations = xmpp::sasl::kMinIterations;
    }
  }
  return std::move(*parsed);
}

std::unique_ptr<xmpp::net::Poller> SimEnvironment::make_poller() {
  auto poller = std::make_unique<SimPoller>();
  pollers_.push_back(poller.get());
  return poller;
}

std::unique_ptr<xmpp::Rng> SimEnvironment::make_rng() {
  return std::make_unique<xmpp::SeededRng>(++seed_);
}

// Removed with everything in it.
struct SimWorld::Directory {
  Directory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "sim-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path = pattern;
  }
  ~Directory() { clear(); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  void clear() const {
    std::error_code none;
    std::filesystem::remove_all(path, none);
  }
  std::filesystem::path path;
};

struct SimWorld::ClientLoop {
  explicit ClientLoop(xmpp::Clock& clock) : reactor(poller, clock) {}
  SimPoller poller;
  xmpp::net::Reactor reactor;
};

SimWorld::SimWorld(const WorldOptions& options)
    : options_(options),
      rng_(options.seed),
      net_(clock_, options.seed ^ 0x6e657477'6f726bULL),
      environment_(clock_, options.seed * 1'000,
                   options.disk == nullptr ? std::string() : options.disk->name()) {
  xmpp::seed_process_hash(options.seed);
  if (options.disk != nullptr || options.is_administered)
    directory_ = std::make_unique<Directory>();
  entrance_ = std::make_shared<xmppd::Entrance>(xmppd::Entrance{
      .service = xmppd::Service::c2s, .tls = xmppd::TlsMode::none, .is_loopback = true});
  start_server();
}

void SimWorld::start_server() {
  auto config = make_config(options_);
  if (directory_) config.server.data_dir = directory_->path;
  if (options_.is_administered) {
    write_config(options_.config);
    config.file = directory_->path / kFileName;
  }
  server_ = std::make_unique<xmppd::Server>(std::move(config), environment_,
                                            std::filesystem::path("/nonexistent"));
  server_->start();
  // The workers are the first nodes.
  std::vector<Node> nodes;
  for (std::size_t i = 0; i < server_->worker_count(); ++i) {
    auto& reactor = server_->worker(i).reactor();
    // With every third seed whatever may wait for another turn does.
    if (options_.seed % 3 == 0) reactor.set_slices({{}, {}, {}, {}, {}});
    nodes.push_back({&reactor, environment_.pollers()[i]});
  }
  nodes_.insert(nodes_.begin(), nodes.begin(), nodes.end());
}

void SimWorld::write_config(const std::string& config) const {
  XMPP_ASSERT(options_.is_administered);
  // As make_config() has it, where that can change under way.
  const std::string iterations =
      "scram_iterations = " + std::to_string(xmpp::sasl::kMinIterations) + "\n";
  std::ofstream file(directory_->path / kFileName);
  file << kConfig << iterations << config;
  if (!file.flush()) throw std::runtime_error("cannot write the configuration of a simulation");
}

void SimWorld::stop_server() {
  nodes_.erase(nodes_.begin(),
               nodes_.begin() + static_cast<std::ptrdiff_t>(server_->worker_count()));
  server_.reset();
  environment_.forget_pollers();
}

void SimWorld::crash_and_restart() {
  XMPP_ASSERT(options_.disk != nullptr);
  SimDisk& disk = *options_.disk;
  disk.crash();
  net_.cut_all();
  stop_server();
  storage_stalled_until_ = offload_stalled_until_ = {};
  // What the kernel kept for the process: the counters. (They are only believed in the boot that
  // they name, and the simulation has no other.)
  directory_->clear();
  std::filesystem::create_directory(directory_->path);
  do {
    disk.recover();
    if (rng_.below(3) == 0) disk.crash_after(1 + rng_.below(kStartOperations));
    try {
      start_server();
      if (disk.has_crashed()) stop_server();
    } catch (const std::runtime_error&) {
      if (!disk.has_crashed()) throw;
      server_.reset();
      environment_.forget_pollers();
    }
  } while (disk.has_crashed());
}

void SimWorld::kill_and_restart() {
  XMPP_ASSERT(options_.disk != nullptr);
  SimDisk& disk = *options_.disk;
  disk.crash();
  net_.cut_all();
  stop_server();
  disk.reconnect();
  start_server();
}

SimWorld::~SimWorld() = default;

std::string SimWorld::find_lone_name(const std::string& prefix, std::string_view host) {
  for (std::uint64_t i = 0;; ++i) {
    std::string name = prefix + std::to_string(i);
    if (throttle_places_.insert(throttle_place(name, host)).second) return name;
  }
}

void SimWorld::add_account(const std::string& jid, std::string_view password) {
  auto parsed = xmpp::Jid::parse(jid);
  if (!parsed) throw std::runtime_error("not an address: " + jid);
  throttle_places_.insert(throttle_place(parsed->local(), parsed->domain()));
  xmppd::AccountRecord account;
  account.jid = *parsed;
  account.created_at = clock_.wall();
  account.keys = keys_of(password);
  auto created = server_->storage().write_blocking(
      *parsed,
      [](xmppd::Tx& tx, const xmppd::AccountRecord& record) {
        return tx.accounts().create(record);
      },
      account);
  if (!created || !*created) throw std::runtime_error("cannot make the account " + jid);
  server_->refresh_facts(std::string(parsed->domain()));
}

xmpp::net::Reactor& SimWorld::make_reactor() {
  loops_.push_back(std::make_unique<ClientLoop>(clock_));
  nodes_.push_back({&loops_.back()->reactor, &loops_.back()->poller});
  return loops_.back()->reactor;
}

void SimWorld::reserve_address(const std::string& address) {
  reserved_counters_.insert(address_counter(address));
}

std::unique_ptr<SimChannel> SimWorld::connect(const LinkQuality& quality, std::string address) {
  if (address.empty()) {
    do {
      const std::uint32_t number = next_address_++;
      address = "127." + std::to_string(number >> 16 & 255) + "." +
                std::to_string(number >> 8 & 255) + "." + std::to_string(number & 255) + ":40000";
    } while (reserved_counters_.contains(address_counter(address)));
  }
  // As it sets them on what it accepts (Server::admit()).
  const xmppd::Limits& limits = server_->limits();
  auto ends =
      net_.connect(std::move(address), quality,
                   {.keepalive = limits.tcp_keepalive, .unacknowledged = limits.tcp_user_timeout});
  auto& worker = server_->worker(static_cast<std::size_t>(rng_.below(server_->worker_count())));
  // Within a turn, as an accept is: before it the worker does not know what time it is.
  worker.call([this, &worker, accepted = std::move(ends.server)]() mutable {
    server_->admit(worker, std::move(accepted), entrance_);
  });
  return std::move(ends.client);
}

void SimWorld::freeze(const xmpp::net::Reactor& loop, Instant until) {
  for (Node& node : nodes_) {
    if (node.reactor == &loop) node.frozen_until = until;
  }
}

bool SimWorld::can_store(Instant now) const {
  return storage_stalled_until_ <= now && server_->storage().depth() != 0;
}

bool SimWorld::can_offload(Instant now) const {
  return offload_stalled_until_ <= now && server_->offload().pending() != 0;
}

bool SimWorld::can_run(const Node& node, Instant now) const {
  if (node.frozen_until > now) return false;
  return node.poller->is_ready() || node.reactor->mail_depth() != 0 ||
         node.reactor->next_turn() <= now;
}

Instant SimWorld::next_event() const {
  const auto clock_now = net_.now();
  Instant next = net_.next_arrival();
  if (storage_stalled_until_ > clock_now) next = std::min(next, storage_stalled_until_);
  if (offload_stalled_until_ > clock_now) next = std::min(next, offload_stalled_until_);
  for (const Node& node : nodes_) {
    next = std::min(next, std::max(node.reactor->next_turn(), node.frozen_until));
    if (node.frozen_until > clock_now) next = std::min(next, node.frozen_until);
  }
  return next;
}

bool SimWorld::step(Instant latest) {
  const auto now = clock_.now();
  runnable_.clear();
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (can_run(nodes_[i], now)) runnable_.push_back(static_cast<int>(i));
  }
  if (can_store(now)) runnable_.push_back(kStorage);
  if (can_offload(now)) runnable_.push_back(kOffload);
  if (runnable_.empty()) {
    const auto next = std::min(next_event(), latest);
    if (next != xmpp::kNever && next > now) clock_.advance(next - now);
    return next < latest;
  }
  const int chosen = runnable_[rng_.below(runnable_.size())];
  if (chosen == kStorage) {
    server_->storage().run_one();
  } else if (chosen == kOffload) {
    server_->offload().run_one();
  } else {
    // Never waits: the pollers of the simulator return at once.
    nodes_[static_cast<std::size_t>(chosen)].reactor->turn(now);
  }
  if (on_step) on_step();
  clock_.advance(Duration(static_cast<Duration::rep>(rng_.below(kStepMicroseconds))));
  return true;
}

bool SimWorld::run_until(const std::function<bool()>& is_done, Instant latest) {
  while (!is_done()) {
    if (clock_.now() >= latest || !step(latest)) return is_done();
  }
  return true;
}

void SimWorld::run_for(Duration time) {
  const auto end = now() + time;
  while (now() < end) (void)step(end);
}

}  // namespace sim
