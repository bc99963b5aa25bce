// XEP-0280 1.0.1 complete
// Message carbons: a session that asks for it gets copies of the conversations of the account's
// other sessions.
//
// A copy goes straight to its session, so nothing stores it, copies it again or answers for it: an
// error to a copy is addressed to the account and ends there (XEP-0280 10.3).
#include "xmpp/xep/carbons.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "xmpp/base/hash.h"
#include "xmppd/module.h"

namespace xmppd::mod::carbons {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaCondition;
using xmpp::StanzaType;
namespace ns = xmpp::ns;
namespace xep = xmpp::xep;
using xmpp::xml::Name;

namespace {

// Does this session want copies?
struct Wish {
  static constexpr std::string_view kSlotName = "enabled";
  bool is_enabled = false;
  [[nodiscard]] std::string save() const { return is_enabled ? "1" : ""; }
  [[nodiscard]] static std::optional<Wish> restore(std::string_view saved) {
    return Wish{saved == "1"};
  }
};

// The last messages that were copied, so that errors in answer to them are, too (XEP-0280 6.1).
class Copied {
 public:
  void add(const Jid& peer, const std::string& id) {
    if (id.empty()) return;
    marks_[next_] = mark(peer, id);
    next_ = (next_ + 1) % marks_.size();
  }
  [[nodiscard]] bool has(const Jid& peer, const std::string& id) const {
    return !id.empty() && std::find(marks_.begin(), marks_.end(), mark(peer, id)) != marks_.end();
  }

 private:
  static std::uint64_t mark(const Jid& peer, const std::string& id) {
    return peer.bare_hash() ^ xmpp::siphash64(xmpp::process_hash_key(), id);
  }
  std::array<std::uint64_t, 64> marks_{};
  std::size_t next_ = 0;
};

bool is_carbon(const Stanza& stanza) {
  return stanza.has<xep::CarbonsReceived>() || stanza.has<xep::CarbonsSent>();
}

bool asks_for_no_copy(const Stanza& stanza) {
  static constexpr Name kNoCopy("urn:xmpp:hints", "no-copy");
  return stanza.has<xep::CarbonsPrivate>() || stanza.has(kNoCopy);
}

// XEP-0184, XEP-0085, XEP-0333, XEP-0249.
bool is_of_instant_messaging(const Stanza& stanza) {
  static constexpr std::string_view kNamespaces[] = {
      "urn:xmpp:receipts", "http://jabber.org/protocol/chatstates", "urn:xmpp:chat-markers:0",
      "jabber:x:conference"};
  return std::any_of(
      stanza.payloads().begin(), stanza.payloads().end(), [](const xmpp::Payload& payload) {
        return std::find(std::begin(kNamespaces), std::end(kNamespaces), payload.ns()) !=
               std::end(kNamespaces);
      });
}

const xmpp::Payload* find_room_payload(const Stanza& stanza) {
  static constexpr Name kRoom("http://jabber.org/protocol/muc#user", "x");
  return stanza.find(kRoom);
}

bool is_invitation(const xmpp::Payload& room) {
  return static_cast<bool>(
      room.element().find_child({"http://jabber.org/protocol/muc#user", "invite"}));
}

// XEP-0280 6.1, without errors.
bool is_eligible(const Stanza& stanza, bool is_received) {
  if (asks_for_no_copy(stanza) || is_carbon(stanza)) return false;
  if (stanza.type() == StanzaType::groupchat || stanza.type() == StanzaType::error) return false;
  if (const auto* room = find_room_payload(stanza)) {
    if (is_invitation(*room)) return true;
    // A room sends what is private to all of an occupant's clients itself.
    if (is_received && stanza.from().is_full()) return false;
  }
  if (stanza.type() == StanzaType::chat) return true;
  if (stanza.type() == StanzaType::normal && stanza.has(Name(ns::client, "body"))) return true;
  return is_of_instant_messaging(stanza);
}

}  // namespace

class Carbons final : public Module {
 public:
  void attach(Scope& scope) override {
    wish_ = scope.session_slot<Wish>();
    copied_ = scope.account_slot<Copied>();
    scope.feature(ns::carbons);
    scope.feature(ns::carbons_rules);
    constexpr auto kAccounts = Target::own_account | Target::account;
    scope.on_iq<xep::CarbonsEnable>(
        kAccounts, IqKind::set,
        [this](IqCall& call, const xep::CarbonsEnable&) { return set(call, true); });
    scope.on_iq<xep::CarbonsDisable>(
        kAccounts, IqKind::set,
        [this](IqCall& call, const xep::CarbonsDisable&) { return set(call, false); });
    scope.on<SentByAccount>(Stage::copy, [this](SentByAccount& hook) { return on_sent(hook); });
    scope.on<ToAccount>(Stage::copy, [this](ToAccount& hook) { return on_received(hook); });
  }

 private:
  IqReply set(IqCall& call, bool is_enabled) {
    if (call.target != Target::own_account || call.session == nullptr) {
      return IqReply::error(StanzaCondition::not_allowed);
    }
    (*call.session)[wish_].is_enabled = is_enabled;
    return IqReply::ok();
  }

  // Does anybody but `except` want copies?
  [[nodiscard]] bool is_wanted(Account& account, const Session* except) {
    const auto sessions = account.sessions();
    return std::any_of(sessions.begin(), sessions.end(), [&](Session* session) {
      return session != except && (*session)[wish_].is_enabled;
    });
  }

  Verdict on_sent(SentByAccount& hook) {
    const Stanza& stanza = hook.stanza;
    if (!stanza.is_message() || hook.session == nullptr) return Verdict::pass;
    if (!is_wanted(hook.from, hook.session)) return Verdict::pass;
    // What the account sends to itself is copied where it arrives.
    if (stanza.to().bare_equals(hook.from.jid())) return Verdict::pass;
    if (!is_copied(hook.from, stanza, stanza.to(), false)) return Verdict::pass;
    const auto copy = make_copy<xep::CarbonsSent>(stanza);
    for (Session* session : hook.from.sessions()) {
      if (session != hook.session) send(*session, stanza, copy);
    }
    return Verdict::pass;
  }

  Verdict on_received(ToAccount& hook) {
    const Stanza& stanza = hook.stanza;
    if (!stanza.is_message() || !is_wanted(hook.to, nullptr)) return Verdict::pass;
    Session* addressed =
        stanza.to().is_full() ? hook.to.find_session(stanza.to().resource()) : nullptr;
    const bool is_gone =
        addressed != nullptr && addressed->is_ending() && !addressed->is_detached();
    if (is_gone) addressed = nullptr;
    // RFC 6121 8.5: to a session that is not there, only chat is delivered to others.
    if (stanza.to().is_full() && addressed == nullptr && stanza.type() != StanzaType::chat) {
      return Verdict::pass;
    }
    if (!is_copied(hook.to, stanza, stanza.from(), true)) return Verdict::pass;
    std::optional<xmpp::Payload> copy;  // for nobody, mostly
    for (Session* session : hook.to.sessions()) {
      const bool has_original =
          addressed != nullptr ? session == addressed : session->takes_messages();
      if (has_original || session->jid() == stanza.from() || !(*session)[wish_].is_enabled)
        continue;
      if (!copy) copy = make_copy<xep::CarbonsReceived>(stanza);
      send(*session, stanza, *copy);
    }
    return Verdict::pass;
  }

  // `peer`: who the account talks with.
  bool is_copied(Account& account, const Stanza& stanza, const Jid& peer, bool is_received) {
    if (stanza.type() == StanzaType::error) {
      return !peer.bare_equals(account.jid()) && account[copied_].has(peer, stanza.id());
    }
    if (!is_eligible(stanza, is_received)) return false;
    account[copied_].add(peer, stanza.id());
    return true;
  }

  // Encoded once for all who get it.
  template <typename T>
  static xmpp::Payload make_copy(const Stanza& stanza) {
    return {T::codec.name, xmpp::xml::to_xml(T{{std::nullopt, stanza}})};
  }

  void send(Session& session, const Stanza& original, const xmpp::Payload& copy) {
    if (!session[wish_].is_enabled) return;
    Stanza carbon = Stanza::message(original.type(), session.jid());
    carbon.envelope().from = session.account().jid();
    carbon.add(copy);
    session.deliver(std::move(carbon));
  }

  SessionSlot<Wish> wish_;
  AccountSlot<Copied> copied_;
};
XMPPD_MODULE(Carbons, {.name = "carbons",
                       .xep = "0280",
                       .summary = "Copies of conversations for an account's other sessions"});

}  // namespace xmppd::mod::carbons
