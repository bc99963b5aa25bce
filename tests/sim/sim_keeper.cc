#include "sim/sim_keeper.h"

namespace sim {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaType;

namespace {

constexpr std::string_view kId = "keep";

// An element of jabber:client has no place here, so the markup is parsed as a document of its own.
void add(Stanza& stanza, const std::string& markup) {
  const auto document = xmpp::xml::Document::parse(markup);
  stanza.add(xmpp::Payload(document->root()));
}

// The request for a document; `value`: to be stored.
std::string markup_of(std::size_t document, const std::string& value) {
  if (document == 0) {
    if (value.empty()) return "<vCard xmlns='vcard-temp'/>";
    return "<vCard xmlns='vcard-temp'><FN>" + value + "</FN></vCard>";
  }
  const std::string name = "d" + std::to_string(document);
  return "<query xmlns='jabber:iq:private'><" + name + " xmlns='urn:sim'>" + value + "</" + name +
         "></query>";
}

}  // namespace

Keeper::Keeper(const Stage& stage, std::uint64_t seed) : stage_(stage) {
  stage_.world.add_account("keeper@localhost");
  for (std::size_t i = 0; i < 2; ++i) {
    auto user = std::make_unique<SimUser>(
        stage_.world, stage_.transcript, "k" + std::to_string(i),
        Jid::from_prepared("keeper@localhost/r" + std::to_string(i)), seed * 100 + 60 + i);
    user->on_stanza = [this](SimUser& who, const Stanza& stanza) { on_stanza(who, stanza); };
    user->on_end = [this](SimUser& who) { forget(&who); };
    users_.push_back(std::move(user));
  }
}

void Keeper::act() {
  SimUser& user = *users_[stage_.pick(users_.size())];
  if (!user.is_connected()) {
    user.connect(stage_.random_quality());
    return;
  }
  if (!user.is_bound()) return;
  const std::size_t document = stage_.pick(kDocuments);
  const std::size_t dice = stage_.pick(100);
  if (dice < 40) {
    if (!documents_[document].is_changing) set(user, document);
  } else if (dice < 97) {
    get(user, document);
  } else if (stage_.pick(2) == 0) {
    user.fall_silent();
  } else {
    user.cut();
  }
}

void Keeper::set(SimUser& user, std::size_t document) {
  const auto number = next_number_++;
  documents_[document].newest = number;
  documents_[document].is_changing = true;
  requests_[number] = {&user, document, true, number};
  auto stanza = Stanza::iq(StanzaType::set, {}, std::string(kId) + std::to_string(number));
  std::string value = std::to_string(number) + " ";
  value.append(stage_.pick(20) == 0 ? stage_.pick(9'000) : stage_.pick(20), '.');
  add(stanza, markup_of(document, value));
  user.send(stanza);
}

void Keeper::get(SimUser& user, std::size_t document) {
  const auto number = next_number_++;
  requests_[number] = {&user, document, false, documents_[document].acknowledged};
  auto stanza = Stanza::iq(StanzaType::get, {}, std::string(kId) + std::to_string(number));
  add(stanza, markup_of(document, ""));
  user.send(stanza);
}

void Keeper::on_stanza(SimUser& user, const Stanza& stanza) {
  const auto number = number_after(stanza.id(), kId);
  const auto found = requests_.find(number);
  // An answer to the question of an earlier connection counts for nothing.
  if (!stanza.is_iq() || found == requests_.end() || found->second.user != &user) return;
  const Request request = found->second;
  requests_.erase(found);
  Document& document = documents_[request.document];
  if (request.is_set) document.is_changing = false;
  if (stanza.is_error() && stage_.has_faults &&
      stanza.error()->condition != xmpp::StanzaCondition::item_not_found) {
    return;
  }
  if (!request.is_set) {
    on_value(request, stanza);
  } else if (stanza.is_error()) {
    stage_.fail(user.name() + " was refused to store " + stanza.id());
  } else {
    document.acknowledged = std::max(document.acknowledged, request.value);
  }
}

void Keeper::on_value(const Request& request, const Stanza& stanza) {
  std::uint64_t value = 0;
  if (!stanza.is_error() && !stanza.payloads().empty()) {
    const auto element = stanza.payloads().front().element();
    value = number_after(element.first_child() ? element.first_child().text() : "", "");
  }
  const Document& document = documents_[request.document];
  if (value < request.value || value > document.newest) {
    stage_.fail(request.user->name() + " read " + std::to_string(value) + " in document " +
                std::to_string(request.document) + ", but " + std::to_string(request.value) +
                " was acknowledged and " + std::to_string(document.newest) + " is the newest");
  }
}

void Keeper::forget(const SimUser* user) {
  std::erase_if(requests_, [&](const auto& entry) {
    const Request& request = entry.second;
    if (user != nullptr && request.user != user) return false;
    if (request.is_set) documents_[request.document].is_changing = false;
    return true;
  });
}

void Keeper::gather() {
  for (auto& user : users_) {
    if (!user->is_connected()) user->connect(stage_.random_quality());
  }
}

void Keeper::check() {
  for (const auto& [number, request] : requests_) {
    stage_.fail(request.user->name() + " got no answer to keep" + std::to_string(number));
  }
  forget(nullptr);
  // Read at the start of what follows.
  for (std::size_t document = 0; document < kDocuments; ++document) {
    if (users_.front()->is_bound()) get(*users_.front(), document);
  }
}

void Keeper::leave() {
  for (auto& user : users_) {
    if (user->is_bound()) user->close();
  }
}

}  // namespace sim
