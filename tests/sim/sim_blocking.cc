#include "sim/sim_blocking.h"

#include "xmpp/xep/blocking.h"
#include "xmpp/xep/ping.h"

namespace sim {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaType;
namespace xep = xmpp::xep;

namespace {

constexpr std::string_view kChangeId = "block";
constexpr std::string_view kListId = "list";
constexpr std::string_view kNoteId = "note";

// One of them on the other host.
std::string account_of(std::size_t user) {
  return "blocker" + std::to_string(user) + (user == 0 ? "@second.example" : "@localhost");
}

}  // namespace

Blocking::Blocking(const Stage& stage, std::uint64_t seed) : stage_(stage) {
  for (std::size_t i = 0; i < kUsers; ++i) {
    stage_.world.add_account(account_of(i));
    auto user =
        std::make_unique<SimUser>(stage_.world, stage_.transcript, "b" + std::to_string(i),
                                  Jid::from_prepared(account_of(i) + "/r"), seed * 100 + 70 + i);
    user->on_stanza = [this, i](SimUser&, const Stanza& stanza) { on_stanza(i, stanza); };
    // Only a crash ends its connection.
    user->on_end = [this](SimUser&) { on_crash(); };
    users_.push_back(std::move(user));
  }
}

void Blocking::act() {
  is_quiet_ = false;
  const std::size_t who = stage_.pick(kUsers);
  const std::size_t whom = (who + 1 + stage_.pick(kUsers - 1)) % kUsers;
  SimUser& user = *users_[who];
  if (!user.is_connected()) {
    user.connect(stage_.random_quality());
    return;
  }
  if (!user.is_bound()) return;
  const std::size_t dice = stage_.pick(100);
  if (dice < 25) {
    change(who, whom);
  } else if (dice < 30) {
    ask(who);
  } else if (users_[whom]->is_bound()) {
    write(who, whom);
  }
}

void Blocking::change(std::size_t who, std::size_t whom) {
  State& state = states_[who][whom];
  if (state == State::changing || state == State::unknown) return;
  const bool is_block = state == State::open;
  state = State::changing;
  if (is_block) expect_nothing_between(who, whom);
  const auto number = next_number_++;
  changes_[number] = {who, whom, is_block};
  auto stanza = Stanza::iq(StanzaType::set, {}, std::string(kChangeId) + std::to_string(number));
  const xep::BlockItem item{Jid::from_prepared(account_of(whom))};
  if (is_block) {
    stanza.add(xep::Block{{item}});
  } else {
    stanza.add(xep::Unblock{{item}});
  }
  users_[who]->send(stanza);
}

// A headline is not stored, so nothing comes later from the time before a block; nor is presence
// that is sent to one, or a request.
Stanza Blocking::make_note(std::size_t whom) {
  const Jid& to = users_[whom]->jid();
  switch (stage_.pick(4)) {
    case 0:
      return Stanza::presence(stage_.pick(3) == 0 ? StanzaType::unavailable : StanzaType::available,
                              to);
    case 1: {
      auto stanza = Stanza::iq(StanzaType::get, to, {});
      stanza.add(xep::Ping{});
      return stanza;
    }
    default: {
      auto stanza = Stanza::message(StanzaType::headline, to);
      stanza.add_text("body", "x");
      return stanza;
    }
  }
}

void Blocking::write(std::size_t who, std::size_t whom) {
  const auto number = next_number_++;
  auto stanza = make_note(whom);
  stanza.envelope().id = std::string(kNoteId) + std::to_string(number);
  if (states_[who][whom] == State::blocked || states_[whom][who] == State::blocked) {
    // The other's unblocking may overtake it.
    if (states_[who][whom] == State::blocked) forbidden_.insert(number);
  } else if (states_[who][whom] == State::open && states_[whom][who] == State::open) {
    expected_[number] = {who, whom};
  }
  users_[who]->send(stanza);
}

void Blocking::ask(std::size_t who) {
  const auto number = next_number_++;
  asked_.insert(number);
  auto stanza = Stanza::iq(StanzaType::get, {}, std::string(kListId) + std::to_string(number));
  stanza.add(xep::BlockList{});
  users_[who]->send(stanza);
}

void Blocking::on_stanza(std::size_t who, const Stanza& stanza) {
  const bool is_note = number_after(stanza.id(), kNoteId) != 0;
  if (stanza.is_iq() && !stanza.is_request() && !is_note) {
    on_answer(who, stanza);
  } else if (!stanza.from().bare_equals(users_[who]->jid())) {
    on_note(who, stanza);
  }
  if (stanza.is_iq() && stanza.is_request()) users_[who]->send(xmpp::make_result(stanza));
}

// What comes from somebody else, or is the answer to what was sent there.
void Blocking::on_note(std::size_t who, const Stanza& stanza) {
  const auto number = number_after(stanza.id(), kNoteId);
  if (stanza.is_error()) {
    // Whom it was sent to has blocked or is gone; the answer must not tell which.
    if (expected_.erase(number) != 0) {
      stage_.fail(users_[who]->name() + " was refused " + stanza.id() + " though nobody blocks");
    }
    return;
  }
  const std::string what =
      users_[who]->name() + " got " + stanza.id() + " from " + std::string(stanza.from().str());
  for (std::size_t from = 0; from < kUsers; ++from) {
    if (stanza.from().bare_str() == account_of(from) && states_[who][from] == State::blocked) {
      stage_.fail(what + ", whom it blocks");
    }
  }
  if (stanza.is_iq() && !stanza.is_request()) return;
  if (forbidden_.contains(number)) stage_.fail(what + ", who blocks it");
  expected_.erase(number);
}

void Blocking::on_answer(std::size_t who, const Stanza& stanza) {
  if (const auto found = changes_.find(number_after(stanza.id(), kChangeId));
      found != changes_.end()) {
    const Change change = found->second;
    changes_.erase(found);
    State& state = states_[change.who][change.whom];
    if (stanza.is_error()) {
      if (!stage_.has_faults) stage_.fail(users_[who]->name() + " was refused " + stanza.id());
      state = State::unknown;  // until what the database says counts again: the next audit
    } else {
      state = change.is_block ? State::blocked : State::open;
    }
  } else if (asked_.erase(number_after(stanza.id(), kListId)) != 0) {
    on_list(who, stanza);
  }
}

void Blocking::on_list(std::size_t who, const Stanza& stanza) {
  const auto list = stanza.get<xep::BlockList>();
  if (stanza.is_error() || !list || !*list) {
    if (!stage_.has_faults) stage_.fail(users_[who]->name() + " was refused its list");
    return;
  }
  for (std::size_t whom = 0; whom < kUsers; ++whom) {
    bool is_listed = false;
    for (const xep::BlockItem& item : (*list)->items) {
      if (item.jid.str() == account_of(whom)) is_listed = true;
    }
    State& state = states_[who][whom];
    if (state == State::unknown) {
      if (is_quiet_) state = is_listed ? State::blocked : State::open;
    } else if (state != State::changing && is_listed != (state == State::blocked)) {
      stage_.fail(users_[who]->name() + (is_listed ? " is told to block " : " does not block ") +
                  account_of(whom));
    }
  }
}

void Blocking::expect_nothing_between(std::size_t one, std::size_t other) {
  std::erase_if(expected_, [&](const auto& entry) {
    const auto [from, to] = entry.second;
    return (from == one && to == other) || (from == other && to == one);
  });
}

void Blocking::on_crash() {
  expected_.clear();
  asked_.clear();
  for (const auto& [number, change] : changes_) {
    states_[change.who][change.whom] = State::unknown;
  }
  changes_.clear();
}

void Blocking::gather() {
  for (auto& user : users_) {
    if (!user->is_connected()) user->connect(stage_.random_quality());
  }
}

void Blocking::check() {
  for (const auto& [number, ends] : expected_) {
    stage_.fail("note" + std::to_string(number) + " from b" + std::to_string(ends[0]) + " to b" +
                std::to_string(ends[1]) + " is lost");
  }
  for (const auto& [number, change] : changes_) {
    stage_.fail("b" + std::to_string(change.who) + " got no answer to block" +
                std::to_string(number));
  }
  expected_.clear();
  forbidden_.clear();
  is_quiet_ = true;
  for (std::size_t who = 0; who < kUsers; ++who) {
    if (users_[who]->is_bound()) ask(who);
  }
}

void Blocking::leave() {
  for (auto& user : users_) {
    if (user->is_bound()) user->close();
  }
}

}  // namespace sim
