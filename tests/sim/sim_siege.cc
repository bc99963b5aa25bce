#include "sim/sim_siege.h"

#include <algorithm>

#include "core/activation.h"
#include "core/ownership.h"
#include "core/worker.h"
#include "xmpp/xep/ping.h"

namespace sim {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaCondition;
using xmpp::StanzaType;

namespace {

constexpr std::string_view kAskId = "siege-q";
constexpr std::string_view kPushId = "siege-m";
constexpr std::size_t kTooMany = 6;
constexpr std::size_t kAsked = 200;
constexpr std::size_t kPushed = 2'500;
// What a link reads in one go, in messages of this part; and what others have in a mailbox.
constexpr std::size_t kReadAtOnce = 1'000;
constexpr std::size_t kOthersMails = 300;
constexpr Duration kMoment = std::chrono::milliseconds(700);
// So long everything takes to arrive, also with a rate limit.
constexpr Duration kLong = std::chrono::seconds(8);
constexpr Duration kSlowWorker = std::chrono::milliseconds(150);

std::string account_of(std::size_t pusher) {
  return "pusher" + std::to_string(pusher) + "@localhost";
}

}  // namespace

Siege::Siege(const Stage& stage, std::uint64_t seed)
    : stage_(stage), loop_(stage.world.make_reactor()) {
  for (const char* account : {"besieger@localhost", "besieged@localhost"}) {
    stage_.world.add_account(account);
  }
  for (std::size_t i = 0; i < kPushers; ++i) {
    stage_.world.add_account(account_of(i));
    pushers_.push_back(
        std::make_unique<SimUser>(stage_.world, stage_.transcript, "push" + std::to_string(i),
                                  Jid::from_prepared(account_of(i) + "/r"), seed * 100 + 92 + i));
    pushers_.back()->on_stanza = [this, i](SimUser&, const Stanza& stanza) {
      on_stanza(i, stanza);
    };
  }
  target_ = std::make_unique<SimUser>(stage_.world, stage_.transcript, "besieged",
                                      Jid::from_prepared("besieged@localhost/r"), seed * 100 + 96);
  target_->on_stanza = [this](SimUser&, const Stanza& stanza) { on_message(stanza); };
}

void Siege::gather() {
  LinkQuality wide;  // who reads everything at once
  wide.window = 16 * 1024 * 1024;
  if (!target_->is_connected()) target_->connect(wide);
  for (auto& pusher : pushers_) {
    if (!pusher->is_connected()) pusher->connect(LinkQuality{});
  }
}

void Siege::check() {
  for (const auto& pusher : pushers_) {
    if (pusher->is_bound() && target_->is_bound()) continue;
    stage_.fail("those who besiege the server cannot get in");
    return;
  }
  // The accounts of those whose modules were replaced are read again now, and not meanwhile.
  for (auto& pusher : pushers_) push(*pusher, Jid::from_prepared("localhost"), 1);
  push(*target_, Jid::from_prepared("localhost"), 1);
  stage_.world.run_for(kMoment);
  switch (stage_.pick(4)) {
    case 0:
      fill_connections();
      break;
    case 1:
      fill_offload();
      break;
    case 2:
      fill_activation();
      break;
    default:
      fill_mailbox();
      break;
  }
}

void Siege::expect_service(const std::string& while_what) {
  answered_ = refused_ = {};
  push(*pushers_.front(), Jid::from_prepared("localhost"), 1);
  stage_.world.run_for(kMoment);
  if (answered_[0] != 1) stage_.fail("the server does not answer " + while_what);
}

// Requests to an account or the server.
void Siege::push(SimUser& pusher, const Jid& to, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    auto stanza =
        Stanza::iq(StanzaType::get, to, std::string(kAskId) + std::to_string(next_number_++));
    stanza.add(xmpp::xep::Ping{});
    pusher.send(stanza);
  }
}

void Siege::on_stanza(std::size_t pusher, const Stanza& stanza) {
  if (number_after(stanza.id(), kAskId) == 0) return;
  const bool is_refused =
      stanza.is_error() && stanza.error()->condition == StanzaCondition::resource_constraint;
  ++(is_refused ? refused_ : answered_)[pusher];
}

void Siege::on_message(const Stanza& stanza) {
  const auto number = number_after(stanza.id(), kPushId);
  if (number == 0) return;
  auto& last = last_[std::string(stanza.from().str())];
  if (number <= last) {
    stage_.fail(target_->name() + " got " + stanza.id() + " after " + std::to_string(last));
  }
  last = number;
  ++arrived_;
}

// Connections -------------------------------------------------------------------------------------

void Siege::fill_connections() {
  auto& server = stage_.world.server();
  const std::size_t limit = stage_.limits.server.connections;
  const std::size_t before = server.connection_count();
  // They say nothing: who is refused would see a reset instead of the reason.
  for (std::size_t i = before; i < limit + kTooMany; ++i) {
    peers_.push_back(std::make_unique<RawPeer>(stage_.world, loop_, LinkQuality{}, std::string()));
  }
  stage_.world.run_for(kMoment);
  std::size_t refused = 0;
  std::size_t over = 0;
  for (const auto& peer : peers_) {
    if (peer->is_over()) ++over;
    if (peer->is_over() && peer->saw("<policy-violation")) ++refused;
  }
  const std::size_t welcome = peers_.size() - over;
  const std::size_t others = server.connection_count() - welcome;  // some may have gone
  if (refused != over || welcome < limit - before || welcome > limit - others) {
    stage_.fail("with " + std::to_string(others) + " connections, of " +
                std::to_string(peers_.size()) + " more " + std::to_string(welcome) +
                " were let in and " + std::to_string(refused) + " refused; the limit is " +
                std::to_string(limit));
  }
  expect_service("while no more connections are let in");
  peers_.clear();
  stage_.world.run_for(std::chrono::seconds(3));
  if (server.connection_count() > before) {
    stage_.fail(std::to_string(server.connection_count()) + " connections stay of " +
                std::to_string(before) + " and many more");
  }
}

// Blocking jobs -----------------------------------------------------------------------------------

void Siege::fill_offload() {
  const std::size_t limit = stage_.limits.server.offload_queue;
  stage_.world.stall_offload(stage_.world.now() + kMoment);
  for (std::size_t i = 0; i < limit + kTooMany; ++i) {
    peers_.push_back(std::make_unique<RawPeer>(stage_.world, loop_, LinkQuality{}, std::string()));
    peers_.back()->write(raw_header() + raw_auth("besieger", kPassword));
  }
  expect_service("while no more blocking jobs are taken");
  stage_.world.run_for(2 * kMoment);
  std::size_t welcome = 0;
  std::size_t refused = 0;
  for (const auto& peer : peers_) {
    if (peer->saw("<success")) ++welcome;
    if (peer->saw("<temporary-auth-failure")) ++refused;
  }
  if (welcome != limit || refused != kTooMany) {
    stage_.fail("of " + std::to_string(peers_.size()) + " right passwords at a time " +
                std::to_string(welcome) + " were accepted and " + std::to_string(refused) +
                " refused; the limit is " + std::to_string(limit));
  }
  peers_.clear();
  stage_.world.run_for(std::chrono::seconds(3));
}

// Stanzas that wait for an account ----------------------------------------------------------------

void Siege::fill_activation() {
  const std::string sleeper = "sleeper" + std::to_string(sleepers_++) + "@localhost";
  stage_.world.add_account(sleeper);
  answered_ = refused_ = {};
  std::array<std::size_t, kPushers> expected{};
  std::size_t all = 0;
  stage_.world.stall_storage(stage_.world.now() + (kPushers + 1) * kMoment);
  for (std::size_t i = 0; i < kPushers; ++i) {
    push(*pushers_[i], Jid::from_prepared(sleeper), kAsked);
    stage_.world.run_for(kMoment);
    // Each gets at most half of what all others leave.
    while (expected[i] < kAsked && 2 * expected[i] < xmppd::kActivationBacklog - all) {
      ++expected[i];
      ++all;
    }
  }
  stage_.world.run_for(kLong);
  for (std::size_t i = 0; i < kPushers; ++i) {
    if (answered_[i] + refused_[i] != kAsked) {
      stage_.fail("of " + std::to_string(kAsked) + " requests to an account that was loaded, " +
                  std::to_string(answered_[i] + refused_[i]) + " were answered");
    } else if (!stage_.has_faults && answered_[i] != expected[i]) {
      // (With a short queue of the storage who sends much may have been stopped.)
      stage_.fail("of the requests of " + pushers_[i]->name() + " " + std::to_string(answered_[i]) +
                  " waited for an account, not " + std::to_string(expected[i]));
    }
  }
}

// Mail --------------------------------------------------------------------------------------------

void Siege::fill_mailbox() {
  auto& server = stage_.world.server();
  const auto& limits = stage_.limits.server;
  const std::size_t workers = server.worker_count();
  const std::size_t slow = xmppd::owner_of(target_->jid(), workers);
  last_.clear();
  arrived_ = 0;
  std::size_t sent = 0;
  std::size_t feeders = 0;
  auto& reactor = server.worker(slow).reactor();
  stage_.world.freeze(reactor, stage_.world.now() + kSlowWorker);
  for (auto& pusher : pushers_) {
    if (xmppd::owner_of(pusher->jid(), workers) == slow) continue;
    ++feeders;
    for (std::size_t i = 0; i < kPushed; ++i, ++sent) {
      auto stanza = Stanza::message(StanzaType::headline, target_->jid());
      stanza.envelope().id = std::string(kPushId) + std::to_string(next_number_++);
      pusher->send(stanza);
    }
  }
  stage_.world.run_for(kSlowWorker);
  const std::size_t most = limits.mailbox_depth + feeders * kReadAtOnce + kOthersMails;
  if (reactor.mail_depth() > most) {
    stage_.fail(std::to_string(reactor.mail_depth()) + " mails wait for a worker of " +
                std::to_string(feeders) + " who send much, at most " + std::to_string(most) +
                " should");
  }
  // With a rate it takes that long (and the mailbox is not filled): 2,500 messages of some 80
  // bytes.
  stage_.world.run_for(kLong);
  if (arrived_ != sent) {
    stage_.fail("of " + std::to_string(sent) + " messages through a slow worker " +
                std::to_string(arrived_) + " arrived");
  }
}

void Siege::leave() {
  peers_.clear();
  if (target_->is_bound()) target_->close();
  for (auto& pusher : pushers_) {
    if (pusher->is_bound()) pusher->close();
  }
}

}  // namespace sim
