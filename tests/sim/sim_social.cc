#include "sim/sim_social.h"

#include <algorithm>
#include <charconv>

#include "xmpp/xep/ping.h"

namespace sim {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaType;
namespace xep = xmpp::xep;

namespace {

// Contacts that are nobody's account.
constexpr std::string_view kOutsiders[] = {"nurse@elsewhere.example", "friar@elsewhere.example"};
constexpr std::string_view kSetPrefix = "rs";
constexpr std::string_view kAckPrefix = "ra";
constexpr std::string_view kGetPrefix = "rg";

std::string bare(const Jid& jid) {
  return std::string(jid.bare_str());
}

std::string life_name(const SimUser& user) {
  return user.name() + "#" + std::to_string(user.life());
}

// The number of an id with this prefix; 0: none.
std::uint64_t number_of(std::string_view id, std::string_view prefix) {
  std::uint64_t number = 0;
  if (!id.starts_with(prefix)) return 0;
  const auto digits = id.substr(prefix.size());
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return error == std::errc() && end == digits.data() + digits.size() ? number : 0;
}

std::string describe(const xep::RosterItem& item) {
  const std::string_view subscription =
      item.subscription ? to_string(*item.subscription) : std::string_view("(none said)");
  return describe_item(std::string(subscription), item.ask == xep::Ask::subscribe, item.approved,
                       item.name, {item.groups.begin(), item.groups.end()});
}

std::string describe(const std::map<std::string, std::string>& items) {
  std::string text;
  for (const auto& [contact, what] : items) text += "[" + contact + " " + what + "]";
  return text;
}

std::string describe(const RosterModel::Told& told) {
  std::string text = describe(told.items);
  for (const std::string& contact : told.requests) text += "[" + contact + " waits]";
  return text;
}

// What describe() says of name and groups.
std::string names_of(const std::string& item) {
  return item.substr(item.find('\''));
}

StanzaType type_of(const std::string& verb) {
  if (verb == "subscribe") return StanzaType::subscribe;
  if (verb == "subscribed") return StanzaType::subscribed;
  if (verb == "unsubscribe") return StanzaType::unsubscribe;
  return StanzaType::unsubscribed;
}

}  // namespace

Social::Social(const Users& users, xmpp::Rng& rng, std::function<void(std::string)> fail,
               std::function<Names(const std::string&)> list_requests)
    : users_(users), rng_(rng), fail_(std::move(fail)), list_requests_(std::move(list_requests)) {}

void Social::add_account(const std::string& account) {
  model_.add_account(account);
  accounts_.push_back(account);
}

Social::View& Social::view_of(SimUser& user) {
  View& view = views_[&user];
  if (view.life == user.life()) return view;
  View fresh;
  fresh.life = user.life();
  fresh.roster = std::move(view.roster);
  fresh.version = std::move(view.version);
  view = std::move(fresh);
  return view;
}

// Doing -------------------------------------------------------------------------------------------

void Social::act(SimUser& user) {
  View& view = view_of(user);
  if (!view.is_interested && pick(2) == 0) {
    ask_for_roster(user, pick(4) == 0 ? std::nullopt : std::optional(view.version), false);
    return;
  }
  const std::size_t chosen = pick(accounts_.size() + std::size(kOutsiders));
  const std::string contact(chosen < accounts_.size() ? std::string_view(accounts_[chosen])
                                                      : kOutsiders[chosen - accounts_.size()]);
  if (may_act(user, contact)) change(user, contact);
}

bool Social::may_act(SimUser& user, const std::string& contact) {
  const std::string own = bare(user.jid());
  if (own == contact || uncertain_.contains({own, contact})) return false;
  // Another client of the account still waits for what it did.
  for (const auto& other : users_) {
    if (other.get() == &user || bare(other->jid()) != own) continue;
    if (other->is_bound() && !view_of(*other).pending.empty()) return false;
  }
  const Pair pair{std::min(own, contact), std::max(own, contact)};
  if (!model_.is_account(contact)) return true;
  const auto actor = actors_.find(pair);
  if (actor == actors_.end()) {
    actors_[pair] = own;
    return true;
  }
  return actor->second == own && !uncertain_.contains({contact, own});
}

void Social::change(SimUser& user, const std::string& contact) {
  const std::string own = bare(user.jid());
  const std::size_t dice = pick(100);
  const bool is_account = model_.is_account(contact);
  if (dice < 20 || !is_account) {
    xep::RosterItem item;
    item.jid = Jid::from_prepared(contact);
    if (dice < 8 && model_.has_item(own, contact)) {
      item.subscription = xep::Subscription::remove;
      model_.remove_item(own, contact);
    } else {
      item.name = "N" + std::to_string(pick(5));
      if (pick(2) == 0) item.groups.emplace_back("Friends");
      if (pick(3) == 0) item.groups.emplace_back("Work");
      // What a client may not set is ignored.
      if (pick(3) == 0) item.subscription = xep::Subscription::both;
      model_.set_item(own, contact, item.name, {item.groups.begin(), item.groups.end()});
    }
    send_set(user, item);
  } else if (dice < 30 && model_.has_item(own, contact)) {
    xep::RosterItem item;
    item.jid = Jid::from_prepared(contact);
    item.subscription = xep::Subscription::remove;
    model_.remove_item(own, contact);
    send_set(user, item);
  } else {
    constexpr const char* kVerbs[] = {"subscribe",  "subscribe",   "subscribed",
                                      "subscribed", "unsubscribe", "unsubscribed"};
    const std::string verb = kVerbs[pick(std::size(kVerbs))];
    model_.send(own, contact, verb);
    send_verb(user, contact, verb);
    // A refusal sent before may not have been stored, so that this grants what the model thinks is
    // refused.
    if (has_faults_ && verb == "subscribed") permitted_.insert({own, contact});
  }
  touched_.insert({own, contact});
  permit(own, contact);
}

void Social::ask_for_roster(SimUser& user, std::optional<std::string> version, bool is_audit) {
  View& view = view_of(user);
  const auto number = next_number_++;
  auto stanza = Stanza::iq(StanzaType::get, {}, std::string(kGetPrefix) + std::to_string(number));
  xep::Roster query;
  query.version = std::move(version);
  stanza.add(query);
  view.is_interested = true;
  view.asked[number] = is_audit;
  user.send(stanza);
}

void Social::send_set(SimUser& user, const xep::RosterItem& item) {
  const auto number = next_number_++;
  auto stanza = Stanza::iq(StanzaType::set, {}, std::string(kSetPrefix) + std::to_string(number));
  xep::Roster query;
  query.items.push_back(item);
  stanza.add(query);
  view_of(user).pending[number] = bare(item.jid);
  const Pair pair{bare(user.jid()), bare(item.jid)};
  kept_.erase(pair);
  newest_sets_[pair] = number;
  sets_[number] = {pair, item.subscription == xep::Subscription::remove ? std::string()
                                                                        : names_of(describe(item))};
  user.send(stanza);
}

// Presence is not acknowledged; a request behind it is.
void Social::send_verb(SimUser& user, const std::string& contact, const std::string& type) {
  const auto number = next_number_++;
  view_of(user).pending[number] = contact;
  const auto kept = kept_.find({bare(user.jid()), contact});
  // A subscription brings back an item that was removed.
  if (kept != kept_.end() && kept->second.empty()) kept_.erase(kept);
  newest_sets_[{bare(user.jid()), contact}] = number;
  user.send(Stanza::presence(type_of(type), Jid::from_prepared(contact)));
  auto ping = Stanza::iq(StanzaType::get, Jid::from_prepared("localhost"),
                         std::string(kAckPrefix) + std::to_string(number));
  ping.add(xep::Ping{});
  user.send(ping);
}

void Social::tell(SimUser& user, StanzaType type, const Jid& to, const std::string& status) {
  View& view = view_of(user);
  const bool is_available = type == StanzaType::available;
  if (!to) {
    view.status = is_available ? status : "";
    view.hidden_from.clear();
    if (is_available) return;
    view.farewells.insert(status);
    view.directed.clear();
    view.was_away = true;
    return;
  }
  const std::string target(to.str());
  if (is_available) {
    view.directed[target] = status;
    view.hidden_from.erase(target);
    directed_.insert(status);
    permitted_.insert({bare(user.jid()), bare(to)});
  } else {
    // To the account is to all its clients.
    std::erase_if(view.directed, [&](const auto& entry) {
      return entry.first == target || entry.first.starts_with(target + "/");
    });
    view.hidden_from.insert(target);
    view.was_away = true;
    permitted_.insert({bare(user.jid()), bare(to)});
  }
}

void Social::permit(const std::string& one, const std::string& other) {
  if (!model_.is_account(other)) return;
  if (model_.is_seen_by(one, other)) permitted_.insert({one, other});
  if (model_.is_seen_by(other, one)) permitted_.insert({other, one});
}

bool Social::is_permitted(const std::string& from, const std::string& to) const {
  return from == to || is_estranged(from, to) || permitted_.contains({from, to}) ||
         uncertain_.contains({from, to}) || uncertain_.contains({to, from});
}

// Seeing ------------------------------------------------------------------------------------------

bool Social::on_stanza(SimUser& user, const Stanza& stanza) {
  if (!user.is_bound()) {  // it has ended its stream, and looks at nothing any more
    return number_of(stanza.id(), kGetPrefix) != 0 || number_of(stanza.id(), kAckPrefix) != 0 ||
           number_of(stanza.id(), kSetPrefix) != 0;
  }
  View& view = view_of(user);
  if (stanza.is_presence()) {
    on_presence(user, view, stanza);
    return false;
  }
  if (!stanza.is_iq()) return false;
  if (stanza.is_request()) {
    (void)on_roster(user, view, stanza);
    return false;
  }
  if (number_of(stanza.id(), kGetPrefix) != 0) return on_roster(user, view, stanza);
  auto number = number_of(stanza.id(), kAckPrefix);
  if (number == 0) number = number_of(stanza.id(), kSetPrefix);
  if (number == 0) return false;
  if (stanza.is_error() && has_faults_) {
    const auto refused = view.pending.find(number);
    if (refused != view.pending.end()) uncertain_.insert({bare(user.jid()), refused->second});
  } else if (stanza.is_error()) {
    fail_(life_name(user) + " was refused " + stanza.id());
  }
  view.pending.erase(number);
  if (const auto set = sets_.find(number); set != sets_.end()) {
    const auto newest = newest_sets_.find(set->second.first);
    if (!stanza.is_error() && newest->second == number) {
      kept_[set->second.first] = set->second.second;
    }
    sets_.erase(set);
  }
  return true;
}

void Social::on_presence(SimUser& user, View& view, const Stanza& stanza) {
  if (stanza.type() == StanzaType::subscribe)
    view.requests.insert(std::string(stanza.from().str()));
  if (stanza.type() != StanzaType::available && stanza.type() != StanzaType::unavailable) return;
  const std::string from(stanza.from().str());
  const std::string status = stanza.child_text("status").value_or("");
  const bool is_there = stanza.type() == StanzaType::available;
  const bool is_directed = directed_.contains(status);
  const bool is_own = from == user.jid().str();
  if (!is_permitted(bare(stanza.from()), bare(user.jid()))) {
    fail_(life_name(user) + " sees presence of " + from + " without permission");
  }
  // Its account's other sessions may be told of before it is told of itself.
  if (is_there && !is_directed && bare(stanza.from()) == stanza.to().str()) {
    view.is_known_there = true;
  }
  // (Its own presence may wait behind a message to its account, and contacts answer its probes.)
  const bool may_be_known = view.is_known_there || !view.status.empty();
  if (!is_own && !may_be_known && stanza.to().is_bare()) {
    fail_(life_name(user) + " gets presence of " + from + " as if it was available");
  }
  if (is_there) {
    // RFC 6121 4.3.2: answers to its probes may come after it has gone, and when it is there again.
    // Nobody will take them back.
    if (may_be_known || is_directed) view.presence[from] = status;
    if (!view.is_known_there && view.was_away) view.forgotten.insert(status);
  } else if (stanza.from().is_full()) {
    view.presence.erase(from);
  } else {
    std::erase_if(view.presence,
                  [&](const auto& entry) { return entry.first.starts_with(from + "/"); });
  }
  // (Who had sent itself directed presence is told once more, perhaps when it is back.)
  if (is_own && !is_there && stanza.to().is_bare() && view.farewells.erase(status) != 0) {
    // Not available any more: what it knows of others is not kept up to date.
    view.is_known_there = false;
    view.presence.clear();
    view.requests.clear();
  }
}

bool Social::on_roster(SimUser& user, View& view, const Stanza& stanza) {
  auto query = stanza.get<xep::Roster>();
  if (stanza.is_request()) {
    if (!query || !*query) return false;
    if (!view.is_interested) fail_(life_name(user) + " was pushed a roster it did not ask for");
    if (!view.has_roster) fail_(life_name(user) + " was pushed an item before the roster");
    for (const xep::RosterItem& item : (*query)->items) {
      if (item.subscription == xep::Subscription::remove) {
        view.roster.erase(bare(item.jid));
      } else {
        view.roster[bare(item.jid)] = describe(item);
      }
    }
    if ((*query)->version) view.version = *(*query)->version;
    return true;
  }
  const auto asked = view.asked.find(number_of(stanza.id(), kGetPrefix));
  if (asked == view.asked.end()) return true;  // of an earlier life
  const bool is_audit = asked->second;
  view.asked.erase(asked);
  if (stanza.is_error()) {
    if (!has_faults_ || is_audit) fail_(life_name(user) + " was refused its roster");
    view.is_interested = false;
    return true;
  }
  if (query && *query) {
    Items items;
    for (const xep::RosterItem& item : (*query)->items) items[bare(item.jid)] = describe(item);
    if (is_audit) {
      view.audited.items = items;
      view.is_audited = true;
    }
    if (is_audit && view.has_roster && items != view.roster) {
      fail_(life_name(user) + " was pushed " + describe(view.roster) + ", but it is " +
            describe(items));
    }
    view.roster = std::move(items);
    view.version = (*query)->version.value_or("");
  }
  view.has_roster = true;
  return true;
}

void Social::on_end(SimUser& user) {
  View& view = view_of(user);
  const std::string own = bare(user.jid());
  for (const auto& [number, contact] : view.pending) {
    uncertain_.insert({own, contact});
    sets_.erase(number);
  }
  view.pending.clear();
  view.presence.clear();
  view.requests.clear();
  view.directed.clear();
  view.hidden_from.clear();
  view.asked.clear();
  view.status.clear();
  view.is_interested = view.has_roster = view.is_audited = false;
  // A version without what it stands for is worth nothing.
  if (view.version.empty()) view.roster.clear();
}

void Social::on_crash() {
  uncertain_.insert(touched_.begin(), touched_.end());
}

// Comparing ---------------------------------------------------------------------------------------

void Social::begin_audit() {
  for (const auto& user : users_) {
    if (!user->is_bound()) continue;
    View& view = view_of(*user);
    view.is_audited = false;
    ask_for_roster(*user, "", true);
  }
}

void Social::finish_audit() {
  // A write that failed without an answer (presence has none).
  if (has_faults_) uncertain_.insert(touched_.begin(), touched_.end());
  for (const auto& user : users_) {
    view_of(*user).audited.requests = list_requests_(bare(user->jid()));
  }
  check_kept();
  believe_uncertain();
  for (const auto& user : users_) {
    if (!user->is_bound()) continue;
    View& view = view_of(*user);
    check_roster(*user, view);
    check_presence(*user, view);
    view.was_away = view.status.empty();
  }
  actors_.clear();
  uncertain_.clear();
  touched_.clear();
  permitted_.clear();
  heal();
  for (const auto& one : accounts_) {
    for (const auto& other : accounts_) permit(one, other);
  }
  // Directed presence of a session that is still there may be taken back.
  for (auto& [user, view] : views_) {
    for (const auto& [to, status] : view.directed) {
      permitted_.insert({bare(user->jid()), bare(Jid::from_prepared(to))});
    }
  }
}

Social::View* Social::find_audited(const std::string& account) {
  for (const auto& user : users_) {
    if (bare(user->jid()) != account || !user->is_bound()) continue;
    View& view = view_of(*user);
    if (view.is_audited) return &view;
  }
  return nullptr;
}

void Social::believe_uncertain() {
  for (const auto& [one, other] : uncertain_) {
    const View* mine = find_audited(one);
    const View* theirs = find_audited(other);
    if (mine == nullptr || (theirs == nullptr && model_.is_account(other))) continue;
    const RosterModel::Told none;
    const RosterModel::Told& of_one = mine->audited;
    const RosterModel::Told& of_other = theirs == nullptr ? none : theirs->audited;
    const bool is_agreed = model_.adopt(one, other, of_one, of_other);
    if (!has_faults_ || !model_.is_account(other)) {
      if (!is_agreed) {
        fail_(one + " and " + other + " do not agree: " + describe(of_one) + " and " +
              describe(of_other));
      }
      continue;
    }
    if (is_agreed) {
      estranged_.erase({one, other});
      estranged_.erase({other, one});
    } else {
      estranged_.insert({one, other});
      estranged_.insert({other, one});
    }
  }
}

// What was acknowledged of an item's name and groups, or its removal, is so whatever happened
// since.
void Social::check_kept() {
  for (const auto& [pair, names] : kept_) {
    const View* view = find_audited(pair.first);
    if (view == nullptr) continue;
    const Items& items = view->audited.items;
    const auto found = items.find(pair.second);
    const std::string told = found == items.end() ? "" : names_of(found->second);
    if (told != names) {
      fail_("the item " + pair.second + " of " + pair.first + " is [" + told + "], but [" + names +
            "] was acknowledged");
    }
  }
}

// Whatever they had of each other ends, and that is believed at the next audit.
void Social::heal() {
  for (const auto& [one, other] : estranged_) {
    uncertain_.insert({one, other});
    for (const auto& user : users_) {
      if (bare(user->jid()) != one || !user->is_bound()) continue;
      send_verb(*user, other, "unsubscribe");
      send_verb(*user, other, "unsubscribed");
      break;
    }
  }
}

void Social::check_roster(SimUser& user, View& view) {
  if (!view.is_audited) {
    fail_(life_name(user) + " got no answer to its roster get");
    return;
  }
  if (!view.pending.empty()) {
    fail_(life_name(user) + " got no answer to " + std::to_string(view.pending.begin()->first));
  }
  const std::string own = bare(user.jid());
  const auto without_estranged = [&](RosterModel::Told told) {
    std::erase_if(told.items, [&](const auto& entry) { return is_estranged(own, entry.first); });
    std::erase_if(told.requests, [&](const auto& contact) { return is_estranged(own, contact); });
    return told;
  };
  const auto expected = without_estranged({model_.items(own), model_.requests(own)});
  const auto told = without_estranged(view.audited);
  if (told != expected) {
    fail_("the roster of " + life_name(user) + " is " + describe(told) + ", should be " +
          describe(expected));
  }
  if (view.status.empty()) return;
  for (const std::string& contact : expected.requests) {
    if (!view.requests.contains(contact)) {
      fail_(life_name(user) + " was not told that " + contact + " asks");
    }
  }
}

void Social::check_presence(SimUser& user, View& view) {
  if (!view.status.empty() && !user.is_available()) {
    fail_(life_name(user) + " was not told its own presence");
    return;
  }
  for (const auto& other : users_) check_seen(user, view, *other, view_of(*other));
  // Nobody else.
  for (const auto& [full, status] : view.presence) {
    const bool is_known = std::any_of(users_.begin(), users_.end(), [&](const auto& other) {
      return other->jid().str() == full;
    });
    if (!is_known) fail_(life_name(user) + " sees " + full + ", which never was");
  }
}

// `view.presence` of one other client.
void Social::check_seen(SimUser& user, View& view, SimUser& other, View& others) {
  const std::string full(other.jid().str());
  const std::string what = life_name(user) + " sees " + life_name(other);
  const auto seen = view.presence.find(full);
  // RFC 6121 4.6: directed presence may reach who has gone itself or has sent unavailable presence,
  // also because a subscription ended (nothing is owed to it from then on), and a subscriber's
  // client that is not available (no broadcast reaches it).
  if (seen != view.presence.end() && directed_.contains(seen->second) &&
      (view.was_away || is_permitted(bare(user.jid()), bare(other.jid())))) {
    view.forgotten.insert(seen->second);
  }
  if (is_estranged(bare(user.jid()), bare(other.jid()))) return;
  std::set<std::string> possible;
  const bool is_seen =
      !others.status.empty() && model_.is_seen_by(bare(other.jid()), bare(user.jid()));
  if (is_seen) possible.insert(others.status);
  for (const std::string& to : {std::string(user.jid().str()), bare(user.jid())}) {
    const auto directed = others.directed.find(to);
    if (directed != others.directed.end()) possible.insert(directed->second);
  }
  if (seen != view.presence.end() && !possible.contains(seen->second)) {
    if (view.forgotten.contains(seen->second)) {
      view.presence.erase(seen);
      return;
    }
    fail_(what + " with status '" + seen->second + "', which is " +
          (possible.empty() ? "gone" : "out of date"));
  }
  // Directed unavailable presence hides it until the next broadcast.
  const bool is_hidden = others.hidden_from.contains(std::string(user.jid().str())) ||
                         others.hidden_from.contains(bare(user.jid()));
  if (seen == view.presence.end() && is_seen && !view.status.empty() && !is_hidden) {
    fail_(what + " not at all, but should");
  }
}

}  // namespace sim
