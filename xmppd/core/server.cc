#include "core/server.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <stdexcept>
#include <thread>

#include "core/control.h"
#include "core/link.h"
#include "core/listener.h"
#include "core/worker.h"
#include "xmpp/base/hash.h"

namespace xmppd {

using xmpp::log::kv;

namespace {

const xmpp::log::Context kLog{.component = "server"};
constexpr std::size_t kSecretBytes = 32;
constexpr unsigned kOffloadThreads = 2;

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
  policy->auth_failures_max = static_cast<int>(limits.auth_failures);
  return policy;
}

}  // namespace

Server::Server(Config config, Environment& environment, std::filesystem::path module_directory)
    : config_(std::move(config)),
      environment_(environment),
      worker_count_(workers_of(config_)),
      stream_policy_(make_stream_policy(config_.limits)),
      modules_(std::move(module_directory), config_.server.module_path),
      started_at_(environment.clock().now()) {
  if (environment_.has_threads()) lock_data_dir();
  open_storage();
  load_secrets();
  if (environment_.has_threads()) {
    certificates_ = std::make_unique<Certificates>(config_);
    auto context = xmpp::TlsContext::make_server(certificates_->all());
    if (!context) throw std::runtime_error("TLS: " + context.error().text);
    tls_context_ = std::move(*context);
  }
  offload_ = std::make_unique<xmpp::net::Offload>(environment_.has_threads() ? kOffloadThreads : 0U,
                                                  config_.limits.offload_queue);
  for (const auto& host : config_.hosts) common_hashes_[host.name] = 0;
  refresh_common_hashes();
  for (std::size_t i = 0; i < worker_count_; ++i) {
    workers_.push_back(std::make_unique<Worker>(*this, i, environment_));
    workers_.back()->configure(config_);
  }
  for (auto& worker : workers_) modules_.attach_all(*worker, config_);
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
  options.path = config_.storage.path.string();
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

void Server::start() {
  if (!environment_.has_threads()) return;
  listeners_ = std::make_unique<ListenerSet>(*this, config_.listen);
  control_ = std::make_unique<Control>(*this);
  listeners_->start();
  for (auto& worker : workers_) worker->start_thread();
  control_->start();
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

void Server::reload_certificates() {
  try {
    auto fresh = std::make_unique<Certificates>(config_);
    auto reloaded = tls_context_->reload(fresh->all());
    if (!reloaded) throw std::runtime_error(reloaded.error().text);
    certificates_ = std::move(fresh);
    xmpp::log::info(kLog, "certificates reloaded");
  } catch (const std::exception& error) {
    xmpp::log::error(kLog,
                     "certificates not reloaded, the old ones stay: mend the file and try again",
                     {kv("why", error.what())});
  }
}

void Server::request_stop() noexcept {
  if (stop_handler_) stop_handler_();
}

xmpp::sasl::ScramHashSet Server::common_hashes(std::string_view host) const noexcept {
  xmpp::sasl::ScramHashSet set;
  auto found = common_hashes_.find(host);
  if (found == common_hashes_.end()) return set;
  const auto bits = found->second.load(std::memory_order_relaxed);
  for (auto hash : xmpp::sasl::kScramHashes) {
    if ((bits >> static_cast<unsigned>(hash) & 1U) != 0) set.add(hash);
  }
  return set;
}

void Server::refresh_common_hashes() {
  for (auto& [host, bits] : common_hashes_) {
    auto outcome = storage_->read_blocking(
        host, [](Tx& tx, const std::string& name) { return tx.accounts().common_hashes(name); },
        host);
    if (!outcome) {
      xmpp::log::warn(kLog, "cannot see which password keys exist: check the database",
                      {kv("host", host), kv("error", outcome.error().text)});
      continue;
    }
    std::uint8_t value = 0;
    for (auto hash : xmpp::sasl::kScramHashes) {
      if (outcome->has(hash)) value |= static_cast<std::uint8_t>(1U << static_cast<unsigned>(hash));
    }
    bits.store(value, std::memory_order_relaxed);
  }
}

void Server::admit(Worker& worker, std::unique_ptr<xmpp::net::ByteChannel> channel,
                   const std::shared_ptr<const Entrance>& entrance) {
  auto address = channel->peer_address();
  const auto key = AddressTable::key_of(address);
  const bool is_full = limits().connections != 0 && connection_count() >= limits().connections;
  if (is_full || !addresses_.try_add(key, limits().connections_per_address)) {
    xmpp::log::info(kLog, "connection refused: too many",
                    {kv("address", address), kv("all", is_full)});
    if (entrance->service == Service::c2s) refuse_connection(*channel);
    return;
  }
  const auto seconds = [](xmpp::Duration value) {
    return std::chrono::duration_cast<std::chrono::seconds>(value);
  };
  xmpp::net::set_dead_peer_timeout(*channel, seconds(limits().tcp_keepalive),
                                   seconds(limits().tcp_user_timeout));
  worker.adopt(std::move(channel), entrance, std::move(address), key);
}

std::size_t Server::session_count() const noexcept {
  std::size_t sum = 0;
  for (const auto& worker : workers_) sum += worker->session_count();
  return sum;
}

}  // namespace xmppd
