// chat: odd and even neighbours write to each other. Open loop (--rate): every message has its
// time, whatever came back, and its latency counts from there. Closed loop (--window): so many
// messages are under way per pair; who receives one sends the next.
//
// Numbers, sender and time travel in the body (Tag); every side audits what its peer sent.
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "audit.h"
#include "scenario.h"
#include "schedule.h"
#include "swarm.h"

namespace xmppbench {
namespace {

using xmpp::Instant;
using xmpp::kNever;
using xmpp::Stanza;

constexpr xmpp::xml::Name kBody{xmpp::ns::client, "body"};
constexpr std::string_view kBodyStart = "<body>";
constexpr std::string_view kBodyEnd = "</body>";
constexpr std::uint64_t kNone = ~std::uint64_t{0};

// One user of a pair, as sender and as receiver.
struct Side {
  User* user = nullptr;
  Stanza message;                       // to the peer; id and body change
  std::uint32_t sent = 0;               // the next number
  std::uint64_t measured_from = kNone;  // the first number of the measured phase
  Audit audit;                          // of what the peer sent
};

class ChatScenario final : public Scenario {
 public:
  explicit ChatScenario(Shard& shard) : shard_(shard), options_(shard.options()) {
    markup_.append(kBodyStart).append(options_.body_bytes, '.').append(kBodyEnd);
  }

  void begin(const Phases& phases) override {
    Scenario::begin(phases);
    pair_up();
    if (options_.rate > 0) {
      loop_.emplace(phases.start, options_.rate, shard_.index(), options_.reactors);
    }
  }

  Instant on_turn(Instant now) override {
    if (now < phases().start) return phases().start;
    // Also when we are late for the end: what was meant to be sent is sent.
    if (loop_) send_due(now);
    if (now >= phases().measure_end) {
      const Instant quiet_from = last_arrival_ + kQuietTime;
      if (arrived_ >= sent_ && now < quiet_from) return std::min(quiet_from, phases().drain_end);
      return now < phases().drain_end ? phases().drain_end : kNever;
    }
    if (!loop_ && !is_started_) start_closed_loop(now);
    // Without a pair that is online nothing is ever due.
    return loop_ && !order_.empty() ? std::min(loop_->next(), phases().measure_end)
                                    : phases().measure_end;
  }

  void on_stanza(User& user, const Stanza& stanza) override {
    if (!stanza.is_message() || sides_.empty()) return;
    if (stanza.is_error()) {
      on_bounce(stanza);
      return;
    }
    const xmpp::Payload* body = stanza.find(kBody);
    if (body == nullptr) return;
    const auto tag = Tag::parse(body->element().text(buffer_));
    Side& side = sides_[user.local];
    if (!tag || tag->run != shard_.run() || tag->sender != peer_of(side).user->number) {
      ++result_.foreign;
      return;
    }
    on_message(side, *tag);
  }

  [[nodiscard]] bool is_done(Instant now) const override {
    if (now < phases().measure_end) return false;
    const bool is_quiet = arrived_ >= sent_ && now >= last_arrival_ + kQuietTime;
    return is_quiet || now >= phases().drain_end;
  }

  [[nodiscard]] ScenarioResult result() const override {
    ScenarioResult result = result_;
    for (const Side& side : sides_) {
      const Side& peer = sides_[side.user->local ^ 1U];
      const std::uint64_t first = std::min<std::uint64_t>(peer.measured_from, peer.sent);
      result.lost += side.audit.lost(first, peer.sent);
      result.warmup_lost += side.audit.lost(0, first);
    }
    return result;
  }

 private:
  Side& peer_of(const Side& side) { return sides_[side.user->local ^ 1U]; }

  // Pairs whose both sides are online take part.
  void pair_up() {
    auto& users = shard_.users();
    sides_.resize(users.size());
    for (std::size_t i = 0; i < users.size(); ++i) {
      sides_[i].user = &users[i];
      if (users[i].state != User::State::online) continue;
      const User& peer = users[i ^ 1U];
      if (peer.state != User::State::online) continue;
      sides_[i].message = Stanza::message(xmpp::StanzaType::chat, peer.client->jid());
      order_.push_back(static_cast<std::uint32_t>(i));
    }
    // So that neighbours' messages do not follow each other on the server.
    std::mt19937_64 random(options_.seed + shard_.index());
    if (loop_ || options_.rate > 0) std::shuffle(order_.begin(), order_.end(), random);
  }

  void send_due(Instant now) {
    if (order_.empty()) return;
    while (loop_->next() <= now && loop_->next() < phases().measure_end) {
      const Instant intended = loop_->next();
      if (phases().is_measured(intended)) result_.slip_us.record((now - intended).count());
      send(sides_[order_[turn_]], intended);
      if (++turn_ == order_.size()) turn_ = 0;
      loop_->advance();
    }
  }

  void start_closed_loop(Instant now) {
    is_started_ = true;
    for (std::size_t i = 0; i + 1 < order_.size(); i += 2) {
      for (std::uint32_t ball = 0; ball < options_.window; ++ball) {
        send(sides_[order_[i + ball % 2]], now);
      }
    }
  }

  void send(Side& side, Instant at) {
    if (side.user->state != User::State::online) {
      shard_.note_error("not sent: the user is no longer online");
      return;
    }
    const Tag tag{shard_.run(), side.user->number, side.sent, at};
    tag.write(markup_.data() + kBodyStart.size());
    side.message.envelope().id.assign(markup_, kBodyStart.size() + kIdBegin, kIdBytes);
    side.message.clear_payloads();
    side.message.add(xmpp::Payload(kBody, markup_));
    side.user->client->send(side.message);
    const bool is_measured = phases().is_measured(at);
    if (is_measured && side.measured_from == kNone) side.measured_from = side.sent;
    ++side.sent;
    ++sent_;
    result_.sent += is_measured ? 1 : 0;
    shard_.counters().sent.fetch_add(1, std::memory_order_relaxed);
  }

  void on_message(Side& side, const Tag& tag) {
    const Instant now = shard_.clock().now();
    const bool is_measured = phases().is_measured(tag.at);
    last_arrival_ = now;
    const Audit::Arrival arrival = side.audit.on_arrival(tag.number);
    if (arrival == Audit::Arrival::duplicated) {
      ++result_.duplicated;
      return;
    }
    ++arrived_;
    shard_.counters().received.fetch_add(1, std::memory_order_relaxed);
    if (arrival == Audit::Arrival::reordered) ++result_.reordered;
    if (is_measured) {
      ++result_.received;
      result_.latency_us.record((now - tag.at).count());
    }
    if (now < phases().measure_end) {
      if (now >= phases().measure_start) ++result_.in_window;
      if (!loop_) send(side, now);
    }
  }

  void on_bounce(const Stanza& stanza) {
    const auto error = stanza.error();
    shard_.note_error("bounced: " +
                      (error ? std::string(to_string(error->condition)) : std::string("?")));
  }

  // The part of the tag that makes a good id: the number, unique for the sender.
  static constexpr std::size_t kIdBegin = 20;
  static constexpr std::size_t kIdBytes = 8;

  Shard& shard_;
  const Options& options_;
  std::vector<Side> sides_;           // by User::local; neighbours are a pair
  std::vector<std::uint32_t> order_;  // of sending
  std::size_t turn_ = 0;              // in order_
  std::optional<OpenLoop> loop_;
  bool is_started_ = false;  // the closed loop
  std::uint64_t sent_ = 0;
  std::uint64_t arrived_ = 0;  // each counted once
  Instant last_arrival_{};     // of any
  std::string markup_;         // of the body; the tag is overwritten
  std::string buffer_;
  ScenarioResult result_;
};

}  // namespace

std::unique_ptr<Scenario> make_chat_scenario(Shard& shard) {
  return std::make_unique<ChatScenario>(shard);
}

}  // namespace xmppbench
