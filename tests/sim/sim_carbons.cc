#include "sim/sim_carbons.h"

#include <algorithm>

#include "xmpp/xep/carbons.h"

namespace sim {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaType;
namespace xep = xmpp::xep;

namespace {

constexpr std::string_view kMessageId = "copy";
constexpr std::string_view kEnableId = "enable";
constexpr std::size_t kFriend = 2;

std::string key_of(std::size_t who, const std::string& kind, std::uint64_t number) {
  return std::to_string(who) + " " + kind + " " + std::to_string(number);
}

}  // namespace

Copies::Copies(const Stage& stage, std::uint64_t seed) : stage_(stage) {
  for (const char* account : {"copied@localhost", "friend@localhost"}) {
    stage_.world.add_account(account);
  }
  for (std::size_t i = 0; i < kUsers; ++i) {
    const std::string jid =
        i == kFriend ? "friend@localhost/r" : "copied@localhost/r" + std::to_string(i);
    auto user = std::make_unique<SimUser>(stage_.world, stage_.transcript, "y" + std::to_string(i),
                                          Jid::from_prepared(jid), seed * 100 + 80 + i);
    user->on_stanza = [this, i](SimUser&, const Stanza& stanza) { on_stanza(i, stanza); };
    // Only a crash ends its connection.
    user->on_end = [this, i](SimUser&) {
      is_ready_[i] = false;
      expected_.clear();
    };
    users_.push_back(std::move(user));
  }
}

bool Copies::is_everybody_ready() const {
  return std::all_of(is_ready_.begin(), is_ready_.end(), [](bool is_ready) { return is_ready; });
}

void Copies::act() {
  const std::size_t who = stage_.pick(kUsers);
  SimUser& user = *users_[who];
  if (!user.is_connected()) {
    user.connect(stage_.random_quality());
  } else if (user.is_bound() && !is_ready_[who]) {
    enter(who);
  } else if (is_everybody_ready()) {
    write(who);
  }
}

// Available, with copies; the answer says that both are so.
void Copies::enter(std::size_t who) {
  users_[who]->send(Stanza::presence(StanzaType::available));
  auto stanza = Stanza::iq(StanzaType::set, {}, std::string(kEnableId) + "1");
  stanza.add(xep::CarbonsEnable{});
  users_[who]->send(stanza);
}

void Copies::write(std::size_t who) {
  const std::size_t whom = who == kFriend ? stage_.pick(kFriend) : kFriend;
  const std::size_t other = who == kFriend ? 1 - whom : 1 - who;
  const auto number = next_number_++;
  auto stanza = Stanza::message(StanzaType::chat, users_[whom]->jid());
  stanza.envelope().id = std::string(kMessageId) + std::to_string(number);
  stanza.add_text("body", "x");
  const bool is_private = stage_.pick(8) == 0;
  if (is_private) stanza.add(xep::CarbonsPrivate{});
  senders_[number] = who;
  expected_.insert(key_of(whom, "itself", number));
  if (!is_private) {
    expected_.insert(key_of(other, who == kFriend ? "received" : "sent", number));
  }
  users_[who]->send(stanza);
}

void Copies::on_stanza(std::size_t who, const Stanza& stanza) {
  if (stanza.is_iq()) {
    if (!stanza.is_request() && stanza.id().starts_with(kEnableId)) {
      if (!stanza.is_error()) {
        is_ready_[who] = true;
      } else if (!stage_.has_faults) {
        stage_.fail(users_[who]->name() + " was refused copies");
      }
    }
    return;
  }
  if (!stanza.is_message() || stanza.is_error()) return;
  if (const auto received = stanza.get<xep::CarbonsReceived>(); received && *received) {
    on_arrival(who, "received", number_after((*received)->forwarded.stanza.id(), kMessageId));
  } else if (const auto sent = stanza.get<xep::CarbonsSent>(); sent && *sent) {
    on_arrival(who, "sent", number_after((*sent)->forwarded.stanza.id(), kMessageId));
  } else {
    on_arrival(who, "itself", number_after(stanza.id(), kMessageId));
  }
}

void Copies::on_arrival(std::size_t who, const std::string& kind, std::uint64_t number) {
  const std::string what = users_[who]->name() + " got message " + std::to_string(number) +
                           (kind == "itself" ? "" : " as a copy (" + kind + ")");
  if (expected_.erase(key_of(who, kind, number)) == 0) {
    stage_.fail(what + ", which is not for it, or twice");
    return;
  }
  auto& last = last_[std::to_string(who) + kind + std::to_string(senders_[number])];
  if (number < last) stage_.fail(what + " after " + std::to_string(last));
  last = number;
}

void Copies::on_crash() {
  expected_.clear();
}

void Copies::gather() {
  for (std::size_t i = 0; i < kUsers; ++i) {
    if (!users_[i]->is_connected()) users_[i]->connect(stage_.random_quality());
  }
}

void Copies::check() {
  for (const std::string& missing : expected_) stage_.fail("lost: (who, kind, number) " + missing);
  expected_.clear();
}

void Copies::leave() {
  for (auto& user : users_) {
    if (user->is_bound()) user->close();
  }
}

}  // namespace sim
