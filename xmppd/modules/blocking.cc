// XEP-0191 1.3 complete
// Blocking: an account's list of addresses that it wants nothing to do with.
//
// The list is in memory before any hook runs for the account. A change counts from the moment it is
// asked for, so before the next stanza of that stream, and is stored before it is answered; if that
// fails, what the database says counts again. Nothing is blocked between an account's own
// resources, nor what the server itself says.
#include "xmpp/xep/blocking.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "xmppd/directed_presence.h"
#include "xmppd/module.h"
#include "xmppd/roster.h"
#include "xmppd/subscription.h"

namespace xmppd::mod::blocking {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaCondition;
using xmpp::StanzaType;
using xmpp::Task;
namespace xep = xmpp::xep;

namespace {

using Jids = std::vector<Jid>;

constexpr xmpp::Duration kReadAgain = std::chrono::seconds(1);

struct Blocklist {
  std::set<std::string, std::less<>> jids;

  [[nodiscard]] bool has(std::string_view jid) const { return jids.find(jid) != jids.end(); }

  // XEP-0191 5: the address itself, its account, its domain's resource, its domain.
  [[nodiscard]] bool blocks(const Jid& jid) const {
    if (jids.empty()) return false;
    if (has(jid.str()) || has(jid.domain())) return true;
    if (jid.local().empty()) return false;
    if (has(jid.bare_str())) return true;
    return jid.is_full() && has(std::string(jid.domain()) + '/' + std::string(jid.resource()));
  }
};

// Not of the list itself, which is loaded anew when an account of the name is made again.
struct Writing {
  std::size_t changes = 0;       // on their way to the database
  bool is_being_reread = false;  // one of them failed
};

// Did this session ask for the list? Then it is told of changes.
struct Interest {
  static constexpr std::string_view kSlotName = "interest";
  bool is_interested = false;
  [[nodiscard]] std::string save() const { return is_interested ? "1" : ""; }
  [[nodiscard]] static std::optional<Interest> restore(std::string_view saved) {
    return Interest{saved == "1"};
  }
};

Blocklist make_list(const Jids& jids) {
  Blocklist list;
  for (const Jid& jid : jids) list.jids.emplace(jid.str());
  return list;
}

// The account's own addresses and the server are never blocked.
bool is_exempt(const Account& account, const Jid& other) {
  return !other || other.bare_equals(account.jid()) ||
         (other.is_domain() && other.domain() == account.jid().domain());
}

xmpp::StanzaError blocked_error() {
  xmpp::StanzaError error(StanzaCondition::not_acceptable);
  error.type = xmpp::StanzaErrorType::cancel;
  error.application = "<blocked xmlns='urn:xmpp:blocking:errors'/>";
  return error;
}

template <typename Payload>
Jids jids_of(const Payload& payload) {
  Jids jids;
  for (const xep::BlockItem& item : payload.items) jids.push_back(item.jid);
  std::sort(jids.begin(), jids.end());
  jids.erase(std::unique(jids.begin(), jids.end()), jids.end());
  return jids;
}

// What was blocked, or no longer is, with the list as it was before.
struct Change {
  bool is_block;
  bool is_everybody = false;  // unblocked
  Jids jids;
  Jids stored;       // `jids`, or also what an earlier change did that may still fail
  Blocklist others;  // what blocked before and after, whatever became of `jids`
};

// Whom of a contact the change concerns; empty: nobody.
Jids targets_of(const Change& change, const Jid& contact) {
  Jids targets;
  for (const Jid& jid : change.jids) {
    const bool is_all_of_domain = jid.is_domain() && jid.domain() == contact.domain();
    if (!is_all_of_domain && !jid.bare_equals(contact)) continue;
    const Jid& target = is_all_of_domain ? contact : jid;
    if (!change.others.blocks(target)) targets.push_back(target);
  }
  return targets;
}

}  // namespace

class Blocking final : public Module {
 public:
  void attach(Scope& scope) override {
    scope_ = &scope;
    roster_ = &scope.use<RosterService>();
    directed_ = &scope.use<DirectedPresence>();
    interest_ = scope.session_slot<Interest>();
    writing_ = scope.account_slot<Writing>();
    list_ =
        scope.account_state<Blocklist>([](Tx& tx, const Jid& account) -> StorageResult<Blocklist> {
          auto jids = tx.blocklists().load(account);
          if (!jids) return xmpp::Err(jids.error());
          return make_list(*jids);
        });
    scope.feature(xmpp::ns::blocking);
    constexpr auto kAccounts = Target::own_account | Target::account;
    scope.on_iq<xep::BlockList>(kAccounts, IqKind::get,
                                [this](IqCall& call, const xep::BlockList&) { return get(call); });
    scope.on_iq<xep::Block>(kAccounts, IqKind::set, [this](IqCall& call, xep::Block block) {
      return change(call, true, jids_of(block));
    });
    scope.on_iq<xep::Unblock>(kAccounts, IqKind::set, [this](IqCall& call, xep::Unblock unblock) {
      return change(call, false, jids_of(unblock));
    });
    scope.on<FromSession>(Stage::filter, [this](FromSession& hook) { return on_sent(hook); });
    scope.on<SentByAccount>(Stage::filter,
                            [this](SentByAccount& hook) { return on_sent_for(hook); });
    scope.on<ToAccount>(Stage::filter, [this](ToAccount& hook) { return on_received(hook); });
    scope.on<ToSession>(Stage::filter, [this](ToSession& hook) { return on_delivered(hook); });
  }

 private:
  [[nodiscard]] bool is_blocked(Account& account, const Jid& other) {
    const Blocklist& list = account[list_];
    return !list.jids.empty() && !is_exempt(account, other) && list.blocks(other);
  }

  // XEP-0191 3.3: what a client sends to who is blocked comes back.
  Verdict on_sent(FromSession& hook) {
    Account& account = hook.from.account();
    if (!hook.stanza.to() || !is_blocked(account, hook.stanza.to())) return Verdict::pass;
    if (!xmpp::can_bounce(hook.stanza)) return Verdict::drop;
    // Not by way of the account, which hears nothing from there.
    is_letting_through_ = true;
    hook.from.deliver(xmpp::make_error(hook.stanza, blocked_error()));
    is_letting_through_ = false;
    return Verdict::handled;
  }

  // Presence, probes and answers in the account's name.
  Verdict on_sent_for(SentByAccount& hook) {
    if (is_letting_through_ || hook.session != nullptr) return Verdict::pass;
    return is_blocked(hook.from, hook.stanza.to()) ? Verdict::drop : Verdict::pass;
  }

  Verdict on_received(ToAccount& hook) {
    const Stanza& stanza = hook.stanza;
    if (!is_blocked(hook.to, stanza.from())) return Verdict::pass;
    const bool is_answered =
        (stanza.is_message() && !stanza.is_error()) || (stanza.is_iq() && stanza.is_request());
    return is_answered ? hook.bounce(StanzaCondition::service_unavailable) : Verdict::drop;
  }

  // What was stored before its sender was blocked: messages, subscription requests.
  Verdict on_delivered(ToSession& hook) {
    if (is_letting_through_) return Verdict::pass;
    return is_blocked(hook.to.account(), hook.stanza.from()) ? Verdict::drop : Verdict::pass;
  }

  IqReply get(IqCall& call) {
    if (call.target != Target::own_account) return IqReply::error(StanzaCondition::forbidden);
    if (call.session != nullptr) (*call.session)[interest_].is_interested = true;
    xep::BlockList reply;
    for (const std::string& jid : (*call.account)[list_].jids) {
      reply.items.push_back({Jid::from_prepared(jid)});
    }
    return IqReply::with(reply);
  }

  Task<IqReply> change(IqCall& call, bool is_block, Jids jids) {
    if (call.target != Target::own_account) co_return IqReply::error(StanzaCondition::forbidden);
    if (is_block && jids.empty()) {
      co_return IqReply::error({StanzaCondition::bad_request, "Whom?"});
    }
    // Nor does what the client says next overtake the presence that goes with it.
    OrderHold hold;
    if (call.session != nullptr) hold = call.session->hold_order();
    xmpp::Completion<IqReply> answered;
    begin(*call.account, is_block, std::move(jids), answered.ticket(), std::move(hold));
    auto reply = co_await answered;
    co_return reply;
  }

  using Ticket = xmpp::Completion<IqReply>::Ticket;

  // The change counts from here on.
  void begin(Account& account, bool is_block, Jids jids, const Ticket& ticket, OrderHold hold) {
    Blocklist& list = account[list_];
    Change change{
        .is_block = is_block, .is_everybody = jids.empty(), .jids = {}, .stored = {}, .others = {}};
    if (change.is_everybody) {
      for (const std::string& jid : list.jids) jids.push_back(Jid::from_prepared(jid));
    }
    for (const Jid& jid : jids) {
      if (list.has(jid.str()) != is_block) change.jids.push_back(jid);
    }
    const Writing& writing = account[writing_];
    if (writing.is_being_reread) {
      // Nobody knows what is stored, so nobody can tell what is to be changed, or whether it fits.
      ticket.complete(IqReply::error(StanzaCondition::internal_server_error));
      return;
    }
    if (is_block && list.jids.size() + change.jids.size() > static_cast<std::size_t>(*items_max_)) {
      ticket.complete(IqReply::error({StanzaCondition::resource_constraint, "The list is full"}));
      return;
    }
    const auto fits = [&](const Jid& jid) { return fits_key(account.jid(), jid.str()); };
    if (is_block && !std::all_of(change.jids.begin(), change.jids.end(), fits)) {
      ticket.complete(IqReply::error({StanzaCondition::not_acceptable, "An address is too long"}));
      return;
    }
    change.stored = writing.changes == 0 ? change.jids : jids;
    if (is_block) change.others.jids = list.jids;
    for (const Jid& jid : change.jids) {
      if (is_block) {
        list.jids.emplace(jid.str());
      } else {
        list.jids.erase(std::string(jid.str()));
      }
    }
    if (!is_block) change.others.jids = list.jids;
    account.spawn(*scope_,
                  store(account, std::move(change), std::move(jids), ticket, std::move(hold)));
  }

  // `jids`: what was asked for, and so what sessions are told.
  Task<void> store(Account& account, Change change, Jids jids, Ticket ticket, OrderHold hold) {
    ++account[writing_].changes;
    auto storing = scope_->storage().write(
        scope_->reactor(), account.jid(),
        [](Tx& tx, const Jid& who, const Jids& what, bool is_block,
           bool is_everybody) -> StorageResult<void> {
          auto& lists = tx.blocklists();
          if (is_block) return lists.add(who, what);
          if (!is_everybody) return lists.remove(who, what);
          // Also what an earlier change could not remove.
          auto all = lists.load(who);
          if (!all) return xmpp::Err(all.error());
          return lists.remove(who, *all);
        },
        account.jid(), change.stored, change.is_block, change.is_everybody);
    auto stored = co_await storing;
    --account[writing_].changes;
    if (!stored) {
      log_failure(stored.error());
      if (!account[writing_].is_being_reread) account.spawn(*scope_, reread(account));
      ticket.complete(IqReply::error(StanzaCondition::internal_server_error));
    } else {
      ticket.complete(IqReply::ok());
      push(account, change, jids);
      tell(account, std::move(change), std::move(hold));
    }
  }

  // What the database says counts again, as soon as it says anything.
  Task<void> reread(Account& account) {
    account[writing_].is_being_reread = true;
    for (;;) {
      auto reading = scope_->storage().read(
          scope_->reactor(), account.jid(),
          [](Tx& tx, const Jid& who) { return tx.blocklists().load(who); }, account.jid());
      auto loaded = co_await reading;
      if (loaded && account[writing_].changes == 0) {
        account[list_] = make_list(*loaded);
        account[writing_].is_being_reread = false;
        co_return;
      }
      xmpp::Completion<void> over;
      xmpp::Timer timer([ticket = over.ticket()] { ticket.complete(); });
      scope_->reactor().timers().set(timer, scope_->reactor().now() + kReadAgain);
      co_await over;
    }
  }

  void push(Account& account, const Change& change, const Jids& jids) {
    xep::Block block;
    xep::Unblock unblock;
    if (!change.is_everybody) {
      auto& items = change.is_block ? block.items : unblock.items;
      for (const Jid& jid : jids) items.push_back({jid});
    }
    for (Session* session : account.sessions()) {
      if (!(*session)[interest_].is_interested) continue;
      Stanza stanza =
          Stanza::iq(StanzaType::set, session->jid(), "block" + std::to_string(++pushes_));
      if (change.is_block) {
        stanza.add(block);
      } else {
        stanza.add(unblock);
      }
      session->deliver(std::move(stanza));
    }
  }

  // XEP-0191 3.3, 3.4: who sees the account's presence sees it go, or come back.
  void tell(Account& account, Change change, OrderHold hold) {
    auto tell_all = [this, change = std::move(change), hold = std::move(hold)](
                        Account& owner, const Roster* roster) {
      if (roster != nullptr) tell_subscribers(owner, *roster, change);
      if (change.is_block) tell_directed(owner, change);
    };
    roster_->read(account, scope_->guard(std::move(tell_all)));
  }

  void tell_subscribers(Account& account, const Roster& roster, const Change& change) {
    for (const auto& [jid, contact] : roster.contacts) {
      if (!contact.is_listed || !has_from(contact.subscription)) continue;
      for (const Jid& target : targets_of(change, jid)) tell_one(account, target, change.is_block);
    }
  }

  // RFC 6121 4.6.3: whom a session told its presence directly, and only so, sees it go as well. It
  // does not come back by itself.
  void tell_directed(Account& account, const Change& change) {
    // Made once: there may be thousands of both.
    const Blocklist changed = make_list(change.jids);
    is_letting_through_ = true;
    for (Session* session : account.sessions()) {
      for (const Jid& target : directed_->list(*session)) {
        // Not if it was blocked before.
        const bool is_concerned = changed.blocks(target) && !change.others.blocks(target);
        if (is_exempt(account, target) || !is_concerned) continue;
        Stanza gone = Stanza::presence(StanzaType::unavailable, target);
        gone.envelope().from = session->jid();
        account.send(std::move(gone));
      }
    }
    is_letting_through_ = false;
  }

  void tell_one(Account& account, const Jid& target, bool is_block) {
    if (is_exempt(account, target)) return;
    is_letting_through_ = true;
    for (Session* session : account.sessions()) {
      if (!session->is_available()) continue;
      Stanza presence = is_block ? Stanza::presence(StanzaType::unavailable) : *session->presence();
      presence.envelope().from = session->jid();
      presence.envelope().to = target;
      account.send(std::move(presence));
    }
    is_letting_through_ = false;
  }

  void log_failure(const StorageError& error) {
    xmpp::log::warn(scope_->log_context(),
                    "a list of blocked addresses cannot be used: check the database",
                    {xmpp::log::kv("error", error.text)});
  }

  Option<std::int64_t> items_max_{*this, "items", 5'000,
                                  1,     100'000, "Addresses that one account may block at most."};
  Scope* scope_ = nullptr;
  RosterService* roster_ = nullptr;
  DirectedPresence* directed_ = nullptr;
  AccountState<Blocklist> list_;
  AccountSlot<Writing> writing_;
  SessionSlot<Interest> interest_;
  bool is_letting_through_ = false;  // while this module itself sends to, or as, who is blocked
  std::uint64_t pushes_ = 0;
};
XMPPD_MODULE(Blocking, {.name = "blocking",
                        .xep = "0191",
                        .summary = "Blocked addresses",
                        .requires_modules = {"presence", "roster"}});

}  // namespace xmppd::mod::blocking
