// Shards: logging in and out, turns, errors.
#include "swarm.h"

#include <pthread.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <utility>

#include "failure.h"
#include "xmpp/xep/ping.h"
#include "xmpp/xep/register.h"

namespace xmppbench {
namespace {

using xmpp::Instant;
using xmpp::kNever;
using xmpp::Stanza;

// The kernel may wake us so much late; its default is 50 us, a third of a good server's latency.
constexpr unsigned long kTimerSlackNs = 1'000;
constexpr xmpp::Duration kLogoutTime = std::chrono::seconds(3);
// One salted password per account.
constexpr std::size_t kPasswordsMax = 1'000'000;

}  // namespace

Shard::Shard(const Options& options, std::uint32_t index, std::uint32_t run, Counters& counters,
             std::shared_ptr<xmpp::sasl::SaltedPasswordCache> passwords)
    : options_(options),
      index_(index),
      run_(run),
      counters_(counters),
      passwords_(std::move(passwords)),
      poller_(xmpp::net::make_epoll_poller()),
      reactor_(*poller_, clock_),
      offload_(1),
      resolver_(reactor_, offload_, rng_) {
  // Neighbours (1, 2), (3, 4)... stay together; pairs are dealt out in turn.
  for (std::size_t i = 0; i < options.accounts.size(); ++i) {
    if (i / 2 % options.reactors != index) continue;
    User& user = users_.emplace_back();
    user.number = static_cast<std::uint32_t>(i + 1);
    user.account = &options.accounts[i];
    user.is_registered = !options.registers;
    user.local = static_cast<std::uint32_t>(users_.size() - 1);
  }
  concurrency_ = std::max(1U, options.login_concurrency / options.reactors);
  if (options.login_rate > 0) {
    const double interval_us = 1e6 * options.reactors / options.login_rate;
    login_interval_ = xmpp::Duration(static_cast<xmpp::Duration::rep>(interval_us));
  }
  scenario_ = make_scenario(*this);
}

// After an exception it may still be running.
Shard::~Shard() {
  if (!thread_.joinable()) return;
  finish();
  thread_.join();
}

// ---- any thread
// ---------------------------------------------------------------------------------

void Shard::start() {
  thread_ = std::thread([this] {
    try {
      loop();
    } catch (const std::exception& error) {
      // The others' figures would mean nothing without ours.
      std::fprintf(stderr, "xmppbench: cannot go on: %s\n", error.what());
      std::_Exit(static_cast<int>(Exit::failed));
    }
  });
}

void Shard::begin(const Phases& phases) {
  reactor_.call([this, phases] {
    has_begun_ = true;
    scenario_->begin(phases);
  });
}

void Shard::end_early(Instant now, Instant drain_end) {
  reactor_.call([this, now, drain_end] { scenario_->end_early(now, drain_end); });
}

void Shard::finish() {
  reactor_.call([this] { log_everybody_out(); });
}

void Shard::join() {
  if (thread_.joinable()) thread_.join();
}

std::string Shard::first_failure() const {
  const std::lock_guard lock(mutex_);
  return first_failure_;
}

// ---- the loop
// -----------------------------------------------------------------------------------

void Shard::loop() {
  ::prctl(PR_SET_TIMERSLACK, kTimerSlackNs);
  ::pthread_setname_np(::pthread_self(), "xmppbench-shard");
  reactor_.at_end_of_turn([this] { on_turn(); });
  next_login_ = clock_.now();
  for (User& user : users_) log_in(user);
  if (users_.empty()) counters_.settled.fetch_add(1);
  next_turn_ = next_login_;
  while (true) {
    reactor_.turn(next_turn_);
    if (!is_finishing_) continue;
    const bool all_gone = std::all_of(users_.begin(), users_.end(), [](const User& user) {
      return !user.client || !user.client->is_active();
    });
    if (all_gone || clock_.now() >= finish_by_) break;
  }
  for (User& user : users_) user.client.reset();
}

void Shard::on_turn() {
  const Instant now = clock_.now();
  if (is_finishing_) {
    next_turn_ = finish_by_;
    return;
  }
  next_turn_ = std::min(run_login_queue(now), scenario_->on_turn(now));
  if (has_begun_ && !is_done_ && scenario_->is_done(now)) {
    is_done_ = true;
    counters_.done.fetch_add(1);
  }
}

Instant Shard::run_login_queue(Instant now) {
  while (!queue_.empty() && under_way_ < concurrency_) {
    Instant at = now;
    if (login_interval_ > xmpp::Duration::zero()) {
      if (next_login_ > now) return next_login_;
      at = next_login_;
      next_login_ += login_interval_;
    }
    User& user = *queue_.front();
    queue_.pop_front();
    connect(user, at);
  }
  return kNever;
}

// ---- logging in and out
// -------------------------------------------------------------------------

void Shard::log_in(User& user) {
  user.state = User::State::queued;
  queue_.push_back(&user);
}

void Shard::log_out(User& user) {
  user.state = User::State::logging_out;
  counters_.online.fetch_sub(1, std::memory_order_relaxed);
  user.client->close();
}

void Shard::connect(User& user, Instant at) {
  if (!user.client) make_client(user);
  user.state = User::State::logging_in;
  user.login_at = at;
  user.login_failed = false;
  user.registration_error.clear();
  ++under_way_;
  user.client->connect();
}

void Shard::make_client(User& user) {
  xmpp::ClientOptions client;
  // A resource of our own per run: a run does not push the sessions of another one out.
  static constexpr char kResource[] = "xb";
  auto jid = user.account->jid.with_resource(kResource + std::to_string(run_ % 100'000));
  client.jid = jid ? *std::move(jid) : user.account->jid;
  client.password = user.account->password;
  client.domain = user.account->jid.domain();
  if (!options_.target.empty()) client.targets = {options_.target};
  client.tls = options_.tls;
  client.verify_certificate = !options_.insecure;
  client.ca_file = options_.ca_file;
  client.mechanism = options_.sasl;
  // Only if asked for by name: servers that offer -PLUS without saying for which binding
  // (ejabberd 23.01 means tls-unique under TLS 1.3, too) could not be measured by default.
  client.channel_binding = options_.sasl.ends_with("-PLUS");
  client.plain_without_tls = options_.tls == xmpp::ClientOptions::Tls::none;
  client.pause_before_authentication = options_.registers;
  if (!options_.source_addresses.empty()) {
    client.local_address =
        options_.source_addresses[(user.number - 1) % options_.source_addresses.size()];
  }
  if (options_.tls != xmpp::ClientOptions::Tls::none) {
    // Without a context (bad --ca) each client fails with the reason.
    if (!tls_context_) {
      auto made = make_client_tls(client);
      if (made) tls_context_ = *std::move(made);
    }
    client.tls_context = tls_context_;
  }
  client.password_cache = passwords_;
  client.resolver = &resolver_;
  client.rng = &rng_;

  user.client = std::make_unique<xmpp::Client>(reactor_, std::move(client));
  user.client->on_bound([this, &user] { on_bound(user); });
  user.client->on_stanza([this, &user](const Stanza& stanza) { on_stanza(user, stanza); });
  user.client->on_ready_to_authenticate([this, &user] { on_ready_to_authenticate(user); });
  user.client->on_closed(
      [this, &user](const std::optional<xmpp::ClientFailure>& why) { on_closed(user, why); });
}

void Shard::log_everybody_out() {
  is_finishing_ = true;
  finish_by_ = clock_.now() + kLogoutTime;
  queue_.clear();
  for (User& user : users_) {
    if (user.client) user.client->close();
  }
}

// ---- events
// -------------------------------------------------------------------------------------

void Shard::on_bound(User& user) {
  const Instant now = clock_.now();
  --under_way_;
  user.state = User::State::online;
  user.is_registered = true;
  if (mechanism_.empty()) mechanism_ = user.client->mechanism();
  counters_.online.fetch_add(1, std::memory_order_relaxed);
  counters_.logins.fetch_add(1, std::memory_order_relaxed);
  if (is_finishing_) return;
  if (options_.sends_presence) {
    user.client->send(Stanza::presence());
  }
  if (has_begun_) {
    scenario_->on_online(user);
    return;
  }
  first_logins_.record(user.login_at, now);
  if (scenario_->prepare(user)) settle();
}

void Shard::settle() {
  if (++settled_users_ == users_.size()) counters_.settled.fetch_add(1);
}

void Shard::on_stanza(User& user, const Stanza& stanza) {
  if (stanza.is_request()) {
    // Servers ping and push; RFC 6120 8.2.3 wants an answer to everything.
    user.client->send(scenario_->on_request(user, stanza) || stanza.has<xmpp::xep::Ping>()
                          ? make_result(stanza)
                          : make_error(stanza, xmpp::StanzaCondition::service_unavailable));
    return;
  }
  scenario_->on_stanza(user, stanza);
}

void Shard::on_ready_to_authenticate(User& user) {
  if (user.is_registered) {
    user.client->start_authentication();
    return;
  }
  xmpp::xep::Register form;
  form.username = std::string(user.account->jid.local());
  form.password = user.account->password;
  Stanza request = Stanza::iq(xmpp::StanzaType::set, user.account->jid.domain_jid());
  request.add(form);
  user.client->iq(std::move(request), [this, &user](const std::optional<Stanza>& answer) {
    on_registered(user, answer);
  });
}

void Shard::on_registered(User& user, const std::optional<Stanza>& answer) {
  std::optional<xmpp::StanzaError> error;
  if (answer && answer->is_error()) {
    error = answer->error().value_or(xmpp::StanzaError());
  }
  const bool is_there = answer && (!error || error->condition == xmpp::StanzaCondition::conflict);
  if (is_there) {
    user.is_registered = true;
    user.client->start_authentication();
    return;
  }
  // Without an answer because the connection ended the reason is in on_closed(), which is due.
  if (!answer && user.client->stream() == nullptr) return;
  user.registration_error = describe_registration_failure(error);
  user.client->abort();
}

void Shard::on_closed(User& user, const std::optional<xmpp::ClientFailure>& failure) {
  const User::State before = std::exchange(user.state, User::State::offline);
  if (is_finishing_) return;
  if (before == User::State::logging_in) {
    on_login_failed(user, failure);
  } else if (before == User::State::online) {
    counters_.online.fetch_sub(1, std::memory_order_relaxed);
    std::string text = "connection lost: ";
    text += failure ? failure->text : std::string("closed by the server");
    note_error(text);
    const std::lock_guard lock(mutex_);
    if (first_failure_.empty()) first_failure_ = std::move(text);
  }
  if (has_begun_) scenario_->on_offline(user);
}

void Shard::on_login_failed(User& user, const std::optional<xmpp::ClientFailure>& failure) {
  --under_way_;
  user.login_failed = true;
  counters_.login_failed.fetch_add(1, std::memory_order_relaxed);
  std::string text = user.registration_error.empty() ? describe_login_failure(failure, options_)
                                                     : user.registration_error;
  note_error(text);
  {
    const std::lock_guard lock(mutex_);
    if (first_failure_.empty()) {
      first_failure_ = std::string(user.account->jid.str()) + " at " + std::move(text);
    }
  }
  if (has_begun_) return;
  ++first_logins_.failed;
  settle();
}

void Shard::note_error(const std::string& text) {
  counters_.errors.fetch_add(1, std::memory_order_relaxed);
  // Bounded, should the texts all differ.
  constexpr std::size_t kTextsMax = 50;
  if (errors_.size() < kTextsMax || errors_.contains(text)) ++errors_[text];
}

// ---- Swarm
// --------------------------------------------------------------------------------------

Swarm::Swarm(const Options& options) {
  xmpp::OsRng rng;
  const auto run = static_cast<std::uint32_t>(rng.next_u64());
  const std::shared_ptr<xmpp::sasl::SaltedPasswordCache> passwords =
      xmpp::sasl::make_salted_password_cache(kPasswordsMax);
  for (std::uint32_t index = 0; index < options.reactors; ++index) {
    shards_.push_back(std::make_unique<Shard>(options, index, run, counters_, passwords));
  }
}

void Swarm::start() {
  for (auto& shard : shards_) shard->start();
}
void Swarm::begin(const Phases& phases) {
  for (auto& shard : shards_) shard->begin(phases);
}
void Swarm::end_early(Instant now, Instant drain_end) {
  for (auto& shard : shards_) shard->end_early(now, drain_end);
}
void Swarm::finish() {
  for (auto& shard : shards_) shard->finish();
}
void Swarm::join() {
  for (auto& shard : shards_) shard->join();
}

std::string Swarm::first_failure() const {
  for (const auto& shard : shards_) {
    if (auto text = shard->first_failure(); !text.empty()) return text;
  }
  return {};
}

}  // namespace xmppbench
