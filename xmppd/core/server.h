// Server: constructs everything in order, and takes it down again.
//
// Order of construction: storage, secrets, certificates, workers, modules, listeners, control
// socket, threads. Shared by the workers are only constants, atomics, and objects that are
// thread-safe themselves.
//
// Thread-safety: start(), drain() and the destructor by one thread (main); what changes the
// configuration, and config().hosts and config().profiles, by the control thread once that runs;
// the other accessors any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/address_table.h"
#include "core/certificates.h"
#include "core/config.h"
#include "core/entrance.h"
#include "core/environment.h"
#include "core/host_facts.h"
#include "core/key_generations.h"
#include "core/login_throttle.h"
#include "core/module_manager.h"
#include "core/sm_counters.h"
#include "storage/storage.h"
#include "xmpp/base/secret.h"
#include "xmpp/net/offload.h"
#include "xmpp/net/poller.h"
#include "xmpp/stream/stream.h"
#include "xmpp/transport/tls_engine.h"
#include "xmppd/export.h"

namespace xmppd {

class Control;
class ListenerSet;
class Worker;

// What was turned away since the start, for whoever watches the server.
struct Refusals {
  std::atomic<std::uint64_t> connections{0};  // connections, connections_per_address
  std::atomic<std::uint64_t> logins{0};       // auth_failures_per_account, _per_address
  std::atomic<std::uint64_t> slow_peers{0};   // output_queue_bytes
};

class XMPPD_API Server {
 public:
  // Throws std::runtime_error with file, option and remedy for whatever prevents the start.
  Server(Config config, Environment& environment, std::filesystem::path module_directory);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Opens sockets and starts threads (nothing of both without Environment::has_threads()).
  void start();
  // "c2s=127.0.0.1:5222 ... control=PATH", once started.
  [[nodiscard]] std::string ready_summary() const;
  // Stops accepting, tells every client <system-shutdown/>, waits until all are gone or the drain
  // timeout has passed. `is_impatient` is asked now and then: true ends the wait.
  void drain(const std::function<bool()>& is_impatient);
  // Re-reads certificates; an unusable one is reported and the old one stays. Any thread.
  void reload_certificates();
  // Asks main to end the server as SIGTERM does. Any thread.
  void request_stop() noexcept;
  void on_stop_requested(std::function<void()> handler) { stop_handler_ = std::move(handler); }

  [[nodiscard]] const Config& config() const noexcept { return config_; }
  // May be replaced by others between two calls.
  [[nodiscard]] const Limits& limits() const noexcept {
    return in_force_.load(std::memory_order_acquire)->limits;
  }
  [[nodiscard]] std::size_t worker_count() const noexcept { return worker_count_; }
  [[nodiscard]] Worker& worker(std::size_t index) noexcept { return *workers_[index]; }
  [[nodiscard]] SqlStorage& storage() noexcept { return *storage_; }
  [[nodiscard]] xmpp::net::Offload& offload() noexcept { return *offload_; }
  [[nodiscard]] ModuleManager& modules() noexcept { return modules_; }
  [[nodiscard]] SmCounters& sm_counters() noexcept { return *sm_counters_; }
  [[nodiscard]] AddressTable& addresses() noexcept { return addresses_; }
  [[nodiscard]] LoginThrottle& login_throttle() noexcept { return login_throttle_; }
  [[nodiscard]] KeyGenerations& key_generations() noexcept { return key_generations_; }
  [[nodiscard]] const xmpp::TlsContext& tls_context() const noexcept { return *tls_context_; }
  [[nodiscard]] std::shared_ptr<const xmpp::StreamPolicy> stream_policy() const noexcept {
    return in_force_.load(std::memory_order_acquire)->stream_policy;
  }
  [[nodiscard]] const xmpp::Secret& sasl_secret() const noexcept { return sasl_secret_; }
  [[nodiscard]] xmpp::Instant started_at() const noexcept { return started_at_; }
  [[nodiscard]] Environment& environment() noexcept { return environment_; }

  // What is known of a host's accounts as a whole; made when first asked for. Any thread.
  [[nodiscard]] std::shared_ptr<HostFacts> facts_of(std::string_view host);
  // Looks it up again, after accounts have changed. Any thread, blocking.
  void refresh_facts(const std::string& host);

  // The hosts that are kept in the database. Any thread, blocking.
  [[nodiscard]] StorageResult<std::vector<HostConfig>> stored_hosts();
  // Makes the certificates of `config` those that are shown, missing ones self-signed. Gives what
  // is wrong with them, and then changes nothing. Any thread, blocking.
  [[nodiscard]] std::string load_certificates(const Config& config);
  // Makes the parts of `config` that can change those that count for whoever asks from now on.
  // Workers have to be told as well: Worker::reconcile().
  void adopt(const Config& config);

  // A new connection: limits first, then the worker. Called on the worker's thread.
  void admit(Worker& worker, std::unique_ptr<xmpp::net::ByteChannel> channel,
             const std::shared_ptr<const Entrance>& entrance);
  void count_connection(int change) noexcept {
    connections_.fetch_add(static_cast<std::size_t>(change), std::memory_order_relaxed);
  }
  [[nodiscard]] std::size_t connection_count() const noexcept {
    return connections_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::size_t session_count() const noexcept;
  // Do so many storage operations wait that greedy clients shall not add to them? Any thread.
  [[nodiscard]] bool is_storage_congested() const noexcept;
  [[nodiscard]] Refusals& refusals() noexcept { return refusals_; }

 private:
  void lock_data_dir();
  void open_storage();
  void load_secrets();
  void add_stored_hosts();
  void put_in_force(const Limits& limits);

  // Limits as one value, so that they change for all workers at once.
  struct InForce {
    Limits limits;
    std::shared_ptr<const xmpp::StreamPolicy> stream_policy;
  };

  Config config_;
  Environment& environment_;
  int lock_fd_ = -1;
  std::size_t worker_count_;
  std::unique_ptr<SqlStorage> storage_;
  std::unique_ptr<xmpp::net::Offload> offload_;
  xmpp::Secret sasl_secret_;
  std::mutex certificates_mutex_;  // one at a time loads
  std::unique_ptr<Certificates> certificates_;
  std::shared_ptr<xmpp::TlsContext> tls_context_;
  std::atomic<const InForce*> in_force_{nullptr};
  // Also those of before: somebody may still read them. They are few and small.
  std::vector<std::unique_ptr<const InForce>> in_force_kept_;
  AddressTable addresses_;
  std::unique_ptr<SmCounters> sm_counters_;
  LoginThrottle login_throttle_;
  KeyGenerations key_generations_;
  std::atomic<std::size_t> connections_{0};
  Refusals refusals_;
  std::mutex facts_mutex_;  // taken when hosts come, never for a stanza
  std::map<std::string, std::shared_ptr<HostFacts>, std::less<>> facts_;
  ModuleManager modules_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<ListenerSet> listeners_;
  std::unique_ptr<Control> control_;
  std::function<void()> stop_handler_;
  xmpp::Instant started_at_{};
};

}  // namespace xmppd
