// Swarm: all users of a run on one or several shards; a shard is a thread with its reactor, its
// users, the queue of logins and one Scenario. Pairs never span shards.
//
//   Swarm swarm(options);  swarm.start();          // everybody logs in, counters() tells how far
//   swarm.begin(phases);                           // scenarios start
//   swarm.finish(); swarm.join();                  // everybody logs out; then results may be read
//
// Thread-safety: Swarm and the functions of Shard marked "any thread" may be called by the
// conductor; everything else belongs to the shard's thread until join(). Invariants: a user's
// client exists from its first login on, until the shard's thread ends.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "options.h"
#include "scenario.h"
#include "xmpp/client/client.h"
#include "xmpp/net/offload.h"
#include "xmpp/net/reactor.h"
#include "xmpp/net/resolver.h"

namespace xmppbench {

struct User {
  enum class State : std::uint8_t { offline, queued, logging_in, online, logging_out };
  std::uint32_t number = 0;  // of all, from 1 on; its neighbour is the peer
  std::uint32_t local = 0;   // in its shard, from 0 on
  const Account* account = nullptr;
  State state = State::offline;
  bool is_registered = false;      // in-band, by us or before
  bool login_failed = false;       // the last one
  std::string registration_error;  // why the login failed; else empty
  xmpp::Instant login_at{};        // when the last login began, or was meant to
  std::unique_ptr<xmpp::Client> client;
};

// What the conductor watches.
struct Counters {
  std::atomic<std::uint64_t> online{0};
  std::atomic<std::uint64_t> logins{0};
  std::atomic<std::uint64_t> login_failed{0};
  std::atomic<std::uint64_t> sent{0};
  std::atomic<std::uint64_t> received{0};
  std::atomic<std::uint64_t> errors{0};
  std::atomic<std::uint64_t> done{0};  // shards whose scenario expects nothing more
  // Shards whose users have all logged in or failed to.
  std::atomic<std::uint64_t> settled{0};
};

class Shard {
 public:
  Shard(const Options& options, std::uint32_t index, std::uint32_t run, Counters& counters,
        std::shared_ptr<xmpp::sasl::SaltedPasswordCache> passwords);
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  // Any thread.
  void start();
  void begin(const Phases& phases);
  void end_early(xmpp::Instant now, xmpp::Instant drain_end);
  void finish();
  void join();
  [[nodiscard]] std::string first_failure() const;

  // For scenarios.
  [[nodiscard]] const Options& options() const noexcept { return options_; }
  [[nodiscard]] std::uint32_t index() const noexcept { return index_; }
  [[nodiscard]] std::uint32_t run() const noexcept { return run_; }
  [[nodiscard]] std::vector<User>& users() noexcept { return users_; }
  [[nodiscard]] Counters& counters() noexcept { return counters_; }
  [[nodiscard]] xmpp::Clock& clock() noexcept { return clock_; }
  [[nodiscard]] std::uint32_t logins_under_way() const noexcept { return under_way_; }
  // REQUIRES: the user is offline (in) or online (out).
  void log_in(User& user);
  void log_out(User& user);
  // A user whose Scenario::prepare() had more to do is ready for the run.
  void settle();
  void note_error(const std::string& text);

  // After join().
  [[nodiscard]] const LoginStats& first_logins() const noexcept { return first_logins_; }
  [[nodiscard]] const std::map<std::string, std::uint64_t>& errors() const noexcept {
    return errors_;
  }
  [[nodiscard]] const std::string& mechanism() const noexcept { return mechanism_; }
  [[nodiscard]] ScenarioResult result() const { return scenario_->result(); }

 private:
  void loop();
  void on_turn();
  // Starts what may start; returns when to look again.
  xmpp::Instant run_login_queue(xmpp::Instant now);
  void connect(User& user, xmpp::Instant at);
  void make_client(User& user);
  void log_everybody_out();

  void on_bound(User& user);
  void on_stanza(User& user, const xmpp::Stanza& stanza);
  void on_ready_to_authenticate(User& user);
  void on_registered(User& user, const std::optional<xmpp::Stanza>& answer);
  void on_closed(User& user, const std::optional<xmpp::ClientFailure>& failure);
  void on_login_failed(User& user, const std::optional<xmpp::ClientFailure>& failure);

  const Options& options_;
  const std::uint32_t index_;
  const std::uint32_t run_;
  Counters& counters_;
  std::shared_ptr<xmpp::sasl::SaltedPasswordCache> passwords_;

  xmpp::SystemClock clock_;
  xmpp::OsRng rng_;
  std::unique_ptr<xmpp::net::Poller> poller_;
  xmpp::net::Reactor reactor_;
  xmpp::net::Offload offload_;
  xmpp::net::Resolver resolver_;
  std::shared_ptr<xmpp::TlsContext> tls_context_;
  std::vector<User> users_;
  std::unique_ptr<Scenario> scenario_;
  std::thread thread_;

  std::deque<User*> queue_;      // to log in
  std::uint32_t under_way_ = 0;  // logins
  std::uint32_t concurrency_ = 1;
  xmpp::Duration login_interval_{};  // zero: as fast as it goes
  xmpp::Instant next_login_{};
  xmpp::Instant next_turn_ = xmpp::kNever;
  std::size_t settled_users_ = 0;  // of the first round
  bool has_begun_ = false;
  bool is_done_ = false;
  bool is_finishing_ = false;
  xmpp::Instant finish_by_ = xmpp::kNever;

  LoginStats first_logins_;
  std::map<std::string, std::uint64_t> errors_;
  std::string mechanism_;
  mutable std::mutex mutex_;   // guards first_failure_
  std::string first_failure_;  // of a login or connection
};

class Swarm {
 public:
  explicit Swarm(const Options& options);

  void start();
  void begin(const Phases& phases);
  void end_early(xmpp::Instant now, xmpp::Instant drain_end);
  void finish();
  void join();

  [[nodiscard]] const Counters& counters() const noexcept { return counters_; }
  [[nodiscard]] std::size_t size() const noexcept { return shards_.size(); }
  [[nodiscard]] const std::vector<std::unique_ptr<Shard>>& shards() const noexcept {
    return shards_;
  }
  // Empty if nothing failed.
  [[nodiscard]] std::string first_failure() const;

 private:
  Counters counters_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace xmppbench
