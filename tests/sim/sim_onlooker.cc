#include "sim/sim_onlooker.h"

#include <algorithm>

#include "xmpp/xep/ping.h"

namespace sim {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaType;

namespace {

constexpr std::string_view kStatus = "held";
constexpr std::string_view kAsked = "away?";
// In which everything has arrived, over the connections of this part.
constexpr Duration kWait = std::chrono::milliseconds(700);

}  // namespace

Onlooker::Onlooker(const Stage& stage, std::uint64_t seed) : stage_(stage) {
  for (const char* account : {"onlooker@localhost", "passer@localhost"}) {
    stage_.world.add_account(account);
  }
  onlooker_ =
      std::make_unique<SimUser>(stage_.world, stage_.transcript, "o",
                                Jid::from_prepared("onlooker@localhost/r"), seed * 100 + 88);
  onlooker_->on_stanza = [this](SimUser&, const Stanza& stanza) { on_stanza(stanza); };
  for (std::size_t i = 0; i < stage.limits.held; ++i) {
    const auto jid = Jid::from_prepared("passer@localhost/r" + std::to_string(i));
    friends_.push_back(std::make_unique<SimUser>(
        stage_.world, stage_.transcript, "p" + std::to_string(i), jid, seed * 100 + 89 + i));
  }
}

void Onlooker::next(Phase phase, Duration in) {
  phase_ = phase;
  next_at_ = stage_.world.now() + in;
}

bool Onlooker::is_everybody_there() const {
  return onlooker_->is_bound() && std::all_of(friends_.begin(), friends_.end(),
                                              [](const auto& user) { return user->is_bound(); });
}

void Onlooker::act() {
  if (stage_.world.now() < next_at_) return;
  if (!is_everybody_there()) {
    gather();
    next(Phase::coming, kWait);
    return;
  }
  switch (phase_) {
    case Phase::coming:
      look_away();
      next(Phase::away, kWait);
      break;
    case Phase::away:
      if (!is_inactive_) {
        if (!stage_.has_faults) stage_.fail("the onlooker gets no answer");
        next(Phase::coming, kWait);
        break;
      }
      for (std::size_t i = 0; i + 1 < friends_.size(); ++i) tell(*friends_[i]);
      next(Phase::told, kWait);
      break;
    case Phase::told:
      if (!seen_.empty()) {
        stage_.fail(std::to_string(seen_.size()) + " presences came to who looks away");
      }
      tell(*friends_.back());
      next(Phase::full, kWait);
      break;
    case Phase::full:
      if (seen_ != told_ && !stage_.has_faults) {
        stage_.fail("of " + std::to_string(told_.size()) + " presences, as many as may be held" +
                    " back, " + std::to_string(seen_.size()) + " came");
      }
      onlooker_->send_nonza("<active xmlns='urn:xmpp:csi:0'/>");
      next(Phase::coming, kWait);
      break;
  }
}

// The answer to a question behind it comes at once, and nothing is held back before that.
void Onlooker::look_away() {
  is_inactive_ = false;
  told_.clear();
  seen_.clear();
  onlooker_->send_nonza("<inactive xmlns='urn:xmpp:csi:0'/>");
  auto stanza = Stanza::iq(StanzaType::get, Jid::from_prepared("localhost"), std::string(kAsked));
  stanza.add(xmpp::xep::Ping{});
  onlooker_->send(stanza);
}

void Onlooker::tell(SimUser& friend_of_it) {
  const auto number = next_number_++;
  told_.insert(number);
  auto stanza = Stanza::presence(StanzaType::available, onlooker_->jid());
  stanza.add_text("status", std::string(kStatus) + std::to_string(number));
  friend_of_it.send(stanza);
}

void Onlooker::on_stanza(const Stanza& stanza) {
  if (stanza.id() == kAsked) is_inactive_ = true;
  if (!stanza.is_presence()) return;
  const auto number = number_after(stanza.child_text("status").value_or(""), kStatus);
  if (told_.contains(number) && !seen_.insert(number).second) {
    stage_.fail("presence " + std::to_string(number) + " came to who looked away twice");
  }
}

void Onlooker::on_crash() {
  told_.clear();
  seen_.clear();
  next(Phase::coming, kWait);
}

void Onlooker::gather() {
  if (!onlooker_->is_connected()) onlooker_->connect(LinkQuality{});
  for (auto& user : friends_) {
    if (!user->is_connected()) user->connect(LinkQuality{});
  }
}

void Onlooker::leave() {
  if (onlooker_->is_bound()) onlooker_->close();
  for (auto& user : friends_) {
    if (user->is_bound()) user->close();
  }
}

}  // namespace sim
