#include "sim/sim_bounds.h"

#include <algorithm>

#include "xmpp/base/assert.h"

namespace sim {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaType;

namespace {

constexpr std::size_t kReaders = 6;
constexpr std::size_t kWritten = 80;
// Of those that are big; with what is around its body none has more than kAround bytes more.
constexpr std::size_t kBigWritten = 12;
constexpr std::size_t kBigBody = 4'000;
constexpr std::size_t kAround = 280;
constexpr std::string_view kId = "bound";
// In which everything has arrived, over the connections of this part.
constexpr Duration kWait = std::chrono::milliseconds(700);
// The same for more than a client may send at once.
constexpr Duration kBigWait = std::chrono::milliseconds(1'500);

}  // namespace

Bounds::Bounds(const Stage& stage, std::uint64_t seed) : stage_(stage) {
  // Whatever is around the bodies, as many fit.
  const std::size_t bytes = stage.limits.offline_bytes;
  XMPP_ASSERT(bytes / kBigBody == bytes / (kBigBody + kAround));
  for (const char* account : {"bounded@localhost", "writer@localhost"}) {
    stage_.world.add_account(account);
  }
  writer_ = std::make_unique<SimUser>(stage_.world, stage_.transcript, "w",
                                      Jid::from_prepared("writer@localhost/r"), seed * 100 + 40);
  writer_->on_stanza = [this](SimUser&, const Stanza& stanza) { on_answer(stanza); };
  for (std::size_t i = 0; i < kReaders; ++i) {
    auto user = std::make_unique<SimUser>(
        stage_.world, stage_.transcript, "v" + std::to_string(i),
        Jid::from_prepared("bounded@localhost/r" + std::to_string(i)), seed * 100 + 41 + i);
    user->on_stanza = [this](SimUser& who, const Stanza& stanza) { on_message(who, stanza); };
    readers_.push_back(std::move(user));
  }
}

void Bounds::next(Phase phase, Duration in) {
  phase_ = phase;
  next_at_ = stage_.world.now() + in;
}

void Bounds::act() {
  if (stage_.world.now() < next_at_) return;
  switch (phase_) {
    case Phase::quiet:
      if (!writer_->is_connected()) {
        writer_->connect(LinkQuality{});
      } else if (writer_->is_bound()) {
        write();
        next(Phase::written, is_big_ ? kBigWait : kWait);
      }
      break;
    case Phase::written:
      come();
      next(Phase::came, kWait);
      break;
    case Phase::came:
      count();
      read();
      next(Phase::reading, kWait);
      break;
    case Phase::reading:
      judge();
      go();
      next(Phase::quiet, kWait);
      break;
  }
}

void Bounds::write() {
  is_disturbed_ = stage_.has_faults;
  sent_.clear();
  refused_.clear();
  received_.clear();
  is_big_ = stage_.pick(2) == 0;
  kept_max_ = is_big_ ? stage_.limits.offline_bytes / kBigBody
                      : std::min(stage_.limits.offline_messages, stage_.limits.offline_per_sender);
  for (std::size_t i = 0; i < (is_big_ ? kBigWritten : kWritten); ++i) {
    const auto number = next_number_++;
    auto stanza = Stanza::message(StanzaType::chat, Jid::from_prepared("bounded@localhost"));
    stanza.envelope().id = std::string(kId) + std::to_string(number);
    stanza.add_text("body", std::string(is_big_ ? kBigBody : 1, 'x'));
    sent_.insert(number);
    writer_->send(stanza);
  }
}

void Bounds::come() {
  if (!is_disturbed_ && refused_.size() != sent_.size() - kept_max_) {
    stage_.fail("of " + std::to_string(sent_.size()) + " messages for an account that may keep " +
                std::to_string(kept_max_) + " there came back " + std::to_string(refused_.size()));
  }
  for (auto& user : readers_) user->connect(LinkQuality{});
}

void Bounds::count() {
  const auto bound = static_cast<std::size_t>(std::count_if(
      readers_.begin(), readers_.end(), [](const auto& user) { return user->is_bound(); }));
  if (bound > stage_.limits.sessions || (!is_disturbed_ && bound != stage_.limits.sessions)) {
    stage_.fail(std::to_string(bound) + " clients of an account got in that may have " +
                std::to_string(stage_.limits.sessions));
  }
}

void Bounds::read() {
  for (auto& user : readers_) {
    if (!user->is_bound()) continue;
    user->send(Stanza::presence(StanzaType::available));
    return;
  }
}

void Bounds::judge() {
  if (received_.size() > kept_max_) {
    stage_.fail(std::to_string(received_.size()) + " messages were kept, not " +
                std::to_string(kept_max_));
  }
  if (is_disturbed_) return;
  for (const auto number : sent_) {
    if (received_.contains(number) == refused_.contains(number)) {
      stage_.fail("message bound" + std::to_string(number) +
                  (received_.contains(number) ? " arrived and came back" : " is lost"));
    }
  }
}

void Bounds::go() {
  for (auto& user : readers_) {
    if (user->is_bound()) {
      user->close();
    } else if (user->is_connected()) {
      user->cut();
    }
  }
}

void Bounds::on_answer(const Stanza& stanza) {
  const auto number = number_after(stanza.id(), kId);
  if (stanza.is_message() && stanza.is_error() && !refused_.insert(number).second) {
    stage_.fail(stanza.id() + " came back twice");
  }
}

void Bounds::on_message(SimUser& user, const Stanza& stanza) {
  const auto number = number_after(stanza.id(), kId);
  if (!stanza.is_message() || stanza.is_error() || !sent_.contains(number)) return;
  const bool is_last = received_.empty() || *received_.rbegin() < number;
  if (!received_.insert(number).second) {
    if (!stage_.has_faults) stage_.fail(user.name() + " got " + stanza.id() + " twice");
  } else if (!is_last) {
    stage_.fail(user.name() + " got " + stanza.id() + " after " +
                std::to_string(*received_.rbegin()));
  }
}

// All are gone, and nobody knows what is stored.
void Bounds::on_crash() {
  sent_.clear();
  next(Phase::reading, kWait);
}

void Bounds::gather() {}

void Bounds::check() {}

void Bounds::leave() {
  go();
  if (writer_->is_bound()) writer_->close();
}

}  // namespace sim
