// Every hook, in pipeline order, with its contract: the map of the server.
//
// A stanza from a client passes FromSession -> SentByAccount -> (router) -> ToHost or ToAccount ->
// ToSession. Hooks are types: scope.on<ToAccount>(Stage::archive, [this](ToAccount& hook) { ... }).
// Stages run in the order of the enum; within a stage, in the order of module names.
//
// A hook runs synchronously on the worker named in its contract, may not suspend and should not
// throw (it is logged and counted; a stanza bounces internal-server-error). What it answers:
//   pass     go on with the next hook
//   handled  stop: the stanza has been taken care of
//   drop     stop: the stanza disappears silently
//   bounce   stop: the sender gets `hook.error` (nothing if it was an error or a result itself)
// If nobody stops a stanza hook, what happens is said at each.
//
// Delivery by the account's owner (RFC 6121 8.5), by the modules message, presence and iq_forward:
//
//   | to                               | a session with priority >= 0 | no such session      |
//   |----------------------------------|------------------------------|----------------------|
//   | bare: message normal, chat       | all such sessions            | fallback, or error   |
//   | bare: message headline           | all such sessions            | drop                 |
//   | bare: message groupchat          | error                        | error                |
//   | bare: message error              | drop                         | drop                 |
//   | bare: presence, its errors       | every available session      | drop                 |
//   | bare: iq                         | answered for the account     | same; no user: error |
//   | full, session connected          | it, whatever its presence    | -                    |
//   | full, no match: chat             | as bare                      | as bare              |
//   | full, no match: normal, headline | error                        | error                |
//   | full, no match: groupchat        | error                        | error                |
//   | full, no match: error, presence  | drop                         | drop                 |
//   | full, no match: iq get, set      | error                        | error                |
//
// "error" is service-unavailable to the sender; "fallback" is Stage::fallback (offline storage).
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "xmpp/base/time.h"
#include "xmpp/core/stanza.h"
#include "xmpp/core/stanza_error.h"
#include "xmppd/sm.h"

namespace xmppd {

class Account;
class Host;
class Session;
struct RosterRecord;

enum class Stage : std::uint8_t { validate, filter, rewrite, archive, copy, deliver, fallback };
[[nodiscard]] constexpr std::string_view to_string(Stage stage) noexcept {
  constexpr std::string_view names[] = {"validate", "filter",  "rewrite", "archive",
                                        "copy",     "deliver", "fallback"};
  return names[static_cast<std::size_t>(stage)];
}

enum class Verdict : std::uint8_t { pass, handled, drop, bounce };

// Base of the hooks that carry a stanza on its way.
struct StanzaHook {
  explicit StanzaHook(xmpp::Stanza& s) noexcept : stanza(s) {}
  xmpp::Stanza& stanza;
  xmpp::StanzaError error;  // with Verdict::bounce

  // return hook.bounce(xmpp::StanzaCondition::forbidden);
  [[nodiscard]] Verdict bounce(xmpp::StanzaError with) {
    error = std::move(with);
    return Verdict::bounce;
  }
};

// A client sent a stanza. Fired by its session, on the account's owner, before anything else;
// `from` is stamped with the full JID. May change everything but `from`. Nobody stops it: a stanza
// without `to` goes to the own account (message, iq) or is dropped (presence); everything else is
// routed.
struct FromSession : StanzaHook {
  static constexpr std::string_view kName = "FromSession";
  FromSession(xmpp::Stanza& s, Session& session) noexcept : StanzaHook(s), from(session) {}
  Session& from;
};

// A stanza leaves an account, from a client or from the server in the account's name. Fired on the
// account's owner, directly before routing; `to` is set. May add and remove payloads.
// Nobody stops it: it is routed.
struct SentByAccount : StanzaHook {
  static constexpr std::string_view kName = "SentByAccount";
  SentByAccount(xmpp::Stanza& s, Account& account, Session* by) noexcept
      : StanzaHook(s), from(account), session(by) {}
  Account& from;
  Session* session;  // nullptr if the server sent it in the account's name
};

// A stanza addressed to a host itself (domain JID). Fired on whatever worker it reached,
// before any iq handler, so that a filter sees requests too. Nobody stops it: iq get and set go to
// the handler for Target::host or bounce service-unavailable, messages bounce, too (not headlines);
// everything else is dropped.
struct ToHost : StanzaHook {
  static constexpr std::string_view kName = "ToHost";
  ToHost(xmpp::Stanza& s, Host& host) noexcept : StanzaHook(s), to(host) {}
  Host& to;
};

// A stanza addressed to an account (bare or full JID). Fired on the account's owner, before any
// iq handler, so that a filter sees requests too. Nobody stops it: iq requests to the bare JID go
// to the handler for an account target; messages and other iq requests bounce service-unavailable,
// everything else is dropped.
struct ToAccount : StanzaHook {
  static constexpr std::string_view kName = "ToAccount";
  ToAccount(xmpp::Stanza& s, Account& account) noexcept : StanzaHook(s), to(account) {}
  Account& to;
};

// A stanza is about to be written to one session's client. Fired on the account's owner, per
// session. `stanza` is this session's own copy. Nobody stops it: it is written.
struct ToSession : StanzaHook {
  static constexpr std::string_view kName = "ToSession";
  ToSession(xmpp::Stanza& s, Session& session) noexcept : StanzaHook(s), to(session) {}
  Session& to;
};

// A resource was bound; the client has not been told yet, so nothing may be delivered to this
// session here. Verdicts mean nothing.
struct Bound {
  static constexpr std::string_view kName = "Bound";
  Session& session;
};

// A session ends (in order or not); it is still in its account's list and can no longer receive.
// Verdicts mean nothing.
struct Unbound {
  static constexpr std::string_view kName = "Unbound";
  Session& session;
};

// A session sent broadcast presence. `is_initial`: it was unavailable before. Verdicts mean
// nothing.
struct Available {
  static constexpr std::string_view kName = "Available";
  Session& session;
  bool is_initial;
};

// A client asks that its stanzas be counted and acknowledged, perhaps also that its session may
// outlive its link. Fired on the account's owner. Who grants it sets `terms` and answers handled.
// Nobody stops it: it is refused.
struct SmRequested {
  static constexpr std::string_view kName = "SmRequested";
  Session& session;
  bool wants_resumption;
  xmpp::Duration wanted_window;  // zero: it did not say
  SmTerms terms;
};

// A session has lost its link and waits to be resumed. Its presence is as before, stanzas for it
// queue. Ended by Resumed or Unbound. Verdicts mean nothing.
struct Detached {
  static constexpr std::string_view kName = "Detached";
  Session& session;
};

// A detached session, or one whose old link was thought alive, has a new link; what its client
// had not acknowledged has been sent again. Verdicts mean nothing.
struct Resumed {
  static constexpr std::string_view kName = "Resumed";
  Session& session;
};

// A stanza that a client never acknowledged: is sent to it again after Resumed, or, its session
// having ended, goes to the account once more (messages: ToAccount from Stage::deliver on). Fired
// on the account's owner, per stanza. May add and remove payloads; of an ended session, drop and
// handled keep it from being delivered. Nobody stops it: it is delivered.
struct Redelivering : StanzaHook {
  static constexpr std::string_view kName = "Redelivering";
  Redelivering(xmpp::Stanza& s, Session& session, xmpp::Timestamp at, bool ended) noexcept
      : StanzaHook(s), to(session), sent_at(at), has_ended(ended) {}
  Session& to;
  xmpp::Timestamp sent_at;
  bool has_ended;
};

// A session that was available no longer is; session.presence() is the unavailable stanza. Verdicts
// mean nothing.
struct Unavailable {
  static constexpr std::string_view kName = "Unavailable";
  Session& session;
};

// An account was removed from storage; `roster` is what it had. Fired on its owner, before its
// sessions are ended. Verdicts mean nothing.
struct Removed {
  static constexpr std::string_view kName = "Removed";
  Account& account;
  const RosterRecord& roster;
};

// All of them, for tables: XMPPD_FOR_EACH_HOOK(macro).
#define XMPPD_FOR_EACH_HOOK(X) \
  X(FromSession)               \
  X(SentByAccount)             \
  X(ToHost)                    \
  X(ToAccount)                 \
  X(ToSession)                 \
  X(Bound)                     \
  X(Unbound)                   \
  X(Available)                 \
  X(Unavailable)               \
  X(SmRequested)               \
  X(Detached)                  \
  X(Resumed)                   \
  X(Redelivering)              \
  X(Removed)

enum class HookId : std::uint8_t {
#define XMPPD_HOOK_ID(name) name,
  XMPPD_FOR_EACH_HOOK(XMPPD_HOOK_ID)
#undef XMPPD_HOOK_ID
      count_
};

template <typename Hook>
struct HookIdOf;
#define XMPPD_HOOK_ID_OF(name)                    \
  template <>                                     \
  struct HookIdOf<name> {                         \
    static constexpr HookId value = HookId::name; \
  };
XMPPD_FOR_EACH_HOOK(XMPPD_HOOK_ID_OF)
#undef XMPPD_HOOK_ID_OF

}  // namespace xmppd
