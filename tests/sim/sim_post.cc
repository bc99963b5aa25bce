#include "sim/sim_post.h"

#include "xmpp/xep/delay.h"

namespace sim {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaType;

namespace {

constexpr std::size_t kCouriers = 4;  // the last one is plain
constexpr std::string_view kId = "post";
// Within this a server has certainly seen that a connection broke.
constexpr Duration kNoticed = std::chrono::milliseconds(50);
// Who is away for longer on purpose stays away.
constexpr Duration kLong = std::chrono::seconds(5);
// Who is back within this takes up its stream (resume_window is 2 s), noticed or not.
constexpr Duration kSoon = std::chrono::milliseconds(500);
// And that a client is gone without a word.
constexpr Duration kSilenceNoticed = std::chrono::seconds(45);

}  // namespace

Post::Post(const Stage& stage, std::uint64_t seed) : stage_(stage), seats_(kCouriers) {
  for (std::size_t i = 0; i < kCouriers; ++i) {
    const std::string account = "courier" + std::to_string(i) + "@localhost";
    stage_.world.add_account(account);
    seats_[i].courier = std::make_unique<Courier>(
        stage_.world, stage_.transcript, "p" + std::to_string(i),
        Jid::from_prepared(account + "/r"), i + 1 < kCouriers, seed * 100 + 50 + i);
    Courier& courier = *seats_[i].courier;
    courier.on_stanza = [this, i](Courier&, const Stanza& stanza) { on_stanza(i, stanza); };
    courier.on_acknowledged = [this](Courier& who, const std::string& id) {
      const auto found = letters_.find(number_after(id, kId));
      if (found == letters_.end()) return;
      // A disk that fails makes the server return a letter before it acknowledges it; who is not
      // there does not see that.
      if (stage_.has_faults && !(who.has_sm() && who.is_bound())) return;
      found->second.is_acknowledged = true;
    };
    courier.on_stream_error = [this](Courier& who, std::string_view condition) {
      // A newer connection, which may take up the stream.
      if (stage_.has_faults || condition == "conflict") return;
      stage_.fail(who.name() + " had its stream ended by " + std::string(condition));
    };
    courier.on_forgotten = [this](Courier& who) {
      if (!stage_.has_faults) stage_.fail(who.name() + " is told less than before by <resumed/>");
    };
    courier.on_fresh_stream = [this, i](Courier&) { on_return(seats_[i]); };
  }
}

// What waits for it is on its way from now on.
void Post::connect(std::size_t who) {
  for (auto& [number, letter] : letters_) {
    if (letter.to == who) letter.is_kept = false;
  }
  Seat& seat = seats_[who];
  seat.gone_at.reset();
  seat.must_resume = !stage_.has_faults && seat.courier->may_resume() && seat.broken_at &&
                     stage_.world.now() - *seat.broken_at < kSoon;
  seats_[who].courier->connect(stage_.random_quality());
}

void Post::note_gone() {
  for (Seat& seat : seats_) {
    const bool is_gone = !seat.courier->is_connected() || seat.courier->is_away();
    if (is_gone && !seat.gone_at) seat.gone_at = stage_.world.now();
  }
}

void Post::act() {
  note_gone();
  const std::size_t chosen = stage_.pick(kCouriers);
  Seat& seat = seats_[chosen];
  Courier& courier = *seat.courier;
  if (!courier.is_connected()) {
    if (stage_.world.now() >= seat.back_at) connect(chosen);
    return;
  }
  if (!courier.is_bound()) {
    if (courier.has_sm() && stage_.pick(30) == 0) break_off(seat);
    return;
  }
  seat.broken_at.reset();
  const std::size_t dice = stage_.pick(100);
  if (dice < 80) {
    write(chosen);
  } else if (dice < 90 && courier.has_sm()) {
    break_off(seat);
  } else if (dice < 93) {
    courier.leave();
    seat.back_at = stage_.world.now() + std::chrono::milliseconds(stage_.rng.below(300));
  }
}

// Its connection breaks, or its machine does and nobody is told. It comes back mostly soon;
// sometimes after the server has given the session up.
void Post::break_off(Seat& seat) {
  if (seat.courier->is_bound()) {
    seat.broken_at = stage_.world.now();
    seat.reloads = stage_.world.reloads;
  }
  const bool is_silent = stage_.pick(2) == 0;
  std::uint64_t wait = stage_.pick(6) == 0 ? 4'000 : 100;
  if (is_silent) {
    seat.courier->fall_silent();
    seat.gone_at = stage_.world.now() + kSilenceNoticed;
    if (stage_.pick(4) == 0) seat.courier->forget();
    if (stage_.pick(3) == 0) wait = 45'000;
  } else {
    seat.courier->cut();
  }
  seat.back_at = stage_.world.now() + std::chrono::milliseconds(stage_.rng.below(wait));
}

void Post::write(std::size_t from) {
  const std::size_t to = stage_.pick(kCouriers);
  if (to == from) return;
  const auto number = next_number_++;
  auto stanza = Stanza::message(StanzaType::chat, seats_[to].courier->jid().bare());
  stanza.envelope().id = std::string(kId) + std::to_string(number);
  stanza.add_text("body", std::to_string(from) + std::string(stage_.pick(60), '.'));
  const auto gone_at = seats_[to].gone_at;
  const bool is_kept = gone_at && *gone_at + kNoticed <= stage_.world.now();
  letters_[number] = {.from = from, .to = to, .is_kept = is_kept};
  seats_[from].courier->send(stanza);
}

// A stream of its own, which is not the one before.
void Post::on_return(Seat& seat) {
  // (Whose modules were replaced is looked up first.)
  if (seat.must_resume && stage_.world.reloads == seat.reloads) {
    stage_.fail(seat.courier->name() + " was back soon, but cannot take up its stream");
  }
  seat.may_repeat.merge(seat.seen_here);
  seat.seen_here.clear();
  seat.last_here.clear();
}

void Post::on_stanza(std::size_t to, const Stanza& stanza) {
  if (!stanza.is_message()) return;
  const auto number = number_after(stanza.id(), kId);
  if (stanza.is_error()) {
    if (!stage_.has_faults) stage_.fail("letter " + std::to_string(number) + " was refused");
    letters_.erase(number);
    return;
  }
  if (number < first_since_crash_) {
    letters_.erase(number);
    return;
  }
  Seat& seat = seats_[to];
  const std::string what = seat.courier->name() + " got letter " + std::to_string(number);
  const auto from = static_cast<std::size_t>(
      number_after(stanza.child_text("body").value_or("").substr(0, 1), ""));
  auto& last_here = seat.last_here[from];
  auto& last = seat.last[from];
  // A stored message whose removal failed is delivered again at the next opportunity.
  const bool may_come_twice = stage_.has_faults && stanza.has<xmpp::xep::Delay>();
  if (may_come_twice) {
    letters_.erase(number);
    return;
  }
  if (number <= last_here) {
    stage_.fail(what + (number == last_here ? " twice" : " after " + std::to_string(last_here)));
  } else if (number <= last && !seat.may_repeat.contains(number)) {
    stage_.fail(what + " again, or after " + std::to_string(last));
  }
  last_here = number;
  last = std::max(last, number);
  seat.may_repeat.erase(number);
  seat.seen_here.insert(number);
  letters_.erase(number);
}

void Post::on_crash() {
  for (Seat& seat : seats_) {
    // What had been handed over may be handed over again, and out of turn.
    seat.last.clear();
    seat.last_here.clear();
  }
  first_since_crash_ = next_number_;
  // What was on its way through memory and connections is lost.
  std::erase_if(letters_, [this](const auto& entry) {
    const Letter& letter = entry.second;
    return !seats_[letter.from].courier->has_sm() || !letter.is_acknowledged || !letter.is_kept;
  });
}

void Post::gather() {
  for (std::size_t i = 0; i < kCouriers; ++i) {
    if (!seats_[i].courier->is_connected() && !is_long_away(seats_[i])) connect(i);
  }
}

void Post::check() {
  for (const auto& [number, letter] : letters_) {
    if (!letter.is_acknowledged || is_long_away(seats_[letter.to])) continue;
    stage_.fail("letter " + std::to_string(number) + " from p" + std::to_string(letter.from) +
                " to p" + std::to_string(letter.to) + " was acknowledged and is lost");
  }
  std::erase_if(letters_,
                [this](const auto& entry) { return !is_long_away(seats_[entry.second.to]); });
}

// Its silence is to last until the server has noticed it; so no audit brings it back.
bool Post::is_long_away(const Seat& seat) const {
  return !seat.courier->is_connected() &&
         seat.back_at > seat.broken_at.value_or(seat.back_at) + kLong;
}

void Post::leave() {
  for (Seat& seat : seats_) {
    if (seat.courier->is_bound()) seat.courier->leave();
  }
}

}  // namespace sim
