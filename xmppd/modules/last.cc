// XEP-0012 2.0 complete
// Tells for how long the server has been up, and those who may see an account's presence when it
// was last there and with what status it left.
#include "xmpp/xep/last.h"

#include <charconv>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "xmppd/module.h"
#include "xmppd/roster.h"
#include "xmppd/subscription.h"

namespace xmppd::mod::last {

using xmpp::Completion;
using xmpp::Jid;
using xmpp::StanzaCondition;
using xmpp::Task;
using xmpp::xep::LastActivity;

namespace {

constexpr const char* kSpace = "last";
// A longer status is not kept.
constexpr std::size_t kStatusBytesMax = 1024;
constexpr DataLimits kLimits{.entries = 1, .bytes = kStatusBytesMax + 32};

std::int64_t seconds_of(xmpp::Timestamp at) {
  return std::chrono::duration_cast<std::chrono::seconds>(at.time_since_epoch()).count();
}

std::uint64_t whole_seconds(xmpp::Duration duration) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
  return seconds < 0 ? 0 : static_cast<std::uint64_t>(seconds);
}

// As stored: "1700000000 Heading home".
std::string record_of(xmpp::Timestamp at, std::string_view status) {
  return std::to_string(seconds_of(at)) + " " + std::string(status);
}

std::optional<LastActivity> parse_record(std::string_view record, xmpp::Timestamp now) {
  std::int64_t at = 0;
  const char* const end = record.data() + record.size();
  const auto [rest, error] = std::from_chars(record.data(), end, at);
  if (error != std::errc() || rest == end) return std::nullopt;
  const std::int64_t ago = seconds_of(now) - at;
  LastActivity activity;
  activity.seconds = ago < 0 ? 0 : static_cast<std::uint64_t>(ago);
  activity.status = std::string(rest + 1, end);
  return activity;
}

bool may_see(const Roster* roster, const Jid& who) {
  const RosterContact* contact = roster == nullptr ? nullptr : roster->find(who);
  return contact != nullptr && has_from(contact->subscription);
}

IqReply seconds_reply(std::uint64_t seconds) {
  LastActivity answer;
  answer.seconds = seconds;
  return IqReply::with(answer);
}

// A request to a session that waits for the account's roster.
struct Asked {
  Asked(Account& of, xmpp::Stanza what) : account(of), request(std::move(what)) {}
  // The roster goes with the host: answered as any stanza to that.
  ~Asked() {
    if (request && !account.host().is_served()) ask_again();
  }
  Asked(const Asked&) = delete;
  Asked& operator=(const Asked&) = delete;
  void ask_again() {
    if (request) account.host().send(*std::exchange(request, std::nullopt));
  }
  Account& account;
  std::optional<xmpp::Stanza> request;  // until it has been dealt with
};

// What the roster says of it: it goes to its session, or back.
void pass_on(Asked& asked, const Roster* roster) {
  if (!asked.request) return;
  xmpp::Stanza stanza = *std::exchange(asked.request, std::nullopt);
  Host& host = asked.account.host();
  Session* session = asked.account.find_session(stanza.to().resource());
  if (!may_see(roster, stanza.from())) {
    host.send(xmpp::make_error(stanza, StanzaCondition::forbidden));
  } else if (session != nullptr) {
    session->deliver(std::move(stanza));
  } else {
    host.send(xmpp::make_error(stanza, StanzaCondition::service_unavailable));
  }
}

bool has_other_session(Session& session) {
  for (const Session* other : session.account().sessions()) {
    if (other != &session) return true;
  }
  return false;
}

}  // namespace

class Last final : public Module {
 public:
  void attach(Scope& scope) override {
    scope_ = &scope;
    roster_ = &scope.use<RosterService>();
    scope.feature(xmpp::ns::last_activity);
    scope.on_iq<LastActivity>(Target::host, IqKind::get, [this](IqCall&, const LastActivity&) {
      return seconds_reply(whole_seconds(scope_->uptime()));
    });
    scope.on_iq<LastActivity>(
        Target::own_account | Target::account, IqKind::get,
        [this](IqCall& call, LastActivity) { return answer(*call.account, call.request.from()); });
    scope.on<ToAccount>(Stage::filter, [this](ToAccount& hook) { return guard(hook); });
    scope.on<Unavailable>(Stage::deliver, [this](Unavailable& hook) {
      note_gone(hook.session);
      return Verdict::pass;
    });
    scope.on<Unbound>(Stage::deliver, [this](Unbound& hook) {
      // The end of an available one is its Unavailable too.
      if (!hook.session.is_available()) note_gone(hook.session);
      return Verdict::pass;
    });
  }

  // The roster may go with it, and what that still holds is not called then.
  void retire(bool /*has_successor*/) override {
    for (const auto& one : std::exchange(asked_, {})) {
      if (const auto asked = one.lock()) asked->ask_again();
    }
  }

 private:
  Task<IqReply> answer(Account& account, Jid from) {
    if (!from.bare_equals(account.jid())) {
      Completion<bool> seen;
      roster_->read(account, [from, ticket = seen.ticket()](Account&, const Roster* roster) {
        ticket.complete(may_see(roster, from));
      });
      const bool is_allowed = co_await seen;
      if (!is_allowed) co_return IqReply::error(StanzaCondition::forbidden);
    }
    if (!account.sessions().empty()) co_return seconds_reply(0);
    const Jid owner = account.jid();
    auto pending = scope_->storage().read(
        scope_->reactor(), owner,
        [](Tx& tx, const Jid& who) { return tx.account_data().find(who, kSpace, ""); }, owner);
    auto found = co_await pending;
    if (!found) {
      log_failure(found.error());
      co_return IqReply::error(StanzaCondition::internal_server_error);
    }
    std::optional<LastActivity> activity;
    if (*found) activity = parse_record(**found, scope_->reactor().wall());
    // Never here.
    if (!activity) co_return IqReply::error(StanzaCondition::item_not_found);
    co_return IqReply::with(*activity);
  }

  // XEP-0012 4: who may not see presence does not get to a session either.
  Verdict guard(ToAccount& hook) {
    const auto& stanza = hook.stanza;
    if (!stanza.is_iq() || !stanza.is_request() || !stanza.to().is_full() ||
        !stanza.has<LastActivity>() || stanza.from().bare_equals(hook.to.jid()) ||
        hook.to.find_session(stanza.to().resource()) == nullptr) {
      return Verdict::pass;
    }
    auto asked = std::make_shared<Asked>(hook.to, std::move(hook.stanza));
    const std::weak_ptr<Asked> waiting = asked;
    roster_->read(hook.to, [asked = std::move(asked)](Account&, const Roster* roster) {
      pass_on(*asked, roster);
    });
    std::erase_if(asked_, [](const auto& one) { return one.expired(); });
    if (!waiting.expired()) asked_.push_back(waiting);
    return Verdict::handled;
  }

  // Remembers when and how the last session of an account went.
  void note_gone(Session& session) {
    if (has_other_session(session)) return;
    std::string status;
    if (session.presence()) status = session.presence()->child_text("status").value_or("");
    if (status.size() > kStatusBytesMax) status.clear();
    const Jid owner = session.account().jid();
    scope_->storage().write_then(
        scope_->reactor(), owner,
        [](const StorageResult<bool>& stored) {
          // Without an account there is nobody to remember.
          if (stored || stored.error().code == StorageErrorCode::constraint) return;
          xmpp::log::warn({.component = "last", .stream = {}, .jid = {}},
                          "the time of a logout cannot be stored: check the database",
                          {xmpp::log::kv("error", stored.error().text)});
        },
        [](Tx& tx, const Jid& who, const std::string& value) {
          return tx.account_data().put(who, kSpace, "", value, kLimits);
        },
        owner, record_of(scope_->reactor().wall(), status));
  }

  void log_failure(const StorageError& error) {
    xmpp::log::warn(scope_->log_context(), "last activity cannot be read: check the database",
                    {xmpp::log::kv("error", error.text)});
  }

  Scope* scope_ = nullptr;
  RosterService* roster_ = nullptr;
  std::vector<std::weak_ptr<Asked>> asked_;
};
XMPPD_MODULE(Last, {.name = "last",
                    .xep = "0012",
                    .summary = "Tells uptime and last activity",
                    .requires_modules = {"roster"}});

}  // namespace xmppd::mod::last
