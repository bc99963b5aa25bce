#include "sim/sim_petition.h"

#include <algorithm>

namespace sim {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaType;

namespace {

constexpr std::size_t kTooMany = 3;
constexpr std::string_view kStar = "star@localhost";
// In which everything has arrived, over the connections of this part.
constexpr Duration kWait = std::chrono::milliseconds(700);

std::string account_of(std::size_t fan) {
  return "fan" + std::to_string(fan) + "@localhost";
}

}  // namespace

Petition::Petition(const Stage& stage, std::uint64_t seed) : stage_(stage) {
  stage_.world.add_account(std::string(kStar));
  star_ = std::make_unique<SimUser>(stage_.world, stage_.transcript, "star",
                                    Jid::from_prepared(std::string(kStar) + "/r"), seed * 100 + 89);
  // Requests are for who is available; it may come while they are made.
  star_->on_bound = [this](SimUser& user) { user.send(Stanza::presence(StanzaType::available)); };
  star_->on_stanza = [this](SimUser&, const Stanza& stanza) {
    if (stanza.is_presence() && stanza.type() == StanzaType::subscribe) {
      seen_.emplace(stanza.from().bare_str());
    }
  };
  for (std::size_t i = 0; i < stage.limits.requests + kTooMany; ++i) {
    stage_.world.add_account(account_of(i));
    fans_.push_back(
        std::make_unique<SimUser>(stage_.world, stage_.transcript, "fan" + std::to_string(i),
                                  Jid::from_prepared(account_of(i) + "/r"), seed * 100 + 90 + i));
  }
}

void Petition::next(Phase phase, Duration in) {
  phase_ = phase;
  next_at_ = stage_.world.now() + in;
}

void Petition::act() {
  if (stage_.world.now() < next_at_) return;
  switch (phase_) {
    case Phase::away:
      seen_.clear();
      for (auto& fan : fans_) {
        if (!fan->is_connected()) fan->connect(LinkQuality{});
      }
      if (stage_.pick(2) == 0) star_->connect(LinkQuality{});
      next(Phase::coming, kWait);
      break;
    case Phase::coming:
      ask();
      next(Phase::asked, kWait);
      break;
    case Phase::asked:
      if (!star_->is_connected()) star_->connect(LinkQuality{});
      next(Phase::judged, kWait);
      break;
    case Phase::judged:
      judge();
      refuse();
      next(Phase::refused, kWait);
      break;
    case Phase::refused:
      leave();
      next(Phase::away, kWait);
      break;
  }
}

void Petition::ask() {
  for (auto& fan : fans_) {
    if (!fan->is_bound()) {
      if (!stage_.has_faults) stage_.fail(fan->name() + " cannot get in");
      continue;
    }
    fan->send(Stanza::presence(StanzaType::subscribe, Jid::from_prepared(std::string(kStar))));
  }
}

void Petition::judge() {
  const std::size_t limit = stage_.limits.requests;
  if (seen_.size() > limit || (!stage_.has_faults && seen_.size() != limit)) {
    stage_.fail("of the requests of " + std::to_string(fans_.size()) + " accounts " +
                std::to_string(seen_.size()) + " wait for an answer, at most " +
                std::to_string(limit) + " may");
  }
}

// Those that were dropped are withdrawn.
void Petition::refuse() {
  for (auto& fan : fans_) {
    const auto jid = fan->jid().bare();
    if (!seen_.contains(std::string(jid.str()))) {
      if (!fan->is_bound()) continue;
      fan->send(Stanza::presence(StanzaType::unsubscribe, Jid::from_prepared(std::string(kStar))));
    } else if (star_->is_bound()) {
      star_->send(Stanza::presence(StanzaType::unsubscribed, jid));
    }
  }
}

void Petition::on_crash() {
  next(Phase::refused, kWait);
}

void Petition::leave() {
  for (auto& fan : fans_) {
    if (fan->is_bound()) {
      fan->close();
    } else if (fan->is_connected()) {
      fan->cut();
    }
  }
  if (star_->is_bound()) {
    star_->close();
  } else if (star_->is_connected()) {
    star_->cut();
  }
}

}  // namespace sim
