#include "sim/sim_hosts.h"

#include <utility>

#include "xmpp/xep/roster.h"

namespace sim {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaType;
using xmpp::StreamCondition;

namespace {

constexpr std::string_view kHost = "third.example";
constexpr std::string_view kId = "host";
constexpr std::string_view kListId = "host-list";
constexpr std::string_view kKeepId = "host-keep";
constexpr std::string_view kItem = "kept@elsewhere.example";
constexpr std::size_t kWords = 6;
// In which everything has arrived, over the connections of this part.
constexpr Duration kWait = std::chrono::milliseconds(700);
// In which a wrong password is forgiven (auth_failures_decay).
constexpr Duration kForgiven = std::chrono::seconds(16);

xmppd::CommandArguments host_argument() {
  xmppd::CommandArguments arguments;
  arguments.set("host", Jid::from_prepared(std::string(kHost)));
  return arguments;
}

}  // namespace

Hosts::Hosts(const Stage& stage, std::shared_ptr<Console> console, std::uint64_t seed)
    : stage_(stage), console_(std::move(console)) {
  stage_.world.add_account("hostess@localhost");
  hostess_ = std::make_unique<SimUser>(stage_.world, stage_.transcript, "hostess",
                                       Jid::from_prepared("hostess@localhost/r"), seed * 100 + 94);
  hostess_->on_stanza = [this](SimUser& user, const Stanza& stanza) { on_stanza(user, stanza); };
  for (std::size_t i = 0; i < kGuests; ++i) {
    Guest& guest = guests_[i];
    const auto name = stage_.world.find_lone_name("guest", kHost);
    guest.user = std::make_unique<SimUser>(
        stage_.world, stage_.transcript, "g" + std::to_string(i),
        Jid::from_prepared(name + "@" + std::string(kHost) + "/r"), seed * 100 + 95 + i);
    guest.user->on_stanza = [this](SimUser& user, const Stanza& stanza) {
      on_stanza(user, stanza);
    };
    guest.user->on_stream_error = [&guest](SimUser&, const xmpp::StreamFailed& failed) {
      guest.end = failed;
    };
  }
}

void Hosts::next(Phase phase, Duration in) {
  phase_ = phase;
  next_at_ = stage_.world.now() + in;
}

void Hosts::act() {
  if (phase_ == Phase::changing || stage_.world.now() < next_at_) return;
  if (!hostess_->is_bound()) {
    gather();
    return;
  }
  switch (phase_) {
    case Phase::gone:
      add_host();
      break;
    case Phase::changing:
      break;
    case Phase::added:
      if (!is_purged_) {
        if (!has_accounts_) make_accounts();
        connect_all();
        next(Phase::coming, kWait);
      } else {
        guests_[0].end.reset();
        guests_[0].user->connect(LinkQuality{});
        next(Phase::locked_out, kForgiven);
      }
      break;
    case Phase::locked_out:
      judge_locked_out();
      next(Phase::added, kWait);
      break;
    case Phase::coming:
      settle_in();
      next(Phase::there, kWait);
      break;
    case Phase::there:
      talk();
      next(Phase::talking, kWait);
      break;
    case Phase::talking:
      judge_talk();
      if (stage_.pick(2) == 0) {
        next(Phase::there, kWait);
      } else {
        remove_host();
      }
      break;
    case Phase::removed:
      judge_removal();
      next(Phase::knocking, kWait);
      break;
    case Phase::knocking:
      judge_knocking();
      next(Phase::gone, kWait);
      break;
  }
}

void Hosts::add_host() {
  if (console_->is_busy()) return;
  phase_ = Phase::changing;
  console_->run("host.add", host_argument(), [this](const xmppd::CommandResult& outcome) {
    if (!outcome) stage_.fail("host add: " + outcome.error().text);
    next(Phase::added, kWait);
  });
}

void Hosts::make_accounts() {
  for (Guest& guest : guests_) {
    stage_.world.add_account(std::string(guest.user->jid().bare().str()));
  }
  has_accounts_ = true;
  kept_.clear();
}

// Who had an account has none any more.
void Hosts::judge_locked_out() {
  Guest& guest = guests_[0];
  if (!guest.end || guest.end->sasl_failure != xmpp::sasl::SaslCondition::not_authorized) {
    stage_.fail(guest.user->name() + " was not refused, though its account was removed");
  }
  if (guest.user->is_bound()) guest.user->close();
  is_purged_ = has_accounts_ = false;
}

void Hosts::connect_all() {
  for (Guest& guest : guests_) {
    guest.end.reset();
    guest.is_seen = false;
    if (!guest.user->is_connected()) guest.user->connect(LinkQuality{});
  }
}

void Hosts::settle_in() {
  for (Guest& guest : guests_) {
    if (!guest.user->is_bound()) {
      stage_.fail(guest.user->name() + " cannot get in though its host is there");
      continue;
    }
    guest.user->send(Stanza::presence(StanzaType::available));
    guest.user->send(Stanza::presence(StanzaType::available, hostess_->jid()));
  }
  if (!guests_[0].user->is_bound()) return;
  auto stanza = Stanza::iq(StanzaType::get, {}, std::string(kListId));
  stanza.add(xmpp::xep::Roster{});
  guests_[0].user->send(stanza);
}

void Hosts::write(SimUser& from, const Jid& to) {
  const auto number = next_number_++;
  auto stanza = Stanza::message(StanzaType::chat, to);
  stanza.envelope().id = std::string(kId) + std::to_string(number);
  stanza.add_text("body", "x");
  sent_.insert(number);
  from.send(stanza);
}

void Hosts::talk() {
  for (std::size_t i = 0; i < kWords; ++i) {
    Guest& one = guests_[stage_.pick(kGuests)];
    Guest& other = guests_[stage_.pick(kGuests)];
    if (!one.user->is_bound() || !other.user->is_bound()) continue;
    write(*hostess_, one.user->jid());
    write(*one.user, hostess_->jid());
    write(*one.user, other.user->jid());
  }
  if (!guests_[0].user->is_bound()) return;
  changing_ = "n" + std::to_string(next_number_++);
  xmpp::xep::RosterItem item;
  item.jid = Jid::from_prepared(std::string(kItem));
  item.name = changing_;
  auto stanza = Stanza::iq(StanzaType::set, {}, std::string(kKeepId));
  xmpp::xep::Roster roster;
  roster.items.push_back(item);
  stanza.add(roster);
  guests_[0].user->send(stanza);
}

void Hosts::judge_talk() {
  for (const auto number : sent_) {
    stage_.fail("message " + std::string(kId) + std::to_string(number) + " across hosts is lost");
  }
  sent_.clear();
  for (const Guest& guest : guests_) {
    if (!guest.is_seen) stage_.fail("the hostess does not see " + guest.user->name());
  }
  if (!changing_.empty()) stage_.fail("g0 got no answer to a change of its roster");
}

// In the middle of what the hostess says to them.
void Hosts::remove_host() {
  if (console_->is_busy()) return;
  phase_ = Phase::changing;
  for (Guest& guest : guests_) {
    for (std::size_t i = 0; i < kWords; ++i) write(*hostess_, guest.user->jid());
  }
  is_purged_ = stage_.pick(3) == 0;
  auto arguments = host_argument();
  arguments.set("purge", is_purged_);
  console_->run("host.remove", std::move(arguments), [this](const xmppd::CommandResult& outcome) {
    if (!outcome) stage_.fail("host remove: " + outcome.error().text);
    next(Phase::removed, kWait);
  });
}

void Hosts::judge_removal() {
  for (const Guest& guest : guests_) {
    const bool is_told =
        guest.end && guest.end->by_peer && guest.end->error.condition == StreamCondition::host_gone;
    if (guest.user->is_bound() || !is_told) {
      stage_.fail(guest.user->name() + " was not told that its host is gone");
    }
    if (guest.is_seen) stage_.fail("the hostess sees " + guest.user->name() + ", who is gone");
  }
  for (const auto number : sent_) {
    stage_.fail("message " + std::string(kId) + std::to_string(number) +
                " to a host that went neither arrived nor came back");
  }
  sent_.clear();
  write(*hostess_, guests_[0].user->jid());
  guests_[0].end.reset();
  guests_[0].user->connect(LinkQuality{});
}

void Hosts::judge_knocking() {
  const Guest& guest = guests_[0];
  if (!guest.end || guest.end->error.condition != StreamCondition::host_unknown) {
    stage_.fail("who comes to a host that is gone is not told so");
  }
  if (!sent_.empty()) stage_.fail("a message to a host that is gone did not come back");
  sent_.clear();
}

void Hosts::on_stanza(SimUser& user, const Stanza& stanza) {
  if (stanza.is_presence()) {
    for (Guest& guest : guests_) {
      if (&user != hostess_.get() || stanza.from() != guest.user->jid()) continue;
      guest.is_seen = stanza.type() == StanzaType::available;
    }
  } else if (stanza.is_message()) {
    const auto number = number_after(stanza.id(), kId);
    if (sent_.erase(number) == 0) {
      stage_.fail(user.name() + " got " + stanza.id() + " twice, or late");
    }
    if (stanza.is_error() &&
        stanza.error()->condition != xmpp::StanzaCondition::remote_server_not_found) {
      stage_.fail(stanza.id() + " came back with " +
                  std::string(to_string(stanza.error()->condition)));
    }
  } else if (stanza.is_iq() && stanza.is_request()) {
    user.send(xmpp::make_result(stanza));
  } else if (stanza.id() == kKeepId) {
    if (stanza.is_error()) stage_.fail(user.name() + " was refused a change of its roster");
    kept_ = std::exchange(changing_, {});
  } else if (stanza.id() == kListId) {
    on_roster(stanza);
  }
}

void Hosts::on_roster(const Stanza& stanza) {
  const auto roster = stanza.get<xmpp::xep::Roster>();
  std::string found;
  if (roster && *roster && !(*roster)->items.empty()) found = (*roster)->items.front().name;
  if (stanza.is_error() || found != kept_) {
    stage_.fail("on a host that was removed and added '" + found + "' is stored, not '" + kept_ +
                "'");
  }
}

void Hosts::gather() {
  if (!hostess_->is_connected()) hostess_->connect(LinkQuality{});
}

void Hosts::leave() {
  if (hostess_->is_bound()) hostess_->close();
  for (Guest& guest : guests_) {
    if (guest.user->is_bound()) {
      guest.user->close();
    } else if (guest.user->is_connected()) {
      guest.user->cut();
    }
  }
}

}  // namespace sim
