#include "sim/sim_strangers.h"

namespace sim {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaType;

namespace {

// In which everything has arrived, over the connections of this part; with a rate limit, too.
constexpr Duration kWait = std::chrono::milliseconds(2'500);
// The end of a connection takes this much longer at most.
constexpr Duration kEnd = std::chrono::seconds(4);
constexpr Duration kDeafLong = std::chrono::seconds(20);
constexpr std::size_t kGuessesMax = 6;
constexpr std::string_view kPolicyViolation = "<policy-violation";

std::string ping(const std::string& id, const std::string& attributes, const std::string& inside) {
  return "<iq type='get' to='localhost' id='" + id + "'><ping xmlns='urn:xmpp:ping'" + attributes +
         ">" + inside + "</ping></iq>";
}

std::string nested(std::size_t depth) {
  std::string text;
  for (std::size_t i = 0; i < depth; ++i) text += "<a>";
  for (std::size_t i = 0; i < depth; ++i) text += "</a>";
  return text;
}

std::string attributes(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += " a" + std::to_string(i) + "='x'";
  return text;
}

}  // namespace

namespace {

constexpr int kAddresses = 9;
std::string address_of(int number) {
  return "198.51.100." + std::to_string(number) + ":4000";
}

}  // namespace

Strangers::Strangers(const Stage& stage, std::uint64_t seed)
    : stage_(stage), loop_(stage.world.make_reactor()) {
  for (const char* account : {"stranger@localhost", "deaf@localhost", "speaker@localhost"}) {
    stage_.world.add_account(account);
  }
  for (int i = 1; i <= kAddresses; ++i) stage_.world.reserve_address(address_of(i));
  nobody_ = stage_.world.find_lone_name("nobody");
  speaker_ = std::make_unique<SimUser>(stage_.world, stage_.transcript, "s",
                                       Jid::from_prepared("speaker@localhost/r"), seed * 100 + 86);
}

std::unique_ptr<RawPeer> Strangers::make(const LinkQuality& quality, int address) {
  return std::make_unique<RawPeer>(stage_.world, loop_, quality, address_of(address));
}

void Strangers::act() {
  look_after_silent();
  switch (doing_) {
    case Doing::nothing:
      if (since_begun() > kWait) begin(static_cast<Doing>(1 + stage_.pick(4)));
      break;
    case Doing::crowding:
      if (since_begun() > kWait) judge_crowd();
      break;
    case Doing::breaking:
      if (since_begun() > kWait) judge_rules();
      break;
    case Doing::guessing:
      if (guess()) finish();
      break;
    case Doing::deaf:
      if (judge_deaf()) finish();
      break;
  }
}

void Strangers::begin(Doing doing) {
  doing_ = doing;
  begun_at_ = stage_.world.now();
  switch (doing) {
    case Doing::nothing:
      break;
    case Doing::crowding:
      crowd();
      break;
    case Doing::breaking:
      break_rules();
      break;
    case Doing::guessing:
      peers_.push_back(make({}, 4));
      guesses_ = 0;
      if (all_guesses_ == 0) guessing_since_ = begun_at_;
      peers_.front()->write(raw_header());
      break;
    case Doing::deaf:
      be_deaf();
      break;
  }
}

void Strangers::finish() {
  for (const auto& peer : peers_) {
    stage_.transcript.add(stage_.world.now(), "stranger", peer->seen());
  }
  peers_.clear();
  doing_ = Doing::nothing;
  begun_at_ = stage_.world.now();
}

// Somebody is always there who says nothing, or not enough.
void Strangers::look_after_silent() {
  if (silent_ != nullptr) {
    const auto until = stage_.limits.server.unauthenticated_timeout + kEnd;
    if (stage_.world.now() - silent_->made_at() < until) return;
    if (!silent_->is_over() || !silent_->saw("<connection-timeout")) {
      stage_.fail("who does not log in saw " + silent_->seen());
    }
  }
  let_go_of_silent();
  silent_ = make({}, 1);
  if (stage_.pick(2) == 0) silent_->write(raw_header());
}

void Strangers::let_go_of_silent() {
  if (silent_ == nullptr) return;
  stage_.transcript.add(stage_.world.now(), "silent", silent_->seen());
  silent_.reset();
}

// More connections of one address than it may have.
void Strangers::crowd() {
  const std::size_t count = stage_.limits.server.connections_per_address + 1 + stage_.pick(3);
  // They say nothing: who is refused would see a reset instead of the reason.
  for (std::size_t i = 0; i < count; ++i) peers_.push_back(make({}, 2));
}

void Strangers::judge_crowd() {
  if (since_begun() > stage_.limits.server.unauthenticated_timeout / 2) {
    finish();  // too late to see who was let in
    return;
  }
  std::size_t welcome = 0;
  std::size_t refused = 0;
  for (const auto& peer : peers_) {
    if (!peer->is_over()) ++welcome;
    if (peer->is_over() && peer->saw(kPolicyViolation)) ++refused;
  }
  const std::size_t limit = stage_.limits.server.connections_per_address;
  if (welcome != limit || refused != peers_.size() - limit) {
    stage_.fail("of " + std::to_string(peers_.size()) + " connections of an address " +
                std::to_string(welcome) + " were let in and " + std::to_string(refused) +
                " refused; the limit is " + std::to_string(limit));
  }
  finish();
}

void Strangers::break_rules() {
  const auto& limits = stage_.limits.server;
  std::string within;
  std::string beyond;
  switch (stage_.pick(3)) {
    case 0:
      within = ping("in", {}, std::string(limits.stanza_bytes - 200, 'x'));
      beyond = ping("out", {}, std::string(limits.stanza_bytes, 'x'));
      break;
    case 1:
      within = ping("in", {}, nested(limits.depth - 3));
      beyond = ping("out", {}, nested(limits.depth));
      break;
    default:
      within = ping("in", attributes(limits.attributes - 3), {});
      beyond = ping("out", attributes(limits.attributes + 1), {});
      break;
  }
  peers_.push_back(make({}, 3));
  peers_.front()->write(raw_login("stranger") + within + beyond + ping("late", {}, {}));
}

void Strangers::judge_rules() {
  const RawPeer& peer = *peers_.front();
  // With faults it may not have got in.
  const bool is_in = peer.saw("id='in'");
  const bool is_ended = peer.is_over() && peer.saw(kPolicyViolation);
  if (peer.saw("id='out'") || peer.saw("id='late'") ||
      (!stage_.has_faults && !(is_in && is_ended))) {
    stage_.fail("who broke the rules saw " + peer.seen());
  }
  finish();
}

// Wrong passwords, the next when the last one was answered.
bool Strangers::guess() {
  RawPeer& peer = *peers_.front();
  const auto& limits = stage_.limits.server;
  const std::size_t wrong = peer.count("<not-authorized");
  const std::size_t answered = wrong + peer.count("<temporary-auth-failure");
  if (!peer.is_over() && answered == guesses_ && guesses_ < kGuessesMax &&
      wrong < limits.auth_failures) {
    if (!peer.saw("<stream:features")) return since_begun() > kEnd + kWait;
    ++guesses_;
    peer.write(raw_auth(nobody_, "guess" + std::to_string(guesses_)));
    return false;
  }
  if (!peer.is_over() && since_begun() < kWait && guesses_ < kGuessesMax) return false;
  if (!peer.is_over() && answered < guesses_ && since_begun() < kWait) return false;
  all_guesses_ += wrong;
  const auto elapsed = stage_.world.now() - guessing_since_;
  const auto forgiven = static_cast<std::size_t>(elapsed / limits.auth_failures_decay);
  if (all_guesses_ > limits.auth_failures_per_account + forgiven + 1) {
    stage_.fail(std::to_string(all_guesses_) + " guesses were looked at");
  }
  const bool must_end = wrong == limits.auth_failures;
  if (wrong > limits.auth_failures ||
      (must_end && !stage_.has_faults && !peer.saw(kPolicyViolation))) {
    stage_.fail("who guessed " + std::to_string(guesses_) + " times saw " + peer.seen());
  }
  return true;
}

// Logs in and does not read; others write to it.
void Strangers::be_deaf() {
  LinkQuality quality;
  quality.window = 8'192;
  peers_.push_back(make(quality, 5));
  peers_.front()->write(raw_login("deaf"));
  has_spoken_ = false;
  if (!speaker_->is_connected()) speaker_->connect(LinkQuality{});
}

bool Strangers::judge_deaf() {
  RawPeer& peer = *peers_.front();
  const auto& limits = stage_.limits.server;
  if (!has_spoken_) {
    if (peer.is_over()) return true;  // it has said nothing for too long
    if (!peer.saw("id='b'") || !speaker_->is_bound()) return since_begun() > kDeafLong;
    has_spoken_ = true;
    begun_at_ = stage_.world.now();
    peer.stop_reading();
    const std::string text(stage_.limits.server.stanza_bytes / 2, 'x');
    for (std::size_t sent = 0; sent < 2 * limits.output_queue_bytes; sent += text.size()) {
      auto stanza = Stanza::message(StanzaType::headline, Jid::from_prepared("deaf@localhost/r"));
      stanza.add_text("body", text);
      speaker_->send(stanza);
    }
    return false;
  }
  const std::uint64_t ended = stage_.world.server().refusals().slow_peers;
  if (ended == slow_peers_ && since_begun() < kDeafLong) return false;
  if (ended > slow_peers_ + 1 || (!stage_.has_faults && ended == slow_peers_)) {
    stage_.fail("one did not read, and " + std::to_string(ended - slow_peers_) + " were ended");
  }
  slow_peers_ = ended;
  return true;
}

void Strangers::on_crash() {
  let_go_of_silent();
  all_guesses_ = 0;
  slow_peers_ = 0;
  finish();
}

void Strangers::leave() {
  let_go_of_silent();
  peers_.clear();
  if (speaker_->is_bound()) speaker_->close();
}

}  // namespace sim
