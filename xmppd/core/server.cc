#include "core/server.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>
#include <thread>

#include "core/backstop.h"
#include "core/certificate_check.h"
#include "core/config_diff.h"
#include "core/control.h"
#include "core/link.h"
#include "core/listener.h"
#include "core/sm_store.h"
#include "core/stored_host.h"
#include "core/worker.h"
#include "xmpp/base/hash.h"

namespace xmppd {

using xmpp::log::kv;

namespace {

const xmpp::log::Context kLog{.component = "server"};
constexpr std::size_t kSecretBytes = 32;
constexpr unsigned kOffloadThreads = 2;
// Of the storage queue.
constexpr std::size_t kGreedyShare = 64;

std::size_t workers_of(const Config& config) {
  if (config.server.workers != 0) return config.server.workers;
  return std::max(1U, std::thread::hardware_concurrency());
}

std::shared_ptr<const xmpp::StreamPolicy> make_stream_policy(const Limits& limits) {
  auto policy = std::make_shared<xmpp::StreamPolicy>();
  policy->limits.stanza_bytes = limits.stanza_bytes;
  policy->limits.depth = limits.depth;
  policy->limits.attributes = limits.attributes;
  policy->limits_unauthenticated.stanza_bytes = limits.stanza_bytes_unauthenticated;
  policy->limits_unauthenticated.attributes = limits.attributes;
  policy->unauthenticated_timeout = limits.unauthenticated_timeout;
  policy->idle_seconds = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(limits.idle_timeout).count());
  policy->reports_all_nonzas = true;  // the modules of a host decide what they mean
  policy->sm = true;
  policy->auth_failures_max = static_cast<int>(limits.auth_failures);
  return policy;
}

}  // namespace

Server::Server(Config config, Environment& environment, std::filesystem::path module_directory)
    : config_(std::move(config)),
      environment_(environment),
      worker_count_(workers_of(config_)),
      modules_(std::move(module_directory), config_.server.module_path),
      started_at_(environment.clock().now()) {
  xmpp::on_task_exception(&note_task_exception);
  put_in_force(config_.limits);
  if (environment_.has_threads()) lock_data_dir();
  open_storage();
  load_secrets();
  add_stored_hosts();
  if (environment_.has_threads()) {
    if (auto wrong = load_certificates(config_); !wrong.empty()) throw std::runtime_error(wrong);
  }
  offload_ = std::make_unique<xmpp::net::Offload>(environment_.has_threads() ? kOffloadThreads : 0U,
                                                  config_.limits.offload_queue);
  for (const auto& host : config_.hosts) refresh_facts(host.name);
  for (std::size_t i = 0; i < worker_count_; ++i) {
    workers_.push_back(std::make_unique<Worker>(*this, i, environment_));
    workers_.back()->configure(config_);
  }
  for (auto& worker : workers_) modules_.attach_all(*worker, config_);
  // Without threads (a simulation) the directory need not exist.
  std::error_code none;
  const bool has_directory = std::filesystem::is_directory(config_.server.data_dir, none);
  sm_counters_ =
      std::make_unique<SmCounters>(has_directory ? config_.server.data_dir / "sm-counters" : "");
  SmStore::restore_all(*this);
}

Server::~Server() {
  control_.reset();
  for (auto& worker : workers_) worker->stop_and_join();
  listeners_.reset();
  // While sessions end, modules may still store something and submit jobs.
  for (auto& worker : workers_) worker->drop_links();
  // Answers still go to the reactors, which live until nobody can post to them.
  if (storage_) storage_->stop();
  offload_.reset();
  workers_.clear();
  storage_.reset();
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

void Server::lock_data_dir() {
  const auto& directory = config_.server.data_dir;
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    throw std::runtime_error("server.data_dir " + directory.string() + ": " + error.message());
  }
  const auto path = directory / "xmppd.lock";
  lock_fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0) {
    throw std::runtime_error("cannot write to server.data_dir " + directory.string() +
                             ": check its owner and permissions");
  }
  if (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    throw std::runtime_error("another xmppd uses server.data_dir " + directory.string());
  }
}

void Server::open_storage() {
  StorageOptions options;
  if (config_.storage.driver == "postgresql") options.driver = sql::DriverKind::postgresql;
  options.path = config_.storage.path.string();
  options.connection = config_.storage.connection;
  options.writers = config_.storage.writers;
  options.readers = config_.storage.readers;
  options.timeout = std::chrono::duration_cast<std::chrono::milliseconds>(config_.storage.timeout);
  options.vfs = environment_.storage_vfs();
  options.is_synchronous_full = config_.storage.is_synchronous_full;
  options.has_threads = environment_.has_threads();
  options.queue = config_.limits.storage_queue;
  auto opened = SqlStorage::open(options);
  if (!opened) throw std::runtime_error("storage: " + opened.error().text);
  storage_ = std::move(*opened);
}

void Server::load_secrets() {
  auto rng = environment_.make_rng();
  auto fresh = rng->hex(kSecretBytes);
  auto outcome = storage_->write_blocking(
      "server",
      [](Tx& tx, const std::string& candidate) -> StorageResult<std::string> {
        auto found = tx.key_value().find("server", "sasl_secret");
        if (!found) return xmpp::Err(found.error());
        if (*found) return **found;
        auto put = tx.key_value().put("server", "sasl_secret", candidate);
        if (!put) return xmpp::Err(put.error());
        return candidate;
      },
      fresh);
  if (!outcome) throw std::runtime_error("storage: " + outcome.error().text);
  sasl_secret_ = xmpp::Secret(*outcome);
}

void Server::add_stored_hosts() {
  auto stored = stored_hosts();
  if (!stored) throw std::runtime_error("storage: " + stored.error().text);
  for (HostConfig& host : *stored) {
    const bool is_in_file =
        std::any_of(config_.hosts.begin(), config_.hosts.end(),
                    [&](const HostConfig& other) { return other.name == host.name; });
    if (is_in_file) continue;
    // One bad row must not keep all other domains from being served.
    if (!config_.profiles.contains(host.profile)) {
      xmpp::log::error(kLog,
                       "host not served, its profile is gone: restore it or add the host anew",
                       {kv("host", host.name), kv("profile", host.profile)});
      continue;
    }
    if (environment_.has_threads()) {
      const auto wrong = check_certificate(config_, host);
      if (!wrong.empty()) {
        xmpp::log::error(kLog, "host not served: mend its certificate and reload",
                         {kv("host", host.name), kv("why", wrong)});
        continue;
      }
    }
    config_.hosts.push_back(std::move(host));
  }
}

void Server::put_in_force(const Limits& limits) {
  auto fresh = std::make_unique<InForce>(InForce{limits, make_stream_policy(limits)});
  in_force_.store(fresh.get(), std::memory_order_release);
  in_force_kept_.push_back(std::move(fresh));
}

void Server::adopt(const Config& config) {
  const auto changes = compare_configs(config_, config);
  const bool has_limits = std::any_of(changes.begin(), changes.end(), [](const auto& change) {
    return change.key.starts_with("limits.");
  });
  if (has_limits) put_in_force(config.limits);
  config_.limits = config.limits;
  config_.hosts = config.hosts;
  config_.profiles = config.profiles;
}

StorageResult<std::vector<HostConfig>> Server::stored_hosts() {
  auto rows =
      storage_->read_blocking("server", [](Tx& tx) { return tx.key_value().list("hosts"); });
  if (!rows) return xmpp::Err(rows.error());
  std::vector<HostConfig> hosts;
  for (const auto& row : *rows) {
    // The name becomes part of paths, and a bad row must not keep the others from being served.
    const auto name = xmpp::Jid::parse(row.key);
    if (name && name->is_domain() && name->str() == row.key) {
      hosts.push_back(parse_stored_host(row.key, row.value));
    } else {
      xmpp::log::error(kLog,
                       "host not served, its name in the database is no domain: remove the row",
                       {kv("host", row.key)});
    }
  }
  return hosts;
}

void Server::start() {
  if (!environment_.has_threads()) return;
  listeners_ = std::make_unique<ListenerSet>(*this, config_.listen);
  control_ = std::make_unique<Control>(*this);
  listeners_->start();
  for (auto& worker : workers_) worker->start_thread();
  control_->start();
  const std::lock_guard lock(certificates_mutex_);
  for (const auto& shown : certificates_->shown()) {
    xmpp::log::info(
        kLog, "certificate",
        {kv("host", shown.host), kv("file", shown.file.string()), kv("sha256", shown.fingerprint)});
  }
}

std::string Server::ready_summary() const {
  return listeners_->summary() + " control=" + config_.server.control_socket.string();
}

void Server::drain(const std::function<bool()>& is_impatient) {
  for (auto& worker : workers_) {
    worker->call([this, worker = worker.get()] {
      listeners_->stop(*worker);
      worker->drain();
    });
  }
  const auto give_up = environment_.clock().now() + config_.server.drain_timeout;
  while (connection_count() != 0 && environment_.clock().now() < give_up && !is_impatient()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));  // main waits; no worker does
  }
}

std::string Server::load_certificates(const Config& config) {
  const std::lock_guard lock(certificates_mutex_);
  try {
    auto fresh = std::make_unique<Certificates>(config, certificates_.get());
    if (tls_context_ == nullptr) {
      auto context = xmpp::TlsContext::make_server(fresh->all());
      if (!context) return "TLS: " + context.error().text;
      tls_context_ = std::move(*context);
    } else if (!fresh->all().empty()) {  // without hosts nothing is shown anyway
      auto reloaded = tls_context_->reload(fresh->all());
      if (!reloaded) return reloaded.error().text;
    }
    certificates_ = std::move(fresh);
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

void Server::reload_certificates() {
  // The control thread is the one that knows which hosts there are.
  control_->call([this] {
    const auto wrong = load_certificates(config_);
    if (wrong.empty()) {
      xmpp::log::info(kLog, "certificates reloaded");
    } else {
      xmpp::log::error(kLog,
                       "certificates not reloaded, the old ones stay: mend the file and try again",
                       {kv("why", wrong)});
    }
  });
}

void Server::request_stop() noexcept {
  if (stop_handler_) stop_handler_();
}

std::shared_ptr<HostFacts> Server::facts_of(std::string_view host) {
  const std::lock_guard lock(facts_mutex_);
  auto found = facts_.find(host);
  if (found == facts_.end()) {
    found = facts_.emplace(std::string(host), std::make_shared<HostFacts>()).first;
  }
  return found->second;
}

void Server::refresh_facts(const std::string& host) {
  auto found = storage_->read_blocking(
      host, [](Tx& tx, const std::string& name) { return load_host_facts(tx, name); }, host);
  if (!found) {
    xmpp::log::warn(kLog, "cannot see which password keys exist: check the database",
                    {kv("host", host), kv("error", found.error().text)});
    return;
  }
  facts_of(host)->set(found->common_hashes, std::move(found->counts));
}

void Server::admit(Worker& worker, std::unique_ptr<xmpp::net::ByteChannel> channel,
                   const std::shared_ptr<const Entrance>& entrance) {
  auto address = channel->peer_address();
  const auto key = AddressTable::key_of(address);
  const bool is_full = limits().connections != 0 && connection_count() >= limits().connections;
  if (is_full || !addresses_.try_add(key, limits().connections_per_address)) {
    xmpp::log::info(kLog, "connection refused: too many",
                    {kv("address", address), kv("all", is_full)});
    refusals_.connections.fetch_add(1, std::memory_order_relaxed);
    if (entrance->service == Service::c2s) refuse_connection(*channel, worker.rng());
    return;
  }
  const auto seconds = [](xmpp::Duration value) {
    return std::chrono::duration_cast<std::chrono::seconds>(value);
  };
  xmpp::net::set_dead_peer_timeout(*channel, seconds(limits().tcp_keepalive),
                                   seconds(limits().tcp_user_timeout));
  worker.adopt(std::move(channel), entrance, std::move(address), key);
}

bool Server::is_storage_congested() const noexcept {
  return storage_->depth() > limits().storage_queue / kGreedyShare;
}

std::size_t Server::session_count() const noexcept {
  std::size_t sum = 0;
  for (const auto& worker : workers_) sum += worker->session_count();
  return sum;
}

}  // namespace xmppd
