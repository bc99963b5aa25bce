#include "core/router.h"

#include <memory>
#include <utility>

#include "core/backstop.h"
#include "core/ownership.h"
#include "core/pending_iq.h"
#include "core/profile_runtime.h"
#include "core/server.h"
#include "core/worker.h"
#include "xmppd/hooks.h"
#include "xmppd/session.h"

namespace xmppd {

using xmpp::Stanza;
using xmpp::StanzaCondition;
using xmpp::StanzaType;

namespace {

// A stanza on its way to the worker that owns its recipient.
struct RoutedStanza final : xmpp::net::Mail {
  RoutedStanza(Worker& destination, Stanza what)
      : Mail(&deliver), worker(destination), stanza(std::move(what)) {}
  static void deliver(Mail* mail, bool run) {
    std::unique_ptr<RoutedStanza> self(static_cast<RoutedStanza*>(mail));
    if (!run) return;
    // The host may have gone while the stanza was on its way; the router of this worker decides
    // again.
    self->worker.router().route(std::move(self->stanza));
  }
  Worker& worker;
  Stanza stanza;
};

// An answer that comes later.
xmpp::Task<void> answer_later(std::unique_ptr<PendingIq> pending, xmpp::Task<IqReply> answering) {
  auto reply = IqReply::error(StanzaCondition::internal_server_error);
  try {
    auto given = co_await std::move(answering);
    reply = std::move(given);
  } catch (...) {
    note_exception({.component = "iq"}, "exception in an iq handler's task");
  }
  pending->answer(reply);
}

// The handler's task; it is not valid if the handler throws before there is one.
xmpp::Task<IqReply> begin_answer(IqTable::Entry& entry, IqCall& call) {
  try {
    return entry.handler.answer_later(call);
  } catch (...) {
    note_exception(entry.scope->log_context(), "exception in an iq handler");
    return {};
  }
}

// Did nobody stop the stanza? Who bounced it wants its sender told.
bool goes_on(Router& router, Verdict verdict, const StanzaHook& hook) {
  if (verdict == Verdict::bounce) router.bounce(hook.stanza, hook.error);
  return verdict == Verdict::pass;
}

IqReply answer_now(IqTable::Entry& entry, IqCall& call) {
  try {
    return entry.handler.answer(call);
  } catch (...) {
    note_exception(entry.scope->log_context(), "exception in an iq handler");
    return IqReply::error(StanzaCondition::internal_server_error);
  }
}

// Answers now or, by one of the host's tasks, later through `reply_to`.
void run_handler(IqTable::Entry& entry, std::unique_ptr<IqCall> call, TaskBag& tasks,
                 PendingIq::Reply reply_to) {
  if (entry.handler.answer) {
    const auto reply = answer_now(entry, *call);
    reply_to(PendingIq::make_answer(call->request, reply));
    return;
  }
  auto pending = std::make_unique<PendingIq>(*entry.scope, std::move(call), std::move(reply_to));
  auto answering = begin_answer(entry, pending->call());
  if (!answering.is_valid()) {
    pending->answer(IqReply::error(StanzaCondition::internal_server_error));
    return;
  }
  tasks.spawn(*entry.scope, answer_later(std::move(pending), std::move(answering)));
}

}  // namespace

void Router::route(Stanza&& stanza) {
  XMPP_ASSERT(stanza.to());
  worker_.spend();
  Host* host = worker_.find_host(stanza.to().domain());
  if (host == nullptr) {
    bounce(stanza, StanzaCondition::remote_server_not_found);
    return;
  }
  if (stanza.to().local().empty()) {
    to_host(std::move(stanza), *host);
    return;
  }
  auto owner = owner_of(stanza.to(), worker_.server().worker_count());
  if (owner == worker_.index()) {
    deliver_here(std::move(stanza), *host);
  } else {
    worker_.send_mail(owner, new RoutedStanza(worker_.server().worker(owner), std::move(stanza)));
  }
}

const Worker* Router::find_congested(const xmpp::Jid& to, bool is_greedy) const noexcept {
  Server& server = worker_.server();
  // Without `to` it may be for everybody (presence).
  const std::size_t first = to ? owner_of(to, server.worker_count()) : 0;
  const std::size_t last = to ? first : server.worker_count() - 1;
  for (std::size_t i = first; i <= last; ++i) {
    const Worker& fed = server.worker(i);
    if (i != worker_.index() && fed.is_congested(is_greedy)) return &fed;
  }
  return nullptr;
}

void Router::send_from(Account& account, Session* session, Stanza&& stanza) {
  SentByAccount hook(stanza, account, session);
  if (goes_on(*this, account.host_.profile_.hooks().fire(hook), hook)) route(std::move(stanza));
}

void Router::bounce(const Stanza& stanza, const xmpp::StanzaError& error) {
  if (!xmpp::can_bounce(stanza) || !stanza.from()) return;
  route(xmpp::make_error(stanza, error));
}

void Router::tell_removed(Account& account, const RosterRecord& roster) {
  Removed hook{account, roster};
  (void)account.host_.profile_.hooks().fire(hook);
}

void Router::answer_for_nobody(Stanza&& stanza) {
  if (stanza.is_presence()) {
    if (stanza.type() != StanzaType::probe || !stanza.from()) return;
    // RFC 6121 4.3.2: whoever asks believes in a permission that nobody can have given.
    Stanza answer = Stanza::presence(StanzaType::unsubscribed, stanza.from().bare());
    answer.envelope().from = stanza.to().bare();
    answer.envelope().id = stanza.id();
    route(std::move(answer));
    return;
  }
  if (stanza.is_iq() && stanza.is_request() && stanza.to().is_bare()) {
    Host* host = worker_.find_host(stanza.to().domain());
    if (host != nullptr && answer_iq(stanza, *host, Target::nobody, nullptr)) return;
  }
  // As for a user who is away (8.5.4), who must not be told from nobody.
  if (stanza.type() == StanzaType::headline && stanza.to().is_bare()) return;
  bounce(stanza, StanzaCondition::service_unavailable);
}

void Router::to_host(Stanza&& stanza, Host& host) {
  ToHost hook(stanza, host);
  if (!goes_on(*this, host.profile_.hooks().fire(hook), hook)) return;
  if (stanza.is_message()) {
    // RFC 6120 10.5.2: handled or answered with an error; the kinds that need none as in RFC 6121
    // 8.5.2.2.
    if (stanza.type() != StanzaType::headline) bounce(stanza, StanzaCondition::service_unavailable);
    return;
  }
  if (stanza.is_iq() && stanza.is_request() && !answer_iq(stanza, host, Target::host, nullptr)) {
    bounce(stanza, StanzaCondition::service_unavailable);
  }
}

void Router::deliver_here(Stanza&& stanza, Host& host) {
  Account* account = worker_.accounts().find(stanza.to());
  if (account != nullptr && account->strands_ && worker_.strands().take(*account, stanza)) return;
  deliver_to(account, std::move(stanza), host);
}

void Router::deliver_next(Stanza&& stanza, Host& host) {
  deliver_to(worker_.accounts().find(stanza.to()), std::move(stanza), host);
}

void Router::deliver_to(Account* account, Stanza&& stanza, Host& host) {
  if (account == nullptr || !account->is_active()) {
    worker_.activator().hold(std::move(stanza), host);
    return;
  }
  to_account(std::move(stanza), *account);
  // At the end of the turn: a hook may have sent this stanza.
  if (account->sessions_.empty()) worker_.drop_later(account->jid_);
}

void Router::deliver_again(Stanza&& stanza, Account& account) {
  to_account(std::move(stanza), account, Stage::deliver);
}

void Router::to_account(Stanza&& stanza, Account& account, Stage from) {
  ToAccount hook(stanza, account);
  if (!goes_on(*this, account.host_.profile_.hooks().fire_from(hook, from), hook)) return;
  if (stanza.is_iq() && stanza.is_request() && stanza.to().is_bare()) {
    auto target = stanza.from().bare_equals(account.jid()) ? Target::own_account : Target::account;
    if (answer_iq(stanza, account.host_, target, &account)) return;
  }
  if (stanza.is_message() || (stanza.is_iq() && stanza.is_request())) {
    bounce(stanza, StanzaCondition::service_unavailable);
  }
}

bool Router::answer_iq(Stanza& request, Host& host, Target target, Account* account) {
  auto* entry = host.profile_.iqs().find(request, target);
  if (entry == nullptr) return false;
  if (host.profile_.is_held(*entry)) {
    hold_request(std::move(request), host, target);
    return true;
  }
  auto call = std::make_unique<IqCall>(IqCall{.request = std::move(request),
                                              .host = host,
                                              .target = target,
                                              .account = account,
                                              .session = nullptr});
  if (Account* sender = worker_.accounts().find(call->request.from())) {
    call->session = sender->find_session(call->request.from().resource());
  }
  run_handler(*entry, std::move(call), host.tasks_,
              [this](Stanza answer) { route(std::move(answer)); });
  return true;
}

void Router::hold_request(Stanza request, Host& host, Target target) {
  if (!host.profile_.has_room_for_held()) {
    bounce(request, StanzaCondition::resource_constraint);
    return;
  }
  // By name: host and account may go meanwhile.
  auto again = [this, held = std::make_shared<Stanza>(std::move(request)),
                name = std::string(host.name()), target] {
    Host* at = worker_.find_host(name);
    const bool is_accounts = has(Target::own_account | Target::account, target);
    Account* account = is_accounts ? worker_.accounts().find(held->to()) : nullptr;
    if (at == nullptr || (account == nullptr && is_accounts)) {
      route(std::move(*held));
    } else if (account != nullptr && !account->is_active()) {
      // The new instance has not read yet what it needs to know of it.
      worker_.activator().hold(std::move(*held), *at);
    } else if (!answer_iq(*held, *at, target, account)) {
      bounce(*held, StanzaCondition::service_unavailable);
    }
  };
  host.profile_.hold(std::move(again));
}

bool Router::answer_unauthenticated(IqCall incoming, std::function<void(Stanza)> reply) {
  auto* entry = incoming.host.profile_.iqs().find(incoming.request, Target::unauthenticated);
  if (entry == nullptr) return false;
  if (incoming.host.profile_.is_held(*entry)) {
    // Rare, and the peer may ask again.
    reply(xmpp::make_error(incoming.request, StanzaCondition::resource_constraint));
    return true;
  }
  TaskBag& tasks = incoming.host.tasks_;
  run_handler(*entry, std::make_unique<IqCall>(std::move(incoming)), tasks, std::move(reply));
  return true;
}

}  // namespace xmppd
