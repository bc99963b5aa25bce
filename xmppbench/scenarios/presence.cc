// presence: everybody has the same number of contacts, who see each other (a ring of neighbours),
// and everybody's presence must reach each of them exactly once.
//
//   preparation  whoever lacks contacts subscribes and is subscribed to (RFC 6121 3.1), in-band
//   warm-up      all become available, one after the other at --rate: each pair must see each other
//   measured     open loop: --rate updates a second in turn; latency from the intended time
//   after it     odd users leave: their even contacts must each see it once
//
// Sender, number and time travel in <status/> (Tag). What somebody sees twice while two contacts
// become available at the same time (broadcast and answer to the probe cross) is told apart.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "audit.h"
#include "scenario.h"
#include "schedule.h"
#include "swarm.h"
#include "xmpp/xep/roster.h"

namespace xmppbench {
namespace {

using xmpp::Instant;
using xmpp::kNever;
using xmpp::Stanza;
using xmpp::StanzaType;

constexpr std::uint64_t kNone = ~std::uint64_t{0};
// Preparation without any progress for so long has failed.
constexpr xmpp::Duration kPatience = std::chrono::seconds(30);

// What a user sees of one contact.
struct View {
  std::uint32_t member = 0;  // the contact's place in members_
  bool is_mutual = false;    // the roster says `both`
  bool has_left = false;
  Audit audit;
};

struct Member {
  User* user = nullptr;
  std::vector<View> views;
  std::size_t mutual = 0;
  bool has_roster = false;
  bool is_ready = false;                // the preparation is over
  bool is_available = false;            // of the run, not of the preparation
  std::uint32_t sent = 0;               // the next number; 0 is the initial presence
  std::uint64_t measured_from = kNone;  // the first number of the measured phase
};

class PresenceScenario final : public Scenario {
 public:
  explicit PresenceScenario(Shard& shard) : shard_(shard), reach_(shard.options().contacts / 2) {}

  // ---- preparation

  bool prepare(User& user) override {
    if (members_.empty()) make_members();
    Stanza request = Stanza::iq(StanzaType::get, {});
    request.add(xmpp::xep::Roster());
    user.client->iq(std::move(request), [this, &user](const std::optional<Stanza>& answer) {
      on_roster(user, answer);
    });
    return false;
  }

  bool on_request(User& user, const Stanza& stanza) override {
    if (!stanza.has<xmpp::xep::Roster>()) return false;
    if (const auto roster = stanza.get<xmpp::xep::Roster>(); roster && *roster) {
      note_items(members_[user.local], (*roster)->items);
    }
    return true;
  }

  // ---- the run

  void begin(const Phases& phases) override {
    Scenario::begin(phases);
    const double rate = shard_.options().rate;
    arrivals_.emplace(phases.start, rate, shard_.index(), shard_.options().reactors);
    updates_.emplace(phases.measure_start, rate, shard_.index(), shard_.options().reactors);
  }

  Instant on_turn(Instant now) override {
    if (!has_begun()) return watch_preparation(now);
    if (now < phases().start) return phases().start;
    while (next_arrival_ < members_.size()) {
      if (arrivals_->next() > now) return arrivals_->next();
      appear(members_[next_arrival_++], arrivals_->next());
      arrivals_->advance();
    }
    if (now < phases().measure_start) return phases().measure_start;
    while (updates_->next() <= now && updates_->next() < phases().measure_end) {
      send_update(updates_->next(), now);
      updates_->advance();
    }
    if (now < phases().measure_end) return std::min(updates_->next(), phases().measure_end);
    if (!has_parted_ && (arrived_ >= expected_ || now >= part_by())) part();
    if (now >= phases().drain_end) return kNever;
    if (!has_parted_) return part_by();
    const Instant quiet_from = last_arrival_ + kQuietTime;
    return now < quiet_from ? std::min(quiet_from, phases().drain_end) : phases().drain_end;
  }

  void on_stanza(User& user, const Stanza& stanza) override {
    if (!stanza.is_presence() || members_.empty()) return;
    Member& member = members_[user.local];
    if (stanza.type() == StanzaType::subscribe) {
      user.client->send(Stanza::presence(StanzaType::subscribed, stanza.from().bare()));
      return;
    }
    const auto status = stanza.child_text("status");
    const auto tag = status ? Tag::parse(*status) : std::nullopt;
    if (!tag || tag->run != shard_.run() || tag->sender == user.number) return;
    last_arrival_ = shard_.clock().now();
    View* view = find_view(member, tag->sender);
    if (view == nullptr) {
      ++result_.foreign;
    } else if (stanza.type() == StanzaType::unavailable) {
      on_parted(*view);
    } else if (stanza.type() == StanzaType::available) {
      on_presence(*view, *tag);
    }
  }

  [[nodiscard]] bool is_done(Instant now) const override {
    const bool is_quiet = now >= last_arrival_ + kQuietTime;
    return now >= phases().drain_end ||
           (has_parted_ && parted_seen_ >= parted_expected_ && is_quiet);
  }

  [[nodiscard]] ScenarioResult result() const override {
    ScenarioResult result = result_;
    for (const Member& member : members_) {
      if (!member.is_available) continue;
      for (const View& view : member.views) {
        const Member& contact = members_[view.member];
        if (!view.is_mutual || !contact.is_available) continue;
        ++result.presence.pairs;
        result.presence.login_missing += view.audit.lost(0, 1);
        const std::uint64_t first = std::min<std::uint64_t>(contact.measured_from, contact.sent);
        result.lost += view.audit.lost(first, contact.sent);
      }
    }
    result.presence.logout_missing =
        parted_expected_ > parted_seen_ ? parted_expected_ - parted_seen_ : 0;
    return result;
  }

 private:
  void make_members() {
    auto& users = shard_.users();
    const std::size_t count = users.size();
    members_.resize(count);
    for (std::size_t i = 0; i < count; ++i) {
      Member& member = members_[i];
      member.user = &users[i];
      by_address_.emplace(users[i].account->jid.bare_str(), static_cast<std::uint32_t>(i));
      by_number_.emplace(users[i].number, static_cast<std::uint32_t>(i));
      member.views.resize(2 * reach_);
      for (std::size_t step = 1; step <= reach_; ++step) {
        member.views[step - 1].member = static_cast<std::uint32_t>((i + step) % count);
        member.views[reach_ + step - 1].member =
            static_cast<std::uint32_t>((i + count - step) % count);
      }
    }
  }

  View* find_place(Member& member, std::uint32_t contact) {
    const auto view =
        std::find_if(member.views.begin(), member.views.end(),
                     [&](const View& candidate) { return candidate.member == contact; });
    return view == member.views.end() ? nullptr : &*view;
  }

  View* find_view(Member& member, std::uint32_t number) {
    const auto found = by_number_.find(number);
    return found == by_number_.end() ? nullptr : find_place(member, found->second);
  }

  void on_roster(User& user, const std::optional<Stanza>& answer) {
    Member& member = members_[user.local];
    if (answer && !answer->is_error()) {
      if (const auto roster = answer->get<xmpp::xep::Roster>(); roster && *roster) {
        member.has_roster = true;
        note_items(member, (*roster)->items);
        return;
      }
    }
    if (user.state != User::State::online) return;
    shard_.note_error("the roster cannot be read");
    make_ready(member);
  }

  void befriend(Member& member) {
    // Requests come to those who are available.
    member.user->client->send(Stanza::presence());
    for (const View& view : member.views) {
      if (view.is_mutual) continue;
      const xmpp::Jid& contact = members_[view.member].user->account->jid;
      member.user->client->send(Stanza::presence(StanzaType::subscribe, contact.bare()));
    }
  }

  void note_items(Member& member, const std::vector<xmpp::xep::RosterItem>& items) {
    for (const auto& item : items) {
      if (item.subscription != xmpp::xep::Subscription::both) continue;
      const auto found = by_address_.find(std::string(item.jid.bare_str()));
      View* view = found == by_address_.end() ? nullptr : find_place(member, found->second);
      if (view == nullptr || std::exchange(view->is_mutual, true)) continue;
      ++member.mutual;
      ++progress_;
    }
    if (member.mutual == member.views.size() && !member.is_ready) {
      if (!has_begun()) member.user->client->send(Stanza::presence(StanzaType::unavailable));
      make_ready(member);
    }
  }

  void make_ready(Member& member) {
    if (std::exchange(member.is_ready, true)) return;
    ++progress_;
    shard_.settle();
  }

  // Not before everybody is there: accounts may be made at the first login.
  void befriend_all() {
    if (has_befriended_ || members_.empty()) return;
    for (const Member& member : members_) {
      if (!member.has_roster && !member.is_ready && !member.user->login_failed) return;
    }
    has_befriended_ = true;
    for (Member& member : members_) {
      if (!member.is_ready && member.user->state == User::State::online) befriend(member);
    }
  }

  Instant watch_preparation(Instant now) {
    befriend_all();
    const std::uint64_t logins =
        shard_.counters().logins.load() + shard_.counters().login_failed.load();
    if (members_.empty() || progress_ + logins != progress_seen_) {
      progress_seen_ = progress_ + logins;
      give_up_at_ = now + kPatience;
    }
    if (now < give_up_at_) return give_up_at_;
    for (Member& member : members_) {
      const User& user = *member.user;
      const bool is_online = user.state == User::State::online;
      // Who was online and has lost its connection will not become ready any more.
      const bool is_gone = user.state == User::State::offline && !user.login_failed;
      if (member.is_ready || (!is_online && !is_gone)) continue;
      if (is_online) {
        shard_.note_error("contacts are missing: not all subscriptions were answered");
        user.client->send(Stanza::presence(StanzaType::unavailable));
      }
      make_ready(member);
    }
    give_up_at_ = now + kPatience;
    return give_up_at_;
  }

  static Stanza make_presence(StanzaType type, const Tag& tag) {
    Stanza stanza = Stanza::presence(type);
    std::string status(Tag::kBytes, ' ');
    tag.write(status.data());
    stanza.add_text("status", status);
    return stanza;
  }

  Tag next_tag(Member& member, Instant at) {
    return {shard_.run(), member.user->number, member.sent++, at};
  }

  void appear(Member& member, Instant at) {
    if (member.user->state != User::State::online) return;
    member.is_available = true;
    member.user->client->send(make_presence(StanzaType::available, next_tag(member, at)));
  }

  void send_update(Instant intended, Instant now) {
    Member& member = members_[turn_];
    if (++turn_ == members_.size()) turn_ = 0;
    if (!member.is_available || member.user->state != User::State::online) return;
    result_.slip_us.record((now - intended).count());
    if (member.measured_from == kNone) member.measured_from = member.sent;
    member.user->client->send(make_presence(StanzaType::available, next_tag(member, intended)));
    ++result_.sent;
    shard_.counters().sent.fetch_add(1, std::memory_order_relaxed);
    expected_ += count_watchers(member, [](const Member& watcher) { return watcher.is_available; });
  }

  // Odd users leave; who is left must see it.
  void part() {
    has_parted_ = true;
    for (Member& member : members_) {
      if (member.user->number % 2 == 0 || !member.is_available ||
          member.user->state != User::State::online) {
        continue;
      }
      const Tag tag = {shard_.run(), member.user->number, member.sent, shard_.clock().now()};
      member.user->client->send(make_presence(StanzaType::unavailable, tag));
      parted_expected_ += count_watchers(member, [](const Member& watcher) {
        return watcher.is_available && watcher.user->number % 2 == 0;
      });
    }
  }

  template <typename F>
  std::uint64_t count_watchers(Member& member, F&& counts) {
    std::uint64_t count = 0;
    for (const View& view : member.views) {
      const Member& watcher = members_[view.member];
      if (view.is_mutual && watcher.user->state == User::State::online && counts(watcher)) ++count;
    }
    return count;
  }

  void on_presence(View& view, const Tag& tag) {
    const Audit::Arrival arrival = view.audit.on_arrival(tag.number);
    if (tag.number == 0) {
      if (arrival == Audit::Arrival::duplicated) ++result_.presence.login_repeated;
      return;
    }
    if (arrival == Audit::Arrival::duplicated) {
      ++result_.duplicated;
      return;
    }
    const Instant now = shard_.clock().now();
    ++arrived_;
    ++result_.received;
    shard_.counters().received.fetch_add(1, std::memory_order_relaxed);
    if (arrival == Audit::Arrival::reordered) ++result_.reordered;
    result_.latency_us.record((now - tag.at).count());
    if (phases().is_measured(now)) ++result_.in_window;
  }

  void on_parted(View& view) {
    if (!has_parted_) return;
    if (std::exchange(view.has_left, true)) {
      ++result_.presence.logout_repeated;
    } else {
      ++parted_seen_;
    }
  }

  // The first half of the drain is for updates, the second for partings.
  [[nodiscard]] Instant part_by() const {
    return phases().measure_end + (phases().drain_end - phases().measure_end) / 2;
  }

  Shard& shard_;
  const std::size_t reach_;  // contacts on either side
  std::vector<Member> members_;
  std::unordered_map<std::string, std::uint32_t> by_address_;
  std::unordered_map<std::uint32_t, std::uint32_t> by_number_;
  bool has_befriended_ = false;
  std::uint64_t progress_ = 0;
  std::uint64_t progress_seen_ = 0;
  Instant give_up_at_ = kNever;
  std::optional<OpenLoop> arrivals_;
  std::optional<OpenLoop> updates_;
  std::size_t next_arrival_ = 0;  // in members_
  std::size_t turn_ = 0;          // in members_
  std::uint64_t expected_ = 0;    // deliveries of updates
  std::uint64_t arrived_ = 0;     // each counted once
  bool has_parted_ = false;
  std::uint64_t parted_expected_ = 0;
  std::uint64_t parted_seen_ = 0;
  Instant last_arrival_{};  // of any
  ScenarioResult result_;
};

}  // namespace

std::unique_ptr<Scenario> make_presence_scenario(Shard& shard) {
  return std::make_unique<PresenceScenario>(shard);
}

}  // namespace xmppbench
