#include "sim/roster_model.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace sim {
namespace {

struct Row {
  const char* state;
  bool goes_on;  // "route?" or "deliver?"
  const char* next;
};
using Table = std::array<Row, 9>;

// A.2.1
constexpr Table kOutboundSubscribe = {{{"None", true, "None + Pending Out"},
                                       {"None + Pending Out", true, "None + Pending Out"},
                                       {"None + Pending In", true, "None + Pending Out+In"},
                                       {"None + Pending Out+In", true, "None + Pending Out+In"},
                                       {"To", true, "To"},
                                       {"To + Pending In", true, "To + Pending In"},
                                       {"From", true, "From + Pending Out"},
                                       {"From + Pending Out", true, "From + Pending Out"},
                                       {"Both", true, "Both"}}};
// A.2.2
constexpr Table kOutboundUnsubscribe = {{{"None", true, "None"},
                                         {"None + Pending Out", true, "None"},
                                         {"None + Pending In", true, "None + Pending In"},
                                         {"None + Pending Out+In", true, "None + Pending In"},
                                         {"To", true, "None"},
                                         {"To + Pending In", true, "None + Pending In"},
                                         {"From", true, "From"},
                                         {"From + Pending Out", true, "From"},
                                         {"Both", true, "From"}}};
// A.2.3 (pre-approval: 3.4.2)
constexpr Table kOutboundSubscribed = {{{"None", false, "None"},
                                        {"None + Pending Out", false, "None + Pending Out"},
                                        {"None + Pending In", true, "From"},
                                        {"None + Pending Out+In", true, "From + Pending Out"},
                                        {"To", false, "To"},
                                        {"To + Pending In", true, "Both"},
                                        {"From", false, "From"},
                                        {"From + Pending Out", false, "From + Pending Out"},
                                        {"Both", false, "Both"}}};
// A.2.4
constexpr Table kOutboundUnsubscribed = {{{"None", false, "None"},
                                          {"None + Pending Out", false, "None + Pending Out"},
                                          {"None + Pending In", true, "None"},
                                          {"None + Pending Out+In", true, "None + Pending Out"},
                                          {"To", false, "To"},
                                          {"To + Pending In", true, "To"},
                                          {"From", true, "None"},
                                          {"From + Pending Out", true, "None + Pending Out"},
                                          {"Both", true, "To"}}};
// A.3.1 (answered instead of delivered to who has it already: note [2])
constexpr Table kInboundSubscribe = {{{"None", true, "None + Pending In"},
                                      {"None + Pending Out", true, "None + Pending Out+In"},
                                      {"None + Pending In", false, "None + Pending In"},
                                      {"None + Pending Out+In", false, "None + Pending Out+In"},
                                      {"To", true, "To + Pending In"},
                                      {"To + Pending In", false, "To + Pending In"},
                                      {"From", false, "From"},
                                      {"From + Pending Out", false, "From + Pending Out"},
                                      {"Both", false, "Both"}}};
// A.3.2
constexpr Table kInboundUnsubscribe = {{{"None", false, "None"},
                                        {"None + Pending Out", false, "None + Pending Out"},
                                        {"None + Pending In", true, "None"},
                                        {"None + Pending Out+In", true, "None + Pending Out"},
                                        {"To", false, "To"},
                                        {"To + Pending In", true, "To"},
                                        {"From", true, "None"},
                                        {"From + Pending Out", true, "None + Pending Out"},
                                        {"Both", true, "To"}}};
// A.3.3
constexpr Table kInboundSubscribed = {{{"None", false, "None"},
                                       {"None + Pending Out", true, "To"},
                                       {"None + Pending In", false, "None + Pending In"},
                                       {"None + Pending Out+In", true, "To + Pending In"},
                                       {"To", false, "To"},
                                       {"To + Pending In", false, "To + Pending In"},
                                       {"From", false, "From"},
                                       {"From + Pending Out", true, "Both"},
                                       {"Both", false, "Both"}}};
// A.3.4
constexpr Table kInboundUnsubscribed = {{{"None", false, "None"},
                                         {"None + Pending Out", true, "None"},
                                         {"None + Pending In", false, "None + Pending In"},
                                         {"None + Pending Out+In", true, "None + Pending In"},
                                         {"To", true, "None"},
                                         {"To + Pending In", true, "None + Pending In"},
                                         {"From", false, "From"},
                                         {"From + Pending Out", true, "From"},
                                         {"Both", true, "From"}}};

const Row& look_up(const Table& table, const std::string& state) {
  for (const Row& row : table) {
    if (state == row.state) return row;
  }
  throw std::logic_error("no such state: " + state);
}

const Table& outbound(const std::string& type) {
  if (type == "subscribe") return kOutboundSubscribe;
  if (type == "unsubscribe") return kOutboundUnsubscribe;
  if (type == "subscribed") return kOutboundSubscribed;
  return kOutboundUnsubscribed;
}
const Table& inbound(const std::string& type) {
  if (type == "subscribe") return kInboundSubscribe;
  if (type == "unsubscribe") return kInboundUnsubscribe;
  if (type == "subscribed") return kInboundSubscribed;
  return kInboundUnsubscribed;
}

bool has(const std::string& state, const char* part) {
  return state.find(part) != std::string::npos;
}
bool is_from(const std::string& state) {
  return state.starts_with("From") || state == "Both";
}
bool is_to(const std::string& state) {
  return state.starts_with("To") || state == "Both";
}
bool is_out(const std::string& state) {
  return has(state, "Pending Out");
}
bool is_in(const std::string& state) {
  return has(state, "In") && has(state, "Pending");
}

// The state with these four facts.
std::string name_state(bool to, bool from, bool out, bool in) {
  std::string state = to ? (from ? "Both" : "To") : (from ? "From" : "None");
  if (out && !to && in && !from) return state + " + Pending Out+In";
  if (out && !to) return state + " + Pending Out";
  if (in && !from) return state + " + Pending In";
  return state;
}

}  // namespace

std::string describe_item(const std::string& subscription, bool is_asked, bool is_approved,
                          const std::string& name, const std::set<std::string>& groups) {
  std::string text = subscription + (is_asked ? " asked" : "") + (is_approved ? " approved" : "") +
                     " '" + name + "'";
  for (const std::string& group : groups) text += " " + group;
  return text;
}

RosterModel::Item RosterModel::item(const std::string& who, const std::string& contact) const {
  const auto roster = rosters_.find(who);
  if (roster == rosters_.end()) return {};
  const auto found = roster->second.find(contact);
  return found == roster->second.end() ? Item{} : found->second;
}

// 2.3, 2.4
void RosterModel::set_item(const std::string& who, const std::string& contact, std::string name,
                           std::set<std::string> groups) {
  Item& changed = at(who, contact);
  changed.is_listed = true;
  changed.name = std::move(name);
  changed.groups = std::move(groups);
}

// 2.5.2
void RosterModel::remove_item(const std::string& who, const std::string& contact) {
  const std::string state = item(who, contact).state;
  if (is_to(state) || is_out(state)) send(who, contact, "unsubscribe");
  if (is_from(state)) send(who, contact, "unsubscribed");
  Item& removed = at(who, contact);
  Item left;  // a request that waits is no part of the roster
  if (is_in(removed.state)) left.state = "None + Pending In";
  removed = left;
}

void RosterModel::send(const std::string& who, const std::string& contact,
                       const std::string& type) {
  Item& mine = at(who, contact);
  const Row& row = look_up(outbound(type), mine.state);
  if (type == "subscribe") mine.is_listed = true;
  if (type == "subscribed") {
    // 3.4.2: who has not asked and may not see is approved in advance.
    if (!row.goes_on && !is_from(mine.state)) mine.is_approved = true;
    mine.is_listed = true;
  }
  if (type == "unsubscribed") mine.is_approved = false;
  mine.state = row.next;
  if (row.goes_on && rosters_.contains(contact)) receive(contact, who, type);
}

void RosterModel::receive(const std::string& who, const std::string& from,
                          const std::string& type) {
  Item& mine = at(who, from);
  if (type == "subscribe" && (is_from(mine.state) || mine.is_approved)) {
    mine.state = name_state(is_to(mine.state), true, is_out(mine.state), false);
    receive(from, who, "subscribed");
    return;
  }
  mine.state = look_up(inbound(type), mine.state).next;
}

std::map<std::string, std::string> RosterModel::items(const std::string& who) const {
  std::map<std::string, std::string> texts;
  for (const auto& [contact, item] : rosters_.at(who)) {
    if (!item.is_listed) continue;
    const bool to = is_to(item.state);
    const bool from = is_from(item.state);
    const char* subscription = to ? (from ? "both" : "to") : (from ? "from" : "none");
    texts[contact] =
        describe_item(subscription, is_out(item.state), item.is_approved, item.name, item.groups);
  }
  return texts;
}

bool RosterModel::has_item(const std::string& who, const std::string& contact) const {
  return item(who, contact).is_listed;
}

bool RosterModel::is_seen_by(const std::string& who, const std::string& watcher) const {
  return who == watcher || is_from(item(who, watcher).state);
}

std::set<std::string> RosterModel::requests(const std::string& who) const {
  std::set<std::string> waiting;
  for (const auto& [contact, item] : rosters_.at(who)) {
    if (is_in(item.state)) waiting.insert(contact);
  }
  return waiting;
}

namespace {

RosterModel::Item read_item(const RosterModel::Told& told, const std::string& contact) {
  RosterModel::Item item;
  const bool is_waiting = told.requests.contains(contact);
  item.state = name_state(false, false, false, is_waiting);
  const auto found = told.items.find(contact);
  if (found == told.items.end()) return item;
  item.is_listed = true;
  const std::string& text = found->second;
  const auto name = text.find('\'');
  const auto end = text.find('\'', name + 1);
  const std::string flags = text.substr(0, name);
  item.name = text.substr(name + 1, end - name - 1);
  for (std::size_t at = end + 1; at < text.size();) {
    const auto next = std::min(text.find(' ', at + 1), text.size());
    item.groups.insert(text.substr(at + 1, next - at - 1));
    at = next;
  }
  item.is_approved = has(flags, " approved");
  const bool both = flags.starts_with("both");
  item.state = name_state(both || flags.starts_with("to"), both || flags.starts_with("from"),
                          has(flags, " asked"), is_waiting);
  return item;
}

}  // namespace

bool RosterModel::adopt(const std::string& one, const std::string& other, const Told& of_one,
                        const Told& of_other) {
  Item mine = read_item(of_one, other);
  if (!rosters_.contains(other)) {
    at(one, other) = std::move(mine);
    return true;
  }
  Item theirs = read_item(of_other, one);
  // Who sees is seen; who asked is waited for.
  if (is_to(mine.state) != is_from(theirs.state) || is_from(mine.state) != is_to(theirs.state) ||
      is_out(mine.state) != is_in(theirs.state) || is_in(mine.state) != is_out(theirs.state)) {
    return false;
  }
  at(one, other) = std::move(mine);
  at(other, one) = std::move(theirs);
  return true;
}

}  // namespace sim
