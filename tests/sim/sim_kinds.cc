#include "sim/sim_kinds.h"

#include <algorithm>
#include <array>

#include "xmpp/xep/carbons.h"
#include "xmpp/xep/delay.h"

namespace sim {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaType;
namespace xep = xmpp::xep;

namespace {

constexpr std::size_t kWriters = 2;
constexpr std::size_t kReaders = 3;
constexpr std::string_view kId = "kind";
constexpr std::string_view kSetId = "set";
constexpr std::string_view kReader = "reader@localhost";
constexpr std::string_view kAbsent = "reader@localhost/absent";
// In which everything has arrived, over the connections of this part.
constexpr Duration kWait = std::chrono::milliseconds(1'200);
// In so many turns so many messages.
constexpr std::size_t kTurns = 3;
constexpr std::size_t kAtOnce = 6;
// No more than may be stored.
constexpr std::size_t kStoredMax = 20;
constexpr std::array kTypes = {StanzaType::chat,   StanzaType::chat,     StanzaType::normal,
                               StanzaType::normal, StanzaType::headline, StanzaType::groupchat,
                               StanzaType::error};

std::string key_of(const SimUser& user, const std::string& form) {
  return user.name() + " " + form;
}

void add(Stanza& stanza, const std::string& markup) {
  const auto document = xmpp::xml::Document::parse(markup);
  stanza.add(xmpp::Payload(document->root()));
}

}  // namespace

Kinds::Kinds(const Stage& stage, std::uint64_t seed)
    : stage_(stage), clients_(kWriters + kReaders), nobody_("nowhere@localhost") {
  for (const char* account : {"author@localhost", "reader@localhost"}) {
    stage_.world.add_account(account);
  }
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    Client& client = clients_[i];
    client.is_reader = i >= kWriters;
    const std::string jid = client.is_reader
                                ? std::string(kReader) + "/r" + std::to_string(i - kWriters)
                                : "author@localhost/r" + std::to_string(i);
    client.user =
        std::make_unique<SimUser>(stage_.world, stage_.transcript, "n" + std::to_string(i),
                                  Jid::from_prepared(jid), seed * 100 + 20 + i);
    client.user->on_stanza = [this, &client](SimUser&, const Stanza& stanza) {
      on_stanza(client, stanza);
    };
    client.user->on_end = [this, &client](SimUser&) { on_end(client); };
  }
  draw();
}

void Kinds::next(Phase phase, Duration in) {
  phase_ = phase;
  next_at_ = stage_.world.now() + in;
}

void Kinds::act() {
  if (stage_.world.now() < next_at_) return;
  switch (phase_) {
    case Phase::settling:
      for (Client& client : clients_) settle(client);
      // What was stored comes, and who left has gone.
      if (is_everybody_settled()) next(Phase::settled, kWait);
      break;
    case Phase::settled:
      if (!is_everybody_settled()) {
        next(Phase::settling, {});
        break;
      }
      reloads_ = stage_.world.reloads;
      turns_left_ = kTurns;
      next(Phase::writing, {});
      break;
    case Phase::writing:
      for (std::size_t i = 0; i < kAtOnce; ++i) write();
      if (--turns_left_ == 0) next(Phase::written, kWait);
      break;
    case Phase::written:
      judge();
      draw();
      break;
  }
}

// Another state for everybody.
void Kinds::draw() {
  constexpr std::array<std::optional<std::int8_t>, 5> kPriorities = {0, 5, 5, -1, std::nullopt};
  for (Client& client : clients_) {
    const bool must_be_there = &client == &clients_.front();
    client.is_there = must_be_there || stage_.pick(3) != 0;
    client.priority = kPriorities[stage_.pick(kPriorities.size())];
    client.wants_copies = stage_.pick(2) == 0;
    client.is_asked = client.is_set = false;
  }
  if (stored_.size() > kStoredMax) {
    clients_.back().is_there = true;
    clients_.back().priority = 1;
  }
  next(Phase::settling, {});
}

void Kinds::settle(Client& client) {
  SimUser& user = *client.user;
  if (!client.is_there) {
    if (!user.is_bound()) return;
    client.is_asked = true;  // its end is meant
    if (stage_.pick(2) == 0) {
      user.close();
    } else {
      user.cut();
    }
    return;
  }
  if (!user.is_connected()) {
    user.connect(stage_.random_quality());
    return;
  }
  if (!user.is_bound() || client.is_asked) return;
  client.is_asked = true;
  auto presence =
      Stanza::presence(client.priority ? StanzaType::available : StanzaType::unavailable);
  if (client.priority) presence.add_text("priority", std::to_string(*client.priority));
  user.send(presence);
  // The answer says that both are so.
  auto wish = Stanza::iq(StanzaType::set, {}, std::string(kSetId) + "1");
  if (client.wants_copies) {
    wish.add(xep::CarbonsEnable{});
  } else {
    wish.add(xep::CarbonsDisable{});
  }
  user.send(wish);
}

bool Kinds::is_everybody_settled() const {
  return std::all_of(clients_.begin(), clients_.end(), [](const Client& client) {
    return client.is_there ? client.is_set : !client.user->is_connected();
  });
}

Stanza Kinds::make(StanzaType type, const Jid& to, Body body, const std::string& id) const {
  auto stanza = Stanza::message(type, to);
  stanza.envelope().id = id;
  if (type == StanzaType::error) {
    // An answer to what nobody sent.
    auto request = Stanza::message(StanzaType::normal, {});
    request.envelope().from = to;
    request.envelope().id = id;
    return xmpp::make_error(request, xmpp::StanzaCondition::recipient_unavailable);
  }
  if (body == Body::composing) {
    add(stanza, "<composing xmlns='http://jabber.org/protocol/chatstates'/>");
    return stanza;
  }
  if (body != Body::none) stanza.add_text("body", "x");
  if (body == Body::no_store) add(stanza, "<no-store xmlns='urn:xmpp:hints'/>");
  if (body == Body::not_copied) stanza.add(xep::CarbonsPrivate{});
  return stanza;
}

void Kinds::write() {
  const std::size_t from = stage_.pick(kWriters);
  Client& writer = clients_[from];
  if (!writer.user->is_bound() || !writer.is_there) return;
  const StanzaType type = kTypes[stage_.pick(kTypes.size())];
  auto body = static_cast<Body>(stage_.pick(5));
  // What only tells that somebody writes is a matter of chats.
  if (body == Body::composing && type != StanzaType::chat) body = Body::text;
  Jid to = Jid::from_prepared(kReader);
  switch (stage_.pick(8)) {
    case 0:
    case 1:
    case 2:
      to = clients_[kWriters + stage_.pick(kReaders)].user->jid();
      break;
    case 3:
      to = Jid::from_prepared(kAbsent);
      break;
    case 4:
      to = Jid::from_prepared(nobody_ + (stage_.pick(2) == 0 ? "/r" : ""));
      break;
    default:
      break;
  }
  const auto number = next_number_++;
  const std::string id = std::string(kId) + std::to_string(number);
  Letter& letter = letters_[number];
  letter.from = from;
  letter.what = id + " (" + std::string(to_string(type)) + ", body " +
                std::to_string(static_cast<int>(body)) + ", to " + std::string(to.str()) + ")";
  letter.may_fail = stage_.has_faults && type != StanzaType::error;
  expect(letter, number, type, to, body);
  writer.user->note("writes " + letter.what);
  writer.user->send(make(type, to, body, id));
}

// RFC 6121 8.5, XEP-0160 3, XEP-0280 6.1, 7, 8.
void Kinds::expect(Letter& letter, std::uint64_t number, StanzaType type, const Jid& to,
                   Body body) {
  const bool is_for_reader = to.bare_str() == kReader;
  std::set<std::string> originals;
  bool is_refused = false;
  bool is_for_account = is_for_reader && to.is_bare();
  if (is_for_reader && to.is_full()) {
    for (const Client& client : clients_) {
      if (client.user->jid() == to && client.is_there) originals = {key_of(*client.user, "itself")};
    }
    // 8.5.3.2.1
    if (originals.empty() && type == StanzaType::chat) is_for_account = true;
    if (originals.empty() && !is_for_account) is_refused = type != StanzaType::error;
  } else if (!is_for_reader) {
    // 8.5.1: as if nobody was there.
    is_refused = type != StanzaType::error && !(type == StanzaType::headline && to.is_bare());
  }
  if (is_for_account && type == StanzaType::groupchat) {
    is_refused = true;
  } else if (is_for_account && type != StanzaType::error) {
    for (const Client& client : clients_) {
      if (client.is_reader && takes(client)) originals.insert(key_of(*client.user, "itself"));
    }
    const bool is_kind = type == StanzaType::chat || type == StanzaType::normal;
    if (originals.empty() && is_kind && body != Body::composing) {
      if (body == Body::no_store) {
        is_refused = true;
      } else {
        stored_[number] = letter.from;
      }
    }
  }
  letter.owed = originals;
  const bool is_copied =
      (type == StanzaType::chat && body != Body::not_copied) ||
      (type == StanzaType::normal && (body == Body::text || body == Body::no_store));
  if (is_copied) {
    owe_copies(letter, false, "sent", {});
    if (is_for_account || !originals.empty()) owe_copies(letter, true, "received", originals);
  }
  if (!is_refused) return;
  letter.owed.insert(key_of(*clients_[letter.from].user, "error"));
  if (is_copied) owe_copies(letter, false, "received error", {});
}

// To all clients of the account that want copies, but the writer and who has the message itself.
void Kinds::owe_copies(Letter& letter, bool is_reader, const std::string& form,
                       const std::set<std::string>& except) const {
  for (const Client& client : clients_) {
    if (client.is_reader != is_reader || !client.is_there || !client.wants_copies) continue;
    if (&client == &clients_[letter.from]) continue;
    if (!except.contains(key_of(*client.user, "itself"))) {
      letter.owed.insert(key_of(*client.user, form));
    }
  }
}

void Kinds::on_stanza(Client& client, const Stanza& stanza) {
  if (stanza.is_iq()) {
    if (stanza.is_request() || !client.user->is_bound() || !stanza.id().starts_with(kSetId)) return;
    client.is_set = !stanza.is_error();
    if (!stanza.is_error()) return;
    client.is_asked = false;
    if (!stage_.has_faults) stage_.fail(client.user->name() + " was refused copies");
    return;
  }
  if (!stanza.is_message() || !client.user->is_bound()) return;
  if (const auto received = stanza.get<xep::CarbonsReceived>(); received && *received) {
    const Stanza& inner = (*received)->forwarded.stanza;
    on_letter(client, number_after(inner.id(), kId),
              inner.is_error() && !client.is_reader ? "received error" : "received");
  } else if (const auto sent = stanza.get<xep::CarbonsSent>(); sent && *sent) {
    on_letter(client, number_after((*sent)->forwarded.stanza.id(), kId), "sent");
  } else if (stanza.has<xep::Delay>()) {
    on_stored(client, number_after(stanza.id(), kId));
  } else if (!client.is_reader && stanza.is_error()) {
    on_letter(client, number_after(stanza.id(), kId), "error");
    const auto error = stanza.error();
    if (!stage_.has_faults && error->condition != xmpp::StanzaCondition::service_unavailable) {
      stage_.fail(stanza.id() + " was refused with " + std::string(to_string(error->condition)));
    }
  } else {
    on_letter(client, number_after(stanza.id(), kId), "itself");
  }
}

void Kinds::on_letter(const Client& client, std::uint64_t number, const std::string& form) {
  const std::string what =
      client.user->name() + " got kind" + std::to_string(number) + " (" + form + ")";
  if (number < first_since_crash_) return;
  const auto found = letters_.find(number);
  if (found == letters_.end()) {
    if (!stage_.has_faults) stage_.fail(what + " too late");
    return;
  }
  Letter& letter = found->second;
  const std::string key = key_of(*client.user, form);
  const bool is_failure = letter.may_fail && form.ends_with("error");
  if (!letter.owed.contains(key) && !is_failure) {
    stage_.fail(what + ", which is not for it: " + letter.what);
  }
  if (!letter.seen.insert(key).second) stage_.fail(what + " twice");
  if (is_failure) stored_.erase(number);
}

void Kinds::on_stored(const Client& client, std::uint64_t number) {
  if (number < first_since_crash_) return;
  const auto found = stored_.find(number);
  const std::string what = client.user->name() + " got kind" + std::to_string(number) + " late";
  if (found == stored_.end()) {
    // (One whose removal failed comes again.)
    if (!stage_.has_faults) stage_.fail(what + ", which was not stored, or twice");
    return;
  }
  if (!takes(client) || !client.is_asked) stage_.fail(what + " though it takes none");
  auto& last = last_stored_[found->second];
  if (number < last && !stage_.has_faults) stage_.fail(what + " after " + std::to_string(last));
  last = number;
  stored_.erase(found);
}

// What was to happen in this round.
void Kinds::judge() {
  const bool has_reloaded = stage_.world.reloads != reloads_ || reloads_ % 2 == 1;
  bool was_stored = false;
  for (const auto& [number, letter] : letters_) {
    was_stored = was_stored || stored_.contains(number);
    const bool has_failed =
        letter.may_fail && letter.seen.contains(key_of(*clients_[letter.from].user, "error"));
    for (const std::string& key : letter.owed) {
      if (letter.seen.contains(key) || has_failed) continue;
      // A new instance does not know what the one before had copied.
      if (has_reloaded && key.ends_with("received error")) continue;
      stage_.fail("lost: " + letter.what + " for " + key);
    }
  }
  letters_.clear();
  const bool is_taken = std::any_of(clients_.begin(), clients_.end(), [](const Client& client) {
    return client.is_reader && takes(client);
  });
  if (!is_taken || stored_.empty()) return;
  if (!stage_.has_faults) {
    stage_.fail("kind" + std::to_string(stored_.begin()->first) + " is stored, but does not come");
  }
  stored_.clear();
}

// Only this part or a crash ends a connection.
void Kinds::on_end(Client& client) {
  client.is_set = false;
  if (!client.is_there) return;
  client.is_asked = false;
  forget();
}

void Kinds::forget() {
  first_since_crash_ = next_number_;
  letters_.clear();
  stored_.clear();
  last_stored_.clear();
  next(Phase::settling, {});
}

void Kinds::on_crash() {
  for (Client& client : clients_) client.is_asked = client.is_set = false;
  forget();
}

void Kinds::check() {
  if (phase_ != Phase::writing && phase_ != Phase::written) return;
  judge();
  draw();
}

void Kinds::leave() {
  for (Client& client : clients_) {
    client.is_there = false;
    if (client.user->is_bound()) client.user->close();
  }
}

}  // namespace sim
