#include "sim/sim_laggard.h"

namespace sim {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaType;

namespace {

constexpr std::string_view kId = "lag";
constexpr std::size_t kTooMany = 5;
// Stanzas of others that count as well: its own presence, what was stored.
constexpr std::size_t kOthers = 5;
constexpr std::size_t kBigBody = 8'000;
// In which everything has arrived, over the connections of this part; with a rate limit, too.
constexpr Duration kWait = std::chrono::milliseconds(2'500);
// Who does not answer for a minute is given up.
constexpr Duration kOld = std::chrono::seconds(20);

// An id that is the beginning of another one would be found in that.
std::string id_of(std::uint64_t number) {
  return "id='" + std::string(kId) + std::to_string(number) + "'";
}

}  // namespace

Laggard::Laggard(const Stage& stage, std::uint64_t seed)
    : stage_(stage), loop_(stage.world.make_reactor()) {
  for (const char* account : {"laggard@localhost", "lagwriter@localhost"}) {
    stage_.world.add_account(account);
  }
  writer_ = std::make_unique<SimUser>(stage_.world, stage_.transcript, "lw",
                                      Jid::from_prepared("lagwriter@localhost/r"), seed * 100 + 87);
  writer_->on_stanza = [this](SimUser&, const Stanza& stanza) {
    const auto number = number_after(stanza.id(), kId);
    if (stanza.is_error() && number != 0 && !returned_.insert(number).second &&
        !stage_.has_faults) {
      stage_.fail(stanza.id() + " came back twice");
    }
  };
}

void Laggard::next(Phase phase, Duration in) {
  phase_ = phase;
  next_at_ = stage_.world.now() + in;
}

void Laggard::act() {
  if (!writer_->is_connected()) {
    writer_->connect(LinkQuality{});
    return;
  }
  if (!writer_->is_bound() || stage_.world.now() < next_at_) return;
  switch (phase_) {
    case Phase::quiet:
      peer_ = std::make_unique<RawPeer>(stage_.world, loop_, LinkQuality{}, std::string());
      peer_->write(raw_login("laggard") + "<enable xmlns='urn:xmpp:sm:3'/><presence/>");
      next(Phase::connecting, kWait);
      break;
    case Phase::connecting:
      if (stage_.world.now() - peer_->made_at() > kOld) {
        next(Phase::quiet, kWait);
      } else if (peer_->saw("<enabled")) {
        write();
        next(Phase::written, kWait);
      } else {
        if (!stage_.has_faults) stage_.fail("the laggard saw " + peer_->seen());
        next(Phase::quiet, kWait);
      }
      break;
    case Phase::written:
      judge_end();
      peer_ = std::make_unique<RawPeer>(stage_.world, loop_, LinkQuality{}, std::string());
      peer_->write(raw_login("laggard") + "<presence/>");
      next(Phase::back, kWait);
      break;
    case Phase::back:
      judge_messages();
      peer_->write("</stream:stream>");
      next(Phase::quiet, kWait);
      break;
  }
}

void Laggard::write() {
  sent_.clear();
  returned_.clear();
  const bool is_big = stage_.pick(2) == 0;
  const std::size_t count = is_big ? stage_.limits.unacknowledged_bytes / kBigBody + 1
                                   : stage_.limits.unacknowledged + kTooMany;
  expected_ = is_big ? count - 2 : stage_.limits.unacknowledged - kOthers;
  writer_->note("writes " + std::to_string(count) + " to who does not acknowledge");
  for (std::size_t i = 0; i < count; ++i) {
    const auto number = next_number_++;
    auto stanza = Stanza::message(StanzaType::chat, Jid::from_prepared("laggard@localhost/r"));
    stanza.envelope().id = std::string(kId) + std::to_string(number);
    stanza.add_text("body", std::string(is_big ? kBigBody : 1, 'x'));
    sent_.insert(number);
    writer_->send(stanza);
  }
}

void Laggard::judge_end() {
  stage_.transcript.add(stage_.world.now(), "laggard", peer_->seen());
  if (stage_.has_faults) return;
  const bool is_for_that =
      peer_->saw("<policy-violation") && peer_->saw("Too many unacknowledged stanzas");
  if (!peer_->is_over() || !is_for_that || peer_->count("id='" + std::string(kId)) < expected_) {
    stage_.fail("who acknowledges nothing of " + std::to_string(sent_.size()) + " messages saw " +
                peer_->seen());
  }
}

void Laggard::judge_messages() {
  const std::string& seen = peer_->seen();
  stage_.transcript.add(stage_.world.now(), "laggard", seen);
  if (stage_.has_faults) return;
  std::size_t last = 0;
  for (const auto number : sent_) {
    const std::string id = id_of(number);
    const std::size_t times = peer_->count(id);
    if (times + (returned_.contains(number) ? 1 : 0) != 1) {
      stage_.fail("of who did not acknowledge it, message " + id + " arrived " +
                  std::to_string(times) + " times" +
                  (returned_.contains(number) ? " and came back" : ""));
    }
    const std::size_t at = seen.find(id);
    if (at == std::string::npos) continue;
    if (at < last) stage_.fail("message " + id + " arrived before an earlier one");
    last = at;
  }
}

void Laggard::on_crash() {
  peer_.reset();
  next(Phase::quiet, kWait);
}

void Laggard::leave() {
  peer_.reset();
  if (writer_->is_bound()) writer_->close();
}

}  // namespace sim
