#include "sim/sim_idle.h"

namespace sim {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaType;

namespace {

constexpr std::string_view kId = "idle";

}  // namespace

Idle::Idle(const Stage& stage, std::uint64_t seed)
    : stage_(stage),
      idler_(stage.world, stage.transcript, "i0", Jid::from_prepared("idler@localhost/r"),
             seed * 100 + 70),
      friend_(stage.world, stage.transcript, "i1", Jid::from_prepared("waker@localhost/r"),
              seed * 100 + 71) {
  for (const char* account : {"idler@localhost", "waker@localhost"}) {
    stage_.world.add_account(account);
  }
  idler_.on_stanza = [this](SimUser&, const Stanza& stanza) { on_stanza(stanza); };
  for (SimUser* user : {&idler_, &friend_}) {
    user->on_bound = [this](SimUser&) { forget(); };
    user->on_end = [this](SimUser&) { forget(); };
  }
}

void Idle::act() {
  for (SimUser* user : {&idler_, &friend_}) {
    if (!user->is_connected()) {
      user->connect(stage_.random_quality());
      return;
    }
  }
  if (!idler_.is_bound() || !friend_.is_bound()) return;
  const std::size_t dice = stage_.pick(100);
  if (dice < 30) {
    look(false);
  } else if (dice < 45) {
    look(true);
  } else if (dice < 75) {
    tell();
  } else if (dice < 97) {
    write();
  } else {
    SimUser& user = stage_.pick(2) == 0 ? idler_ : friend_;
    if (stage_.pick(2) == 0) {
      user.cut();
    } else {
      user.fall_silent();
    }
  }
}

void Idle::tell() {
  told_ = next_number_++;
  auto stanza = Stanza::presence(StanzaType::available, idler_.jid());
  stanza.add_text("status", std::to_string(told_));
  friend_.send(stanza);
}

void Idle::write() {
  const auto number = next_number_++;
  messages_[number] = told_;
  auto stanza = Stanza::message(StanzaType::chat, idler_.jid());
  stanza.envelope().id = std::string(kId) + std::to_string(number);
  stanza.add_text("body", "x");
  friend_.send(stanza);
}

void Idle::look(bool is_active) {
  idler_.note(is_active ? "looks" : "looks away");
  idler_.send_nonza(is_active ? "<active xmlns='urn:xmpp:csi:0'/>"
                              : "<inactive xmlns='urn:xmpp:csi:0'/>");
}

void Idle::on_stanza(const Stanza& stanza) {
  if (!idler_.is_bound()) return;
  if (stanza.is_message() && !stanza.is_error()) {
    on_message(number_after(stanza.id(), kId));
  } else if (stanza.is_presence() && stanza.type() == StanzaType::available) {
    const auto number = number_after(stanza.child_text("status").value_or(""), "");
    if (told_ == 0 || number > told_) return;  // of an earlier life of its sender
    if (number <= seen_) {
      stage_.fail(idler_.name() + " sees presence " + std::to_string(number) + " after " +
                  std::to_string(seen_));
    }
    seen_ = number;
  }
}

void Idle::on_message(std::uint64_t number) {
  const auto found = messages_.find(number);
  if (found == messages_.end()) return;  // of an earlier life
  if (number < last_message_) {
    stage_.fail(idler_.name() + " got message " + std::to_string(number) + " after " +
                std::to_string(last_message_));
  }
  if (found->second != seen_) {
    stage_.fail(idler_.name() + " got message " + std::to_string(number) + " behind presence " +
                std::to_string(seen_) + ", not " + std::to_string(found->second));
  }
  last_message_ = number;
  messages_.erase(found);
}

void Idle::forget() {
  told_ = seen_ = last_message_ = 0;
  messages_.clear();
}

void Idle::gather() {
  for (SimUser* user : {&idler_, &friend_}) {
    if (!user->is_connected()) user->connect(stage_.random_quality());
  }
  if (idler_.is_bound()) look(true);
}

void Idle::check() {
  if (!idler_.is_bound() || !friend_.is_bound()) {
    stage_.fail("the idle client and its friend cannot get in");
    return;
  }
  if (seen_ != told_) {
    stage_.fail(idler_.name() + " sees presence " + std::to_string(seen_) + ", not " +
                std::to_string(told_));
  }
  for (const auto& [number, presence] : messages_) {
    stage_.fail(idler_.name() + " did not get message " + std::to_string(number));
  }
  messages_.clear();
}

void Idle::leave() {
  for (SimUser* user : {&idler_, &friend_}) {
    if (user->is_bound()) user->close();
  }
}

}  // namespace sim
