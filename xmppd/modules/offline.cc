// XEP-0160 1.0.1 complete
// Keeps messages for accounts without a session that could take them, and delivers them, oldest
// first, to the first session that announces itself with a priority of at least 0.
//
// A message is stored once and stays until it has been written to a connection: a crash in between
// gives it twice, never loses it. While the stored messages go out, live ones wait behind them.
//
// An instance that is replaced meanwhile leaves the rest to its successor: what it has given to a
// session goes over with its state, and the live messages that wait are sent again. One that is
// unloaded lets them pass, and ends with what it has given to a session.
#include <algorithm>
#include <charconv>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "xmpp/xep/chat_states.h"
#include "xmpp/xep/delay.h"
#include "xmppd/module.h"
#include "xmppd/stored_stanza.h"

namespace xmppd::mod::offline {

using xmpp::Completion;
using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaCondition;
using xmpp::StanzaType;
using xmpp::Task;

namespace {

// Live messages that wait behind stored ones; if there are more, all are delivered past them.
constexpr std::size_t kHeldMax = 500;
// What is loaded and delivered before it has to be written.
constexpr std::size_t kBatch = 100;
constexpr std::size_t kBatchBytes = 65'536;
constexpr xmpp::Duration kLookAgain = std::chrono::milliseconds(20);
// How long live messages wait for a connection that does not take the stored ones.
constexpr xmpp::Duration kHoldFor = std::chrono::seconds(5);

constexpr xmpp::xml::Name kNoStore{xmpp::ns::hints, "no-store"};
constexpr xmpp::xml::Name kStore{xmpp::ns::hints, "store"};

// A live message that waits behind stored ones. It may have to be stored after all.
struct Held {
  Stanza stanza;
  Ticket ticket;
};

// A stored message: once others have gone, its number may come again.
using Identity = std::pair<std::uint64_t, xmpp::Timestamp>;

// Numbers of slots as text, a space behind each.
class Numbers {
 public:
  explicit Numbers(std::string_view text) : rest_(text) {}
  // 0 after what is none.
  std::int64_t take() {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), number);
    const auto digits = static_cast<std::size_t>(end - rest_.data());
    is_good_ = is_good_ && error == std::errc() && digits < rest_.size() && rest_[digits] == ' ';
    if (!is_good_) return 0;
    rest_.remove_prefix(digits + 1);
    return number;
  }
  std::vector<Identity> take_identities() {
    std::vector<Identity> all;
    for (auto left = take(); is_good_ && left > 0; --left) {
      const auto number = static_cast<std::uint64_t>(take());
      all.emplace_back(number, xmpp::Timestamp(xmpp::Duration(take())));
    }
    return all;
  }
  [[nodiscard]] bool is_good() const noexcept { return is_good_; }
  [[nodiscard]] std::string_view rest() const noexcept { return rest_; }

 private:
  std::string_view rest_;
  bool is_good_ = true;
};

void append(std::string& to, std::int64_t number) {
  to += std::to_string(number) + ' ';
}
void append(std::string& to, const std::vector<Identity>& identities) {
  append(to, std::ssize(identities));
  for (const auto& [number, received_at] : identities) {
    append(to, static_cast<std::int64_t>(number));
    append(to, received_at.time_since_epoch().count());
  }
}

// What was delivered to a session and has to be written before it is removed.
struct Batch {
  std::int64_t flush = 0;  // its mark; 0: there is none
  std::string resource;
  bool is_counted = false;
  // By an instance before: since then others may have got the numbers.
  bool is_inherited = false;
  std::vector<Identity> messages;
};

struct State {
  static constexpr std::string_view kSlotName = "flush";
  [[nodiscard]] std::string save() const;
  static std::optional<State> restore(std::string_view saved);

  Batch sent;
  // Of these the session knows already: they were written, but could not be removed.
  std::vector<Identity> unremoved;
  bool is_due = false;  // an instance before had to do with it
  bool is_flushing = false;
  bool is_holding = false;
  bool is_known_empty = false;
  std::uint64_t commits = 0;
  std::int64_t written = 0;  // a flush whose session has ended with all of it written
  std::int64_t writes = 0;   // under way
  std::map<std::string, std::int64_t, std::less<>> writes_of;  // by sender
  std::vector<Held> held;
};

std::string State::save() const {
  const bool is_going_on = is_due || is_flushing || writes > 0;
  if (!is_going_on && sent.flush == 0 && unremoved.empty()) return {};
  std::string text;
  append(text, is_going_on ? 1 : 0);
  append(text, written);
  append(text, unremoved);
  append(text, sent.flush);
  append(text, sent.is_counted ? 1 : 0);
  append(text, sent.messages);
  return text + sent.resource;
}

std::optional<State> State::restore(std::string_view saved) {
  Numbers numbers(saved);
  State state;
  state.is_due = numbers.take() != 0;
  state.written = numbers.take();
  state.unremoved = numbers.take_identities();
  state.sent.flush = numbers.take();
  state.sent.is_counted = numbers.take() != 0;
  state.sent.messages = numbers.take_identities();
  state.sent.resource = numbers.rest();
  state.sent.is_inherited = true;
  if (!numbers.is_good()) return std::nullopt;
  return state;
}

// Tells a session from a later one of the same resource, and whether what it was given was written.
struct Mark {
  static constexpr std::string_view kSlotName = "mark";
  [[nodiscard]] std::string save() const {
    std::string text;
    if (flush == 0) return text;
    append(text, flush);
    append(text, static_cast<std::int64_t>(drained));
    return text;
  }
  static std::optional<Mark> restore(std::string_view saved) {
    Numbers numbers(saved);
    Mark mark;
    mark.flush = numbers.take();
    mark.drained = static_cast<std::uint64_t>(numbers.take());
    if (!numbers.is_good()) return std::nullopt;
    return mark;
  }
  std::int64_t flush = 0;
  std::uint64_t drained = 0;
};

// XEP-0160 3: what contains only chat states is worth nothing later.
bool is_worthless_later(const Stanza& message) {
  return xmpp::xep::is_only_chat_state(message) && !message.has(kStore);
}

bool can_take(const Session& session) {
  return session.is_available() && session.priority() >= 0;
}

Session* find_taker(Account& account) {
  for (Session* session : account.sessions()) {
    if (can_take(*session) && !session->is_ending()) return session;
  }
  return nullptr;
}

// A message that a session did not acknowledge was stored again: the time of its arrival is known.
// What others said in the host's name was removed before the message was stored.
bool has_arrival(const Stanza& message, const Jid& host) {
  const auto& payloads = message.payloads();
  return std::any_of(payloads.begin(), payloads.end(), [&host](const xmpp::Payload& payload) {
    if (!payload.is(xmpp::xep::Delay::codec.name)) return false;
    const auto delay = xmpp::xml::decode<xmpp::xep::Delay>(payload.element());
    return delay && delay->from == host;
  });
}

// nullopt: what is stored is no message.
std::optional<Stanza> parse_kept(const OfflineMessage& message, const Jid& host) {
  auto stanza = parse_stored_stanza(message.stanza);
  if (stanza && !has_arrival(*stanza, host)) {
    stanza->add(xmpp::xep::Delay{message.received_at, host, "Offline storage"});
  }
  return stanza;
}

}  // namespace

class Offline final : public Module {
 public:
  void attach(Scope& scope) override {
    scope_ = &scope;
    state_ = scope.account_slot<State>();
    mark_ = scope.session_slot<Mark>();
    scope.feature("msgoffline");
    scope.on<ToAccount>(Stage::validate, [this](ToAccount& hook) { return hold(hook); });
    scope.on<ToAccount>(Stage::fallback, [this](ToAccount& hook) { return keep(hook); });
    scope.on<Available>(Stage::deliver, [this](Available& hook) {
      if (can_take(hook.session)) start(hook.session.account());
      return Verdict::pass;
    });
    // Many leave as soon as they have read; that must not bring them everything again.
    scope.on<Unbound>(Stage::deliver, [this](Unbound& hook) {
      const Mark& mark = hook.session[mark_];
      if (mark.flush != 0 && hook.session.times_drained() != mark.drained) {
        hook.session.account()[state_].written = mark.flush;
      }
      return Verdict::pass;
    });
    scope.on<Resumed>(Stage::deliver, [this](Resumed& hook) {
      if (can_take(hook.session)) start(hook.session.account());
      return Verdict::pass;
    });
  }

  [[nodiscard]] std::string save() const override { return "1"; }
  // What the instance before was at goes on, as soon as its state has come over.
  void restore(std::string_view /*saved*/) override {
    scope_->timer(xmpp::Duration::zero(), [this] {
      scope_->for_each(state_, [this](Account& account, const State& state) {
        if (state.is_due) start(account);
      });
      return xmpp::Duration::zero();
    });
  }
  void retire(bool has_successor) override {
    is_retired_ = true;
    has_successor_ = has_successor;
    scope_->for_each(state_, [this](Account& account, State&) { release(account); });
  }

 private:
  // Before all other hooks, which see the message when its turn comes.
  Verdict hold(ToAccount& hook) {
    State& state = hook.to[state_];
    if (state.is_due) start(hook.to);
    if (!state.is_holding) return Verdict::pass;
    // What the account answers itself, and its answers, wait for nothing: its own clients' changes
    // must not stay behind while what these say next goes on, nor answers while pushes go on.
    const bool is_iq = hook.stanza.is_iq();
    const bool is_answer = hook.stanza.from() == hook.to.jid();  // in the account's own name
    if (is_iq && (is_answer || hook.stanza.to().is_bare())) return Verdict::pass;
    // RFC 6120 10.1: nor does its sender's presence, say, overtake one that waits.
    const auto& from = hook.stanza.from();
    const bool is_behind = std::any_of(state.held.begin(), state.held.end(), [&](const Held& one) {
      return is_iq ? one.stanza.from() == from : one.stanza.from().bare_equals(from);
    });
    if (!is_behind && !hook.stanza.is_message()) return Verdict::pass;
    const bool is_full = state.held.size() >= kHeldMax;
    Ticket ticket = hook.to.hold(hook.stanza);
    state.held.push_back({std::move(hook.stanza), std::move(ticket)});
    // Past the stored ones, but not past each other.
    if (is_full) release(hook.to);
    return Verdict::handled;
  }

  Verdict keep(ToAccount& hook) {
    const Stanza& stanza = hook.stanza;
    if (!stanza.is_message()) return Verdict::pass;
    // XEP-0160 3, and RFC 6121 8.5.3.2.1: of messages for a session that is not there only chat is
    // treated as if it was for the account.
    const bool is_kind = stanza.type() == StanzaType::chat ||
                         (stanza.type() == StanzaType::normal && stanza.to().is_bare());
    if (!is_kind) return Verdict::pass;
    if (is_worthless_later(stanza)) return Verdict::drop;
    if (stanza.has(kNoStore)) return Verdict::pass;
    State& state = hook.to[state_];
    if (!fits_key(hook.to.jid(), stanza.from().bare_str()) || !begin_write(state, stanza.from())) {
      return hook.bounce(StanzaCondition::service_unavailable);
    }
    state.is_known_empty = false;
    Ticket ticket = hook.to.hold(hook.stanza);
    hook.to.spawn(*scope_, store(hook.to, std::move(hook.stanza), std::move(ticket)));
    return Verdict::handled;
  }

  // False: one of those under way would find the store full in any case. A flood must not fill the
  // storage's queue, nor that of one sender take the places of others.
  bool begin_write(State& state, const Jid& sender) {
    const auto of_sender = state.writes_of.find(sender.bare_str());
    const auto own = of_sender == state.writes_of.end() ? 0 : of_sender->second;
    if (state.writes >= *messages_ || own >= *messages_per_sender_) return false;
    ++state.writes_of[std::string(sender.bare_str())];
    ++state.writes;
    return true;
  }
  static void end_write(State& state, const Jid& sender) {
    --state.writes;
    const auto of_sender = state.writes_of.find(sender.bare_str());
    if (of_sender != state.writes_of.end() && --of_sender->second == 0) {
      state.writes_of.erase(of_sender);
    }
  }

  // The stanza is acknowledged to its sender when the ticket is settled.
  Task<void> store(Account& account, Stanza stanza, Ticket ticket) {
    OfflineMessage message;
    message.sender = stanza.from().bare();
    message.received_at = scope_->reactor().wall();
    message.stanza = to_xml(stanza, xmpp::ns::client);
    OfflineLimits limits;
    limits.messages = static_cast<std::uint64_t>(*messages_);
    limits.messages_per_sender = static_cast<std::uint64_t>(*messages_per_sender_);
    limits.bytes = static_cast<std::uint64_t>(*bytes_);
    auto storing = scope_->storage().write(
        scope_->reactor(), account.jid(),
        [](Tx& tx, const Jid& who, const OfflineMessage& what, const OfflineLimits& at_most) {
          return tx.offline().add(who, what, at_most);
        },
        account.jid(), message, limits);
    auto stored = co_await storing;
    end_write(account[state_], stanza.from());
    settle(account, stanza, stored);
    ticket.settle();
  }

  // Everything that follows from the outcome of a write.
  void settle(Account& account, const Stanza& stanza, const StorageResult<OfflineOutcome>& stored) {
    if (!stored) {
      log_failure(stored.error());
      const bool is_busy = stored.error().code == StorageErrorCode::busy;
      bounce(
          account, stanza,
          is_busy ? StanzaCondition::resource_constraint : StanzaCondition::internal_server_error);
      return;
    }
    if (*stored != OfflineOutcome::stored) {
      // XEP-0160 2: also if no more can be stored.
      bounce(account, stanza, StanzaCondition::service_unavailable);
      return;
    }
    ++account[state_].commits;
    // Somebody may have come while it was being stored, and found nothing.
    if (find_taker(account) != nullptr) start(account);
  }

  static void bounce(Account& account, const Stanza& stanza, StanzaCondition condition) {
    account.host().send(xmpp::make_error(stanza, condition));
  }

  void start(Account& account) {
    if (is_retired_) return;
    State& state = account[state_];
    state.is_due = false;
    if (state.is_flushing || state.is_known_empty) return;
    state.is_flushing = state.is_holding = true;
    account.spawn(*scope_, flush(account));
  }

  Task<void> flush(Account& account) {
    const LastWord last_word{*this, account};
    State& state = account[state_];
    const xmpp::Instant release_at = scope_->reactor().now() + kHoldFor;
    while (!is_retired_) {
      if (state.sent.flush != 0) {
        auto finishing = finish(account);
        const bool is_finished = co_await std::move(finishing);
        if (!is_finished) break;
        continue;
      }
      const std::uint64_t commits = state.commits;
      auto loading = load(account.jid());
      auto batch = co_await loading;
      if (is_retired_) break;
      if (!batch) {
        log_failure(batch.error());
        break;
      }
      if (batch->empty()) {
        // What was written meanwhile may not have been seen by this look.
        state.is_known_empty = state.writes == 0 && commits == state.commits;
        if (state.is_known_empty) break;
        if (state.is_holding && scope_->reactor().now() >= release_at) release(account);
        auto later = look_again_after(kLookAgain);
        co_await std::move(later);
        continue;
      }
      Session* taker = find_taker(account);
      if (taker == nullptr) break;
      give(*taker, *batch, state);
    }
    state.is_flushing = false;
    release(account);
  }

  // Removes what was given to a session, once it has been written. False: not now.
  Task<bool> finish(Account& account) {
    State& state = account[state_];
    auto writing = wait_until_written(account, state.sent.resource, state.sent.flush);
    const bool is_written = co_await std::move(writing);
    if (has_successor_) co_return false;  // whose it is
    const Batch sent = std::exchange(state.sent, {});
    // What a client that acknowledges has not got finds its way without us.
    if (!is_written && !sent.is_counted) co_return true;  // to somebody else, if there is one
    state.unremoved = sent.messages;
    if (sent.is_inherited) co_return true;
    auto removing = remove(account.jid(), sent.messages.back().first);
    auto removed = co_await removing;
    if (removed) {
      state.unremoved.clear();
    } else {
      // It will be tried again when there is more to deliver.
      log_failure(removed.error());
    }
    co_return removed.has_value();
  }

  // If the task ends with its host, what waits is answered as any stanza to that.
  struct LastWord {
    ~LastWord() {
      if (!account.host().is_served()) offline.release(account);
    }
    Offline& offline;
    Account& account;
  };

  void release(Account& account) {
    State& state = account[state_];
    state.is_holding = false;
    for (Held& one : std::exchange(state.held, {})) account.host().send(std::move(one.stanza));
  }

  // Always from the first: what has been delivered is removed, and numbers may begin anew then.
  xmpp::Completion<StorageResult<std::vector<OfflineMessage>>> load(const Jid& account) {
    return scope_->storage().read(
        scope_->reactor(), account,
        [](Tx& tx, const Jid& who) { return tx.offline().load(who, 0, kBatch, kBatchBytes); },
        account);
  }

  xmpp::Completion<StorageResult<std::uint64_t>> remove(const Jid& account, std::uint64_t up_to) {
    return scope_->storage().write(
        scope_->reactor(), account,
        [](Tx& tx, const Jid& who, std::uint64_t number) {
          return tx.offline().remove(who, number);
        },
        account, up_to);
  }

  // Delivers what the session does not know yet.
  void give(Session& session, const std::vector<OfflineMessage>& batch, State& state) {
    const std::vector<Identity>& known = state.unremoved;
    Batch sent{.flush = make_mark(),
               .resource = std::string(session.jid().resource()),
               .is_counted = session.is_counted(),
               .messages = {}};
    bool is_known = true;
    for (const OfflineMessage& message : batch) {
      const Identity identity{message.number, message.received_at};
      sent.messages.push_back(identity);
      if (std::find(known.begin(), known.end(), identity) != known.end()) continue;
      is_known = false;
      if (auto stanza = parse_kept(message, session.host().jid())) {
        session.deliver(std::move(*stanza));
      } else {
        xmpp::log::warn(scope_->log_context(), "a stored message cannot be read: it is dropped",
                        {xmpp::log::kv("jid", session.jid().bare_str())});
      }
    }
    if (is_known) {
      state.written = sent.flush;
    } else {
      session[mark_] = {sent.flush, session.times_drained()};
    }
    state.sent = std::move(sent);
  }

  // No instance has had it before: marks survive them, and the server.
  std::int64_t make_mark() {
    return 1 + static_cast<std::int64_t>(scope_->rng().below(
                   static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())));
  }

  Task<void> look_again_after(xmpp::Duration delay) {
    Completion<void> over;
    xmpp::Timer timer([ticket = over.ticket()] { ticket.complete(); });
    scope_->reactor().timers().set(timer, scope_->reactor().now() + delay);
    co_await over;
  }

  // False: the session ended first, so nobody knows what arrived.
  Task<bool> wait_until_written(Account& account, std::string resource, std::int64_t flush) {
    const xmpp::Instant release_at = scope_->reactor().now() + kHoldFor;
    for (xmpp::Duration delay{0};; delay = kLookAgain) {
      auto later = look_again_after(delay);
      co_await std::move(later);
      if (has_successor_) co_return false;
      Session* session = account.find_session(resource);
      if (session == nullptr || (*session)[mark_].flush != flush) {
        co_return account[state_].written == flush;
      }
      // What was delivered waits in its queue, which is stored.
      if (session->is_detached()) co_return true;
      if (session->times_drained() != (*session)[mark_].drained) co_return true;
      if (session->is_ending()) co_return false;
      if (scope_->reactor().now() >= release_at && account[state_].is_holding) release(account);
    }
  }

  void log_failure(const StorageError& error) {
    xmpp::log::warn(scope_->log_context(), "offline messages cannot be used: check the database",
                    {xmpp::log::kv("error", error.text)});
  }

  Option<std::int64_t> messages_{*this, "messages", 1'000,
                                 0,     1'000'000,  "Messages that wait for one account at most."};
  Option<std::int64_t> messages_per_sender_{
      *this, "messages_per_sender", 500, 0, 1'000'000, "Of these from one sender at most."};
  Option<std::int64_t> bytes_{
      *this, "bytes",       8'388'608,
      0,     1'073'741'824, "Bytes of the messages that wait for one account at most."};
  Scope* scope_ = nullptr;
  AccountSlot<State> state_;
  SessionSlot<Mark> mark_;
  bool is_retired_ = false;
  bool has_successor_ = false;
};
XMPPD_MODULE(Offline, {.name = "offline",
                       .xep = "0160",
                       .summary = "Keeps messages for who is not there",
                       .requires_modules = {"message", "presence"}});

}  // namespace xmppd::mod::offline
