#include "sim/sim_workload.h"

#include <algorithm>
#include <charconv>

#include "core/backstop.h"
#include "core/worker.h"
#include "sim/sim_blocking.h"
#include "sim/sim_bounds.h"
#include "sim/sim_carbons.h"
#include "sim/sim_curious.h"
#include "sim/sim_fleet.h"
#include "sim/sim_hosts.h"
#include "sim/sim_idle.h"
#include "sim/sim_keeper.h"
#include "sim/sim_kinds.h"
#include "sim/sim_laggard.h"
#include "sim/sim_onlooker.h"
#include "sim/sim_operator.h"
#include "sim/sim_outsider.h"
#include "sim/sim_petition.h"
#include "sim/sim_post.h"
#include "sim/sim_quota.h"
#include "sim/sim_siege.h"
#include "sim/sim_strangers.h"
#include "sim/sim_tenants.h"
#include "xmpp/xep/delay.h"
#include "xmpp/xep/ping.h"
#include "xmppd/storage.h"

namespace sim {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaType;

namespace {

constexpr std::uint64_t kActGapMicroseconds = 4'000;
// Now and then nobody does anything for so long: sessions that wait for their clients end.
constexpr std::uint64_t kLullMicroseconds = 4'000'000;
constexpr std::size_t kLullOneIn = 150;
constexpr Duration kFarewell = std::chrono::minutes(3);
constexpr std::size_t kFailuresKept = 20;
constexpr std::uint64_t kAuditSteps = 6'000;
constexpr Duration kRest = std::chrono::seconds(10);
// Within this the server has noticed that a client is gone, and dealt with it.
constexpr Duration kSilenceOver = std::chrono::seconds(45);

// Every third account of the crowd is on the other host, to whose users it is as near.
std::string account_of(std::size_t number) {
  return "user" + std::to_string(number) + (number % 3 == 1 ? "@second.example" : "@localhost");
}

std::string life_name(const SimUser& user) {
  return user.name() + "#" + std::to_string(user.life());
}

std::string key_of(const SimUser& receiver, std::string_view id) {
  return receiver.name() + ": " + std::string(id);
}

}  // namespace

std::string config_of(const TightLimits& limits) {
  return limits.config() + std::string(Tenants::kConfig) + kHosts;
}

Workload::Workload(SimWorld& world, Transcript& transcript, std::size_t clients, std::uint64_t seed,
                   const TightLimits* limits, SimDisk* disk)
    : world_(world),
      rng_(seed ^ 0x776f'726bULL),
      transcript_(transcript),
      watch_(world, [this](std::string text) { fail(std::move(text)); }),
      silence_(world, [this](std::string text) { fail(std::move(text)); }) {
  world_.on_step = [this] {
    watch_.sample();
    silence_.sample();
  };
  // About two clients per account, so that accounts have several sessions.
  const std::size_t accounts = clients / 2 + 1;
  for (std::size_t i = 0; i < accounts; ++i) {
    world_.add_account(account_of(i));
  }
  for (std::size_t i = 0; i < clients; ++i) {
    const auto jid = Jid::parse(account_of(i % accounts) + "/r" + std::to_string(i / accounts));
    auto user = std::make_unique<SimUser>(world_, transcript_, "c" + std::to_string(i), *jid,
                                          seed * 100 + i);
    user->on_stanza = [this](SimUser& who, const Stanza& stanza) { on_stanza(who, stanza); };
    user->on_end = [this](SimUser& who) { on_end(who); };
    user->on_stream_error = [this](SimUser& who, const xmpp::StreamFailed& failed) {
      on_stream_error(who, failed);
    };
    users_.push_back(std::move(user));
  }
  social_ = std::make_unique<Social>(
      users_, rng_, [this](std::string text) { fail(std::move(text)); },
      [this](const std::string& account) { return list_requests(account); });
  for (std::size_t i = 0; i < accounts; ++i) {
    social_->add_account(account_of(i));
  }
  if (limits != nullptr) add_parts(seed, *limits, disk != nullptr);
  if (disk != nullptr) {
    faults_ = std::make_unique<Faults>(world_, *disk, rng_);
    social_->expect_faults();
  }
}

void Workload::add_parts(std::uint64_t seed, const TightLimits& limits, bool has_faults) {
  const Stage stage{.world = world_,
                    .transcript = transcript_,
                    .rng = rng_,
                    .fail = [this](std::string text) { fail(std::move(text)); },
                    .random_quality = [this] { return random_quality(); },
                    .limits = limits,
                    .has_faults = has_faults};
  parts_.push_back(std::make_unique<Post>(stage, seed));
  parts_.push_back(std::make_unique<Blocking>(stage, seed));
  parts_.push_back(std::make_unique<Copies>(stage, seed));
  parts_.push_back(std::make_unique<Keeper>(stage, seed));
  parts_.push_back(std::make_unique<Bounds>(stage, seed));
  parts_.push_back(std::make_unique<Idle>(stage, seed));
  parts_.push_back(std::make_unique<Kinds>(stage, seed));
  parts_.push_back(std::make_unique<Curious>(stage, seed));
  // Not with faults: a change that is under way knows the server that it changes.
  std::shared_ptr<Console> console;
  if (!has_faults) console = std::make_shared<Console>(stage, seed);
  if (console) parts_.push_back(std::make_unique<Operator>(stage, console, seed));
  parts_.push_back(std::make_unique<Fleet>(stage, seed));
  parts_.push_back(std::make_unique<Quota>(stage, seed));
  parts_.push_back(std::make_unique<Laggard>(stage, seed));
  parts_.push_back(std::make_unique<Onlooker>(stage, seed));
  parts_.push_back(std::make_unique<Petition>(stage, seed));
  parts_.push_back(std::make_unique<Siege>(stage, seed));
  // Last: their names have to differ from all others.
  parts_.push_back(std::make_unique<Tenants>(stage, seed));
  parts_.push_back(std::make_unique<Strangers>(stage, seed));
  parts_.push_back(std::make_unique<Outsider>(stage));
  if (console) parts_.push_back(std::make_unique<Hosts>(stage, console, seed));
}

Workload::~Workload() {
  world_.on_step = nullptr;
}

void Workload::run(std::uint64_t steps) {
  for (std::uint64_t i = 0; i < steps && failures_.size() < kFailuresKept; ++i) {
    if (world_.now() >= next_act_) {
      act();
      const bool is_lull = !parts_.empty() && pick(kLullOneIn) == 0;
      const auto gap = is_lull ? kLullMicroseconds : kActGapMicroseconds;
      next_act_ = world_.now() + Duration(static_cast<Duration::rep>(1 + rng_.below(gap)));
    }
    (void)world_.step(next_act_);
    if (faults_ != nullptr && (faults_->has_crashed() || faults_->take_kill())) restart();
    if ((i + 1) % kAuditSteps == 0) audit();
  }
}

bool Workload::has_bound(const Jid& account) const {
  return std::any_of(users_.begin(), users_.end(), [&](const auto& user) {
    return user->is_bound() && user->jid().bare_equals(account);
  });
}

void Workload::restart() {
  const bool has_power_failed = faults_->has_crashed();
  transcript_.add(world_.now(), "all", has_power_failed ? "power cut" : "kill");
  faults_->stop();
  if (has_power_failed) {
    faults_->note_power_cut();
    world_.crash_and_restart();
  } else {
    world_.kill_and_restart();
  }
  social_->on_crash();
  // Nobody is owed anything by a server that is gone.
  expected_.clear();
  for (auto& part : parts_) part->on_crash();
}

void Workload::check_parts() {
  if (parts_.empty()) return;
  for (int round = 0; round < 2; ++round) {  // some are on their way out at first
    for (auto& part : parts_) part->gather();
    world_.run_for(kRest);
  }
  for (auto& part : parts_) part->check();
}

void Workload::audit() {
  transcript_.add(world_.now(), "all", "audit");
  if (faults_ != nullptr) faults_->stop();
  check_parts();
  world_.run_for(kRest);
  for (int round = 0; round < 2; ++round) {  // some may still be on their way out
    for (auto& user : users_) {
      if (has_bound(user->jid())) continue;
      if (!user->is_connected()) go_online(*user);
      world_.run_for(kRest);
    }
  }
  (void)world_.run_until([this] { return !silence_.sees_any(); }, world_.now() + kSilenceOver);
  world_.run_for(kRest);
  social_->begin_audit();
  world_.run_for(kRest);
  social_->finish_audit();
}

std::set<std::string> Workload::list_requests(const std::string& account) {
  const auto who = Jid::from_prepared(account);
  const auto record = world_.server().storage().read_blocking(
      who, [](xmppd::Tx& tx, const Jid& owner) { return tx.rosters().load(owner); }, who);
  std::set<std::string> waiting;
  if (!record) {
    fail("the roster of " + account + " cannot be read: " + record.error().text);
    return waiting;
  }
  for (const auto& contact : record->contacts) {
    if (!contact.request.empty()) waiting.emplace(contact.jid.str());
  }
  return waiting;
}

void Workload::act() {
  if (faults_ != nullptr) faults_->act();
  if (!parts_.empty() && pick(3) == 0) {
    parts_[pick(parts_.size())]->act();
    return;
  }
  SimUser& user = random_user();
  if (!user.is_connected()) {
    if (world_.now() >= back_at_[&user]) go_online(user);
    return;
  }
  if (!user.is_bound()) {
    // Logging in, or waiting for the end: sometimes the connection breaks right then.
    if (pick(50) == 0) user.cut();
    return;
  }
  const std::size_t dice = pick(100);
  if (dice < 35) {
    say(user);
  } else if (dice < 45) {
    ask(user);
  } else if (dice < 70) {
    social_->act(user);
  } else if (dice < 92) {
    change_presence(user);
  } else if (dice < 95) {
    user.note("freezes");
    world_.freeze(user.reactor(), world_.now() + std::chrono::milliseconds(1 + pick(300)));
  } else if (dice < 97) {
    user.close();
  } else if (dice < 98) {
    user.vanish();
  } else if (!parts_.empty() && pick(2) == 0) {
    fall_silent(user);
  } else {
    user.cut();
  }
}

// Comes back at once, or after the server has noticed. (Without parts limits are the defaults: it
// would take minutes.)
void Workload::fall_silent(SimUser& user) {
  user.fall_silent();
  silent_at_[std::string(user.jid().bare_str())] = world_.clock().wall();
  const std::uint64_t wait = pick(3) == 0 ? 45'000 : 300;
  back_at_[&user] = world_.now() + std::chrono::milliseconds(rng_.below(wait));
}

// Was it stored before the server had noticed that a client of this account has gone silent?
bool Workload::is_from_silence(const Jid& account, const Stanza& stanza) const {
  const auto found = silent_at_.find(std::string(account.bare_str()));
  const auto delay = stanza.get<xmpp::xep::Delay>();
  return found != silent_at_.end() && delay && *delay &&
         (*delay)->stamp < found->second + kSilenceOver;
}

LinkQuality Workload::random_quality() {
  LinkQuality quality;
  quality.delay_min = Duration(static_cast<Duration::rep>(1 + rng_.below(2'000)));
  quality.delay_max = quality.delay_min + Duration(static_cast<Duration::rep>(rng_.below(20'000)));
  if (pick(2) == 0) quality.fragment_max = 1 + pick(200);
  if (pick(3) == 0) quality.window = 300 + pick(4'000);
  return quality;
}

void Workload::go_online(SimUser& user) {
  ++logins_;
  user.connect(random_quality());
}

// A chat message with a number of its own; to a session or to an account.
void Workload::say(SimUser& user) {
  SimUser& peer = random_user();
  const bool is_to_bare = pick(3) == 0;
  auto stanza = Stanza::message(StanzaType::chat, is_to_bare ? peer.jid().bare() : peer.jid());
  const auto number = next_number_++;
  stanza.envelope().id = "m" + std::to_string(number);
  std::string body = life_name(user) + " " + std::to_string(number) + " ";
  body.append(pick(20) == 0 ? pick(5'000) : pick(50), '.');
  stanza.add_text("body", body);
  ++sent_;
  // Whoever is certainly there must get it.
  for (auto& other : users_) {
    const bool is_addressed = is_to_bare
                                  ? other->jid().bare_equals(peer.jid()) && other->is_available()
                                  : other.get() == &peer && other->is_bound();
    if (!is_addressed) continue;
    expected_[key_of(*other, stanza.id())] = {life_of(*other), life_of(user),
                                              "message " + stanza.id() + " from " + life_name(user),
                                              is_to_bare};
  }
  user.send(stanza);
}

void Workload::ask(SimUser& user) {
  const auto id = "q" + std::to_string(next_number_++);
  Jid to;
  Life peer{nullptr, 0};
  switch (pick(3)) {
    case 0:
      to = Jid::from_prepared(pick(2) == 0 ? "localhost" : "second.example");
      break;
    case 1:
      to = user.jid().bare();
      break;
    default: {
      SimUser& other = random_user();
      if (!other.is_bound()) return;
      to = other.jid();
      peer = life_of(other);
      break;
    }
  }
  auto stanza = Stanza::iq(StanzaType::get, to, id);
  stanza.add(xmpp::xep::Ping{});
  ++requests_;
  asked_.insert(key_of(user, id));
  expected_[key_of(user, id)] = {life_of(user), peer, "answer to " + id};
  user.send(stanza);
}

void Workload::change_presence(SimUser& user) {
  const bool goes = user.is_available() && pick(4) == 0;
  auto stanza = Stanza::presence(goes ? StanzaType::unavailable : StanzaType::available);
  const auto status = std::to_string(next_number_++);
  stanza.add_text("status", status);
  if (pick(4) == 0) {
    // Directed: seen by one, remembered by the server until the session ends.
    stanza.envelope().to = random_user().jid();
    if (pick(3) == 0) stanza.envelope().to = stanza.to().bare();
  } else if (goes) {
    user.becomes_unavailable();
    std::erase_if(expected_, [life = life_of(user)](const auto& entry) {
      return entry.second.is_for_available && entry.second.receiver == life;
    });
  } else {
    user.becomes_available(status);
    stanza.add_text("priority", std::to_string(static_cast<int>(pick(4))));
  }
  social_->tell(user, stanza.type(), stanza.to(), status);
  user.send(stanza);
}

void Workload::on_stanza(SimUser& user, const Stanza& stanza) {
  if (social_->on_stanza(user, stanza)) return;
  if (stanza.is_message() && stanza.type() == StanzaType::chat) {
    on_message(user, stanza);
  } else if (stanza.is_iq() && !stanza.is_request()) {
    const auto asked = asked_.find(key_of(user, stanza.id()));
    // (A life may get an answer to the question of an earlier one: its address is the same.)
    if (asked == asked_.end()) {
      fail(life_name(user) + " got an answer to what it did not ask, or twice: " + stanza.id());
    } else {
      asked_.erase(asked);
    }
    expected_.erase(key_of(user, stanza.id()));
  } else if (stanza.is_iq() && stanza.is_request() && user.is_bound()) {
    user.send(xmpp::make_result(stanza));
  }
}

void Workload::on_message(SimUser& user, const Stanza& stanza) {
  ++received_;
  const auto body = stanza.child_text("body").value_or("");
  const auto space = body.find(' ');
  std::uint64_t number = 0;
  if (space == std::string::npos ||
      std::from_chars(body.data() + space + 1, body.data() + body.size(), number).ec !=
          std::errc()) {
    fail(life_name(user) + " got a message that nobody sent: " + body);
    return;
  }
  // What was sent to the account, and may have been stored, has an order of its own: it can be
  // overtaken by what was sent to a session that was not yet available.
  const bool is_of_account = stanza.to() != user.jid() || stanza.has<xmpp::xep::Delay>();
  expected_.erase(key_of(user, stanza.id()));
  // A stored message whose removal failed is delivered again at the next opportunity.
  if (is_of_account && faults_ != nullptr) return;
  // One that was on its way to who is gone without a word holds up what comes later, but not for as
  // long as it takes to notice; it comes when somebody takes messages again.
  if (is_from_silence(user.jid(), stanza)) return;
  auto& last = last_seen_[{life_name(user) + (is_of_account ? " account" : " session"),
                           body.substr(0, space)}];
  if (number <= last) {
    fail(life_name(user) + " got message " + std::to_string(number) + " of " +
         body.substr(0, space) + (number == last ? " twice" : " after " + std::to_string(last)));
  }
  last = number;
}

// What an ended life was to get, or to be the sender of, may be lost. (A sender that closed in
// order has been heard to the end, but its bytes may have been under way when the clock of another
// fault struck; the order checker still covers them.)
void Workload::on_end(SimUser& user) {
  social_->on_end(user);
  const Life life = life_of(user);
  std::erase_if(expected_, [&](const auto& entry) {
    return entry.second.receiver == life || entry.second.peer == life;
  });
}

// These clients do nothing wrong, so only a newer connection may end their streams by an error, and
// what the server writes must be a stream.
void Workload::on_stream_error(SimUser& user, const xmpp::StreamFailed& failed) {
  if (failed.by_peer && failed.error.condition == xmpp::StreamCondition::conflict) return;
  // With faults storage may be slow and its queue short: no mechanism gets an answer.
  if (faults_ != nullptr && !failed.by_peer &&
      failed.error.condition == xmpp::StreamCondition::not_authorized) {
    return;
  }
  fail(life_name(user) + " had its stream ended by " +
       std::string(to_string(failed.error.condition)) + " " + failed.error.text +
       (failed.by_peer ? " from the server" : " because of what the server wrote"));
}

void Workload::finish() {
  if (faults_ != nullptr) faults_->stop();
  check_parts();
  world_.run_for(std::chrono::seconds(10));
  for (auto& part : parts_) part->leave();
  for (const auto& [key, missing] : expected_) {
    fail("lost: " + missing.what + " for " + life_name(*missing.receiver.first));
  }
  for (auto& user : users_) {
    if (user->is_bound()) {
      user->close();
    } else if (user->is_connected()) {
      fail(life_name(*user) + " hangs: connected, but neither bound nor ended");
      user->cut();
    }
  }
  world_.run_for(kFarewell);
  check_nothing_left();
}

void Workload::check_nothing_left() {
  auto& server = world_.server();
  const auto expect_none = [this](std::size_t count, std::string_view what) {
    if (count != 0) fail("left at the end: " + std::to_string(count) + " " + std::string(what));
  };
  expect_none(server.session_count(), "sessions");
  expect_none(server.connection_count(), "connections");
  expect_none(server.storage().depth(), "storage operations");
  expect_none(server.offload().pending(), "offloaded jobs");
  expect_none(xmppd::exception_count(), "exceptions out of modules");
  for (std::size_t i = 0; i < server.worker_count(); ++i) {
    auto& worker = server.worker(i);
    expect_none(worker.link_count(), "links");
    expect_none(worker.accounts().count_used(), "accounts in use");
    expect_none(worker.reactor().mail_depth(), "mails");
  }
}

void Workload::fail(std::string text) {
  transcript_.add(world_.now(), "FAILED", text);
  failures_.push_back(std::move(text));
}

std::string Workload::summary() const {
  return std::to_string(logins_) + " logins, " + std::to_string(sent_) + " messages sent, " +
         std::to_string(received_) + " received, " + std::to_string(requests_) + " requests" +
         (faults_ == nullptr ? std::string() : ", " + faults_->summary()) + "; " +
         silence_.summary() + "; " + watch_.summary();
}

}  // namespace sim
