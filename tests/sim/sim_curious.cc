#include "sim/sim_curious.h"

#include <array>

namespace sim {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaType;

namespace {

constexpr std::string_view kId = "curious";

struct Question {
  const char* to;
  const char* markup;
  bool has_answer = true;
};
constexpr std::array kQuestions = {
    Question{"localhost", "<query xmlns='http://jabber.org/protocol/disco#info'/>"},
    Question{"localhost", "<query xmlns='http://jabber.org/protocol/disco#items'/>"},
    Question{"localhost", "<query xmlns='jabber:iq:version'/>"},
    Question{"localhost", "<query xmlns='jabber:iq:last'/>"},
    Question{"localhost", "<time xmlns='urn:xmpp:time'/>"},
    Question{"localhost", "<ping xmlns='urn:xmpp:ping'/>"},
    Question{"localhost", "<query xmlns='jabber:iq:register'/>"},
    Question{"curious@localhost", "<query xmlns='http://jabber.org/protocol/disco#info'/>"},
    Question{"curious@localhost", "<query xmlns='http://jabber.org/protocol/disco#items'/>"},
    Question{"curious@localhost", "<query xmlns='jabber:iq:last'/>"},
    Question{"curious@localhost", "<vCard xmlns='vcard-temp'/>", false},  // it has none
    Question{"curious@localhost", "<query xmlns='jabber:iq:roster'/>"},
    Question{"curious@localhost", "<blocklist xmlns='urn:xmpp:blocking'/>"},
    Question{"localhost", "<query xmlns='urn:example:nobody'/>", false},
    Question{"keeper@localhost", "<query xmlns='jabber:iq:last'/>", false},
};

}  // namespace

Curious::Curious(const Stage& stage, std::uint64_t seed)
    : stage_(stage),
      user_(stage.world, stage.transcript, "q0", Jid::from_prepared("curious@localhost/r"),
            seed * 100 + 90) {
  stage_.world.add_account("curious@localhost");
  user_.on_stanza = [this](SimUser&, const Stanza& stanza) { on_stanza(stanza); };
  user_.on_bound = [this](SimUser&) { asked_.clear(); };
  user_.on_end = [this](SimUser&) { asked_.clear(); };
}

void Curious::act() {
  if (!user_.is_connected()) {
    user_.connect(stage_.random_quality());
  } else if (user_.is_bound()) {
    const std::size_t dice = stage_.pick(100);
    if (dice < 98) {
      ask();
    } else if (stage_.pick(2) == 0) {
      user_.fall_silent();
    } else {
      user_.cut();
    }
  }
}

void Curious::ask() {
  const std::size_t which = stage_.pick(kQuestions.size());
  const auto number = next_number_++;
  asked_[number] = which;
  auto stanza = Stanza::iq(StanzaType::get, Jid::from_prepared(kQuestions[which].to),
                           std::string(kId) + std::to_string(number));
  const auto document = xmpp::xml::Document::parse(kQuestions[which].markup);
  stanza.add(xmpp::Payload(document->root()));
  user_.send(stanza);
}

void Curious::on_stanza(const Stanza& stanza) {
  if (!user_.is_bound() || !stanza.is_iq() || stanza.is_request()) return;
  const auto number = number_after(stanza.id(), kId);
  const auto found = asked_.find(number);
  if (found == asked_.end()) {
    // (An answer to a question of the connection before may come to this one.)
    if (asked_.empty() || number > asked_.begin()->first) {
      stage_.fail(user_.name() + " got an answer twice: " + stanza.id());
    }
    return;
  }
  const Question& question = kQuestions[found->second];
  asked_.erase(found);
  if (stanza.is_error() == question.has_answer && !(stanza.is_error() && stage_.has_faults)) {
    stage_.fail(user_.name() + " asked " + question.to + " " + question.markup + " and got " +
                (stanza.is_error() ? "an error" : "a result"));
  }
}

void Curious::gather() {
  if (!user_.is_connected()) user_.connect(stage_.random_quality());
}

void Curious::check() {
  for (const auto& [number, which] : asked_) {
    stage_.fail(user_.name() + " got no answer to " + std::string(kId) + std::to_string(number) +
                " " + kQuestions[which].markup);
  }
  asked_.clear();
}

void Curious::leave() {
  if (user_.is_bound()) user_.close();
}

}  // namespace sim
