#include "sim/sim_quota.h"

#include "xmpp/xep/blocking.h"
#include "xmpp/xep/ping.h"
#include "xmpp/xep/roster.h"

namespace sim {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaCondition;
using xmpp::StanzaType;
namespace xep = xmpp::xep;

namespace {

constexpr std::string_view kId = "quota";
constexpr std::string_view kToldId = "told";
constexpr std::string_view kAllToldId = "all-told";
constexpr std::size_t kAtOnce = 8;
constexpr std::size_t kTooMany = 3;
// Targets of a session's directed presence: fixed (modules/presence.cc).
constexpr std::size_t kToldMax = 1'000;

// An element of jabber:client has no place here, so the markup is parsed as a document of its own.
void add(Stanza& stanza, const std::string& markup) {
  const auto document = xmpp::xml::Document::parse(markup);
  stanza.add(xmpp::Payload(document->root()));
}

std::string document_of(const std::string& key, const std::string& text) {
  return "<" + key + " xmlns='urn:sim:quota'>" + text + "</" + key + ">";
}

std::string in_roster(const std::string& item) {
  return "<query xmlns='jabber:iq:roster'>" + item + "</query>";
}

}  // namespace

Quota::Quota(const Stage& stage, std::uint64_t seed) : stage_(stage) {
  for (const char* account : {"quota@localhost", "herald@localhost"}) {
    stage_.world.add_account(account);
  }
  user_ = std::make_unique<SimUser>(stage_.world, stage_.transcript, "q",
                                    Jid::from_prepared("quota@localhost/r"), seed * 100 + 84);
  user_->on_stanza = [this](SimUser&, const Stanza& stanza) { on_answer(stanza); };
  user_->on_end = [this](SimUser&) { on_crash(); };  // only a crash ends its connection
  herald_ = std::make_unique<SimUser>(stage_.world, stage_.transcript, "h",
                                      Jid::from_prepared("herald@localhost/r"), seed * 100 + 85);
  herald_->on_stanza = [this](SimUser&, const Stanza& stanza) { on_told(stanza); };
  herald_->on_end = [this](SimUser&) { telling_ = Telling::not_yet; };
}

std::size_t Quota::limit_of(Kind kind) const {
  switch (kind) {
    case Kind::item:
      return stage_.limits.roster_items;
    case Kind::blocked:
      return stage_.limits.blocked;
    default:
      return stage_.limits.documents;
  }
}

void Quota::act() {
  for (auto* user : {user_.get(), herald_.get()}) {
    if (!user->is_connected()) {
      user->connect(LinkQuality{});
      return;
    }
  }
  if (telling_ == Telling::not_yet && herald_->is_bound() && stage_.pick(8) == 0) {
    tell_too_many();
  } else if (user_->is_bound()) {
    for (std::size_t i = 0; i < kAtOnce; ++i) store_something();
  }
}

void Quota::store_something() {
  const auto kind = static_cast<Kind>(stage_.pick(5));
  if (kind == Kind::card) {
    const std::size_t bytes = stage_.pick(2) == 0 ? stage_.limits.card_bytes : stage_.pick(3'000);
    send({kind, Verb::put, {}, bytes},
         "<vCard xmlns='vcard-temp'><FN>" + std::string(bytes, 'x') + "</FN></vCard>");
    return;
  }
  if (kind == Kind::groups) {
    std::string groups;
    for (std::size_t i = 0; i <= stage_.limits.groups; ++i) {
      groups += "<group>" + std::to_string(i) + "</group>";
    }
    send({kind, Verb::put, {}, 0},
         in_roster("<item jid='grouped@elsewhere.example'>" + groups + "</item>"));
    return;
  }
  std::string key = "k" + std::to_string(stage_.pick(limit_of(kind) + kTooMany));
  const bool is_removed = stage_.pick(8) == 0;
  if (kind == Kind::document) {
    const std::string text(stage_.pick(3) == 0 ? 1 + stage_.pick(stage_.limits.document_bytes) : 9,
                           'x');
    const std::string markup = document_of(key, text);
    send({kind, Verb::put, std::move(key), markup.size()},
         "<query xmlns='jabber:iq:private'>" + markup + "</query>");
  } else if (kind == Kind::item) {
    const std::string item = "<item jid='" + key + "@elsewhere.example'" +
                             (is_removed ? " subscription='remove'/>" : "/>");
    send({kind, is_removed ? Verb::remove : Verb::put, std::move(key), 0}, in_roster(item));
  } else {
    const std::string verb = is_removed ? "unblock" : "block";
    const std::string item = "<item jid='" + key + "@elsewhere.example'/>";
    send({kind, is_removed ? Verb::remove : Verb::put, std::move(key), 0},
         "<" + verb + " xmlns='urn:xmpp:blocking'>" + item + "</" + verb + ">");
  }
}

void Quota::send(Request request, const std::string& markup) {
  const auto number = next_number_++;
  const auto type = request.verb == Verb::list ? StanzaType::get : StanzaType::set;
  auto stanza = Stanza::iq(type, {}, std::string(kId) + std::to_string(number));
  add(stanza, markup);
  request.reloads = stage_.world.reloads;
  requests_[number] = std::move(request);
  user_->send(stanza);
}

void Quota::on_answer(const Stanza& stanza) {
  if (!stanza.is_iq()) return;
  if (stanza.is_request()) {
    user_->send(xmpp::make_result(stanza));
    return;
  }
  const auto found = requests_.find(number_after(stanza.id(), kId));
  if (found == requests_.end()) return;
  const Request request = std::move(found->second);
  requests_.erase(found);
  if (request.verb == Verb::list) {
    on_list(request, stanza);
  } else {
    on_change(request, stanza);
  }
}

// By what the answers before this one have said: they come in the order of the requests.
bool Quota::fits(const Request& request) const {
  if (request.verb == Verb::remove) return store_of(request.kind).present.contains(request.key);
  if (request.kind == Kind::groups) return false;
  if (request.kind == Kind::card) return request.bytes < stage_.limits.card_bytes;
  const Store& store = store_of(request.kind);
  std::size_t entries = 1;
  std::size_t bytes = request.bytes;
  for (const auto& [key, size] : store.present) {
    if (key == request.key) continue;
    ++entries;
    bytes += size;
  }
  return entries <= limit_of(request.kind) && bytes <= stage_.limits.document_bytes;
}

bool Quota::is_out_of_turn(const Request& request) const {
  const auto reloads = stage_.world.reloads;
  const bool has_store = static_cast<std::size_t>(request.kind) < kStores;
  return reloads != request.reloads || reloads % 2 == 1 ||
         (has_store && !store_of(request.kind).unknown.empty());
}

void Quota::on_change(const Request& request, const Stanza& stanza) {
  const bool is_judged = !is_out_of_turn(request);
  const bool has_store = static_cast<std::size_t>(request.kind) < kStores;
  const bool is_unlisted = request.verb == Verb::remove && !fits(request);
  if (!stanza.is_error()) {
    if (is_judged && !is_unlisted && !fits(request))
      stage_.fail(stanza.id() + " was accepted beyond a limit");
    if (!has_store) return;
    Store& store = store_of(request.kind);
    store.unknown.erase(request.key);
    if (request.verb == Verb::remove) {
      store.present.erase(request.key);
    } else {
      store.present[request.key] = request.bytes;
      // Of two for one key the later may have been answered first: an audit tells what it has.
      if (!is_judged && request.kind == Kind::document) {
        store.present.erase(request.key);
        store.unknown.insert(request.key);
      }
    }
    return;
  }
  const auto condition = stanza.error()->condition;
  const bool is_not_acceptable = request.kind == Kind::groups || request.kind == Kind::card;
  auto expected =
      is_not_acceptable ? StanzaCondition::not_acceptable : StanzaCondition::resource_constraint;
  if (request.verb == Verb::remove) expected = StanzaCondition::item_not_found;
  if (is_judged && condition == expected && !fits(request)) return;
  if (is_judged && !stage_.has_faults) {
    stage_.fail(stanza.id() + " was refused with " + std::string(to_string(condition)) +
                (fits(request) ? " though it fits" : " for a limit"));
  }
  if (!has_store) return;
  store_of(request.kind).present.erase(request.key);
  store_of(request.kind).unknown.insert(request.key);
}

// Everything has come to rest.
void Quota::on_list(const Request& request, const Stanza& stanza) {
  if (stanza.is_error()) {
    if (!stage_.has_faults) stage_.fail(stanza.id() + " was refused");
    return;
  }
  std::set<std::string> listed;
  if (const auto roster = stanza.get<xep::Roster>(); roster && *roster) {
    for (const auto& item : (*roster)->items) listed.insert(std::string(item.jid.local()));
  } else if (const auto list = stanza.get<xep::BlockList>(); list && *list) {
    for (const auto& item : (*list)->items) listed.insert(std::string(item.jid.local()));
  } else if (!stanza.payloads().empty()) {
    const auto document = stanza.payloads().front().element().first_child();
    const bool is_there = document && !document.text().empty();
    compare(request.kind, request.key, is_there);
    if (is_there) {
      store_of(request.kind).present[request.key] =
          document_of(request.key, std::string(document.text())).size();
    }
    return;
  }
  if (listed.size() > limit_of(request.kind)) {
    stage_.fail(std::to_string(listed.size()) + " entries are listed, at most " +
                std::to_string(limit_of(request.kind)) + " are allowed");
  }
  for (std::size_t i = 0; i < limit_of(request.kind) + kTooMany; ++i) {
    const std::string key = "k" + std::to_string(i);
    compare(request.kind, key, listed.contains(key));
  }
}

void Quota::compare(Kind kind, const std::string& key, bool is_there) {
  Store& store = store_of(kind);
  if (store.unknown.erase(key) != 0) {
    if (is_there) store.present[key] = 0;  // at least
  } else if (is_there != store.present.contains(key)) {
    stage_.fail("entry " + key + " of kind " + std::to_string(static_cast<int>(kind)) +
                (is_there ? " is there, but was refused or removed" : " was stored, but is gone"));
  }
}

// Directed presence -------------------------------------------------------------------------------

void Quota::tell_too_many() {
  telling_ = Telling::begun;
  not_told_.clear();
  for (std::size_t i = 1; i <= kToldMax + kTooMany; ++i) {
    const std::string number = std::to_string(i);
    auto stanza = Stanza::presence(StanzaType::available,
                                   Jid::from_prepared("t" + number + "@elsewhere.example"));
    stanza.envelope().id = std::string(kToldId) + number;
    herald_->send(stanza);
  }
  auto ping = Stanza::iq(StanzaType::get, Jid::from_prepared("localhost"), std::string(kAllToldId));
  ping.add(xep::Ping{});
  herald_->send(ping);
}

void Quota::on_told(const Stanza& stanza) {
  if (stanza.is_presence() && stanza.is_error() &&
      stanza.error()->condition == StanzaCondition::policy_violation) {
    not_told_.insert(number_after(stanza.id(), kToldId));
  }
  if (stanza.id() != kAllToldId) return;
  telling_ = Telling::done;
  std::set<std::uint64_t> expected;
  for (std::size_t i = 1; i <= kTooMany; ++i) expected.insert(kToldMax + i);
  if (not_told_ != expected) {
    stage_.fail("of " + std::to_string(kToldMax + kTooMany) + " targets of directed presence " +
                std::to_string(not_told_.size()) + " were refused");
  }
  // Forgets them all.
  herald_->send(Stanza::presence(StanzaType::unavailable));
}

void Quota::on_crash() {
  for (const auto& [number, request] : requests_) {
    if (static_cast<std::size_t>(request.kind) >= kStores || request.verb == Verb::list) continue;
    store_of(request.kind).present.erase(request.key);
    store_of(request.kind).unknown.insert(request.key);
  }
  requests_.clear();
}

void Quota::gather() {
  for (auto* user : {user_.get(), herald_.get()}) {
    if (!user->is_connected()) user->connect(LinkQuality{});
  }
}

void Quota::check() {
  if (!requests_.empty()) {
    stage_.fail("q got no answer to quota" + std::to_string(requests_.begin()->first));
    on_crash();
  }
  if (telling_ == Telling::begun) stage_.fail("h got no answer to its ping");
  telling_ = Telling::not_yet;
  if (!user_->is_bound()) return;
  send({Kind::item, Verb::list, {}, 0}, "<query xmlns='jabber:iq:roster'/>");
  send({Kind::blocked, Verb::list, {}, 0}, "<blocklist xmlns='urn:xmpp:blocking'/>");
  for (std::size_t i = 0; i < stage_.limits.documents + kTooMany; ++i) {
    const std::string key = "k" + std::to_string(i);
    send({Kind::document, Verb::list, key, 0},
         "<query xmlns='jabber:iq:private'>" + document_of(key, {}) + "</query>");
  }
}

void Quota::leave() {
  for (auto* user : {user_.get(), herald_.get()}) {
    if (user->is_bound()) user->close();
  }
}

}  // namespace sim
