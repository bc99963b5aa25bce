#include "core/activation.h"

#include <algorithm>
#include <utility>

#include "core/profile_runtime.h"
#include "core/server.h"
#include "core/worker.h"
#include "xmpp/base/log.h"
#include "xmppd/session.h"

namespace xmppd {

using xmpp::Jid;
using xmpp::Stanza;
using xmpp::StanzaCondition;

namespace {

const xmpp::log::Context kLog{.component = "account"};

// May one more stanza of this sender wait? Whoever has sent little so far always finds a place:
// each gets at most half of what all others leave.
bool has_place(const Activation& activation, const Jid& sender) {
  std::size_t all = 0;
  std::size_t own = 0;
  for (const auto& one : activation.waiting) {
    if (one.is_sent) continue;
    ++all;
    if (one.stanza.from().bare_equals(sender)) ++own;
  }
  return all < kActivationBacklog && 2 * own < kActivationBacklog - all;
}

}  // namespace

void Activator::hold(Stanza stanza, Host& host) {
  if (worker_.accounts().is_known_absent(stanza.to(), worker_.reactor().now())) {
    worker_.router().answer_for_nobody(std::move(stanza));
    return;
  }
  Account& account = worker_.accounts().get_or_make(stanza.to(), host);
  if (account.activation_ && !has_place(*account.activation_, stanza.from())) {
    refuse({std::move(stanza), false, {}}, StanzaCondition::resource_constraint);
    return;
  }
  Ticket ticket = worker_.tickets().hold(stanza);
  begin(account).waiting.push_back({std::move(stanza), false, std::move(ticket)});
}

void Activator::hold_sent(Session& session, Stanza stanza) {
  // Bounded by what its link reads in a turn: it is not read on meanwhile.
  Ticket ticket = worker_.tickets().hold(stanza);
  begin(session.account()).waiting.push_back({std::move(stanza), true, std::move(ticket)});
}

xmpp::Completion<ActivationOutcome> Activator::activate(const Jid& jid, Host& host) {
  xmpp::Completion<ActivationOutcome> done;
  Account& account = worker_.accounts().get_or_make(jid, host);
  // Sessions that end meanwhile keep what an account that was removed had; no new one begins so.
  if (account.is_active() && !account.is_outdated_) {
    done.ticket().complete(ActivationOutcome::ready);
  } else {
    begin(account).tickets.push_back(done.ticket());
  }
  return done;
}

void Activator::take_waiting(Account& account, std::vector<Stanza>& taken) {
  if (!account.activation_) return;
  for (auto& one : std::exchange(account.activation_->waiting, {})) {
    if (!one.is_sent) taken.push_back(std::move(one.stanza));
  }
}

void Activator::forget(const Jid& jid) {
  worker_.accounts().forget_absent(jid);
  Account* account = worker_.accounts().find(jid);
  if (account == nullptr) return;
  account->is_outdated_ = true;
  if (account->activation_) {
    account->activation_->is_outdated = true;
  } else {
    worker_.accounts().drop_if_idle(*account);
  }
}

Activation& Activator::begin(Account& account) {
  if (!account.activation_) {
    account.activation_ = std::make_unique<Activation>();
    account.activation_->id = next_id_++;
    account.activation_->timer.set_callback([this, jid = account.jid_] { on_timer(jid); });
    read(account);
  }
  Activation& activation = *account.activation_;
  if (activation.until == xmpp::kNever) {
    activation.until = worker_.reactor().now() + kActivationPatience;
    if (activation.is_reading) worker_.reactor().timers().set(activation.timer, activation.until);
  }
  return activation;
}

void Activator::read(Account& account) {
  Activation& activation = *account.activation_;
  activation.is_reading = true;
  if (activation.until != xmpp::kNever) {
    worker_.reactor().timers().set(activation.timer, activation.until);
  }
  auto load = [](Tx& tx, const Jid& who, std::uint64_t known_epoch, std::uint64_t epoch,
                 const std::shared_ptr<const AccountLoaders>& loaders) -> StorageResult<Loaded> {
    Loaded loaded;
    loaded.epoch = epoch;
    auto exists = tx.accounts().exists(who);
    if (!exists) return xmpp::Err(exists.error());
    loaded.exists = *exists;
    for (const AccountLoader& loader : *loaders) {
      if (!loaded.exists || loader.epoch <= known_epoch) continue;
      auto state = loader.load(tx, who);
      if (!state) return xmpp::Err(state.error());
      loaded.states.emplace_back(loader, std::move(*state));
    }
    return loaded;
  };
  auto done = [this, jid = account.jid_, id = activation.id](StorageResult<Loaded> outcome) {
    on_read(jid, id, std::move(outcome));
  };
  const auto& profile = account.host_.profile_;
  const std::uint64_t known_epoch = account.is_outdated_ ? 0 : account.loaded_epoch_;
  worker_.server().storage().read_then(worker_.reactor(), account.jid_, std::move(done), load,
                                       account.jid_, known_epoch, profile.account_epoch(),
                                       profile.account_loaders());
}

void Activator::on_read(const Jid& jid, std::uint64_t id, StorageResult<Loaded> outcome) {
  Account* account = worker_.accounts().find(jid);
  if (account == nullptr || !account->activation_ || account->activation_->id != id) return;
  Activation& activation = *account->activation_;
  activation.is_reading = false;
  if (std::exchange(activation.is_outdated, false)) {
    read(*account);
    return;
  }
  if (!outcome) {
    if (!std::exchange(activation.has_failed, true)) {
      xmpp::log::warn(
          kLog, "an account cannot be loaded: check the database",
          {xmpp::log::kv("jid", jid.str()), xmpp::log::kv("error", outcome.error().text)});
    }
    if (activation.until == xmpp::kNever) {
      finish(*account, false);  // nobody waits any more
    } else {
      const auto again = worker_.reactor().now() + kActivationRetry;
      worker_.reactor().timers().set(activation.timer, std::min(again, activation.until));
    }
    return;
  }
  // A session is proof of the account, whatever the database says; but not of the next one.
  const bool exists = outcome->exists || (!account->is_outdated_ && !account->sessions_.empty());
  if (exists) {
    const auto& wanted = *account->host_.profile_.account_loaders();
    for (auto& [loader, value] : outcome->states) {
      // The module may have gone meanwhile.
      if (std::find(wanted.begin(), wanted.end(), loader) == wanted.end()) continue;
      account->slots_.put(*loader.slot, std::move(value));
    }
    account->loaded_epoch_ = outcome->epoch;
    account->is_outdated_ = false;
    if (!account->is_active()) {
      // A module came while this was read: whoever waits goes on waiting for its state.
      read(*account);
      return;
    }
  } else {
    if (account->sessions_.empty()) account->loaded_epoch_ = 0;
    worker_.accounts().note_absent(jid, worker_.reactor().now());
  }
  finish(*account, exists);
}

void Activator::on_timer(const Jid& jid) {
  Account* account = worker_.accounts().find(jid);
  if (account == nullptr || !account->activation_) return;
  Activation& activation = *account->activation_;
  if (worker_.reactor().now() >= activation.until) {
    give_up(*account);
  } else if (!activation.is_reading) {
    read(*account);
  }
}

// In the order of arrival; then the logins, which may end others and so come last.
void Activator::finish(Account& account, bool exists) {
  const Jid jid = account.jid_;
  auto waiting = std::exchange(account.activation_->waiting, {});
  for (auto& one : waiting) {
    if (!exists && !one.is_sent) {
      worker_.router().answer_for_nobody(std::move(one.stanza));
    } else if (!exists) {
      refuse(one, StanzaCondition::service_unavailable);
    } else if (!one.is_sent) {
      worker_.router().deliver_here(std::move(one.stanza), account.host_);
    } else if (Session* session = account.find_session(one.stanza.from().resource())) {
      session->receive(std::move(one.stanza));
    }
  }
  auto tickets = std::exchange(account.activation_->tickets, {});
  account.activation_.reset();
  // Not touched from here on: a login may end the last one who needs it.
  for (const auto& ticket : tickets) {
    ticket.complete(exists ? ActivationOutcome::ready : ActivationOutcome::absent);
  }
  if (Account* still = worker_.accounts().find(jid)) worker_.accounts().drop_if_idle(*still);
}

void Activator::give_up(Account& account) {
  const Jid jid = account.jid_;
  Activation& activation = *account.activation_;
  activation.until = xmpp::kNever;
  const auto waiting = std::exchange(activation.waiting, {});
  const auto tickets = std::exchange(activation.tickets, {});
  // An answer that is still to come is used; who asks meanwhile waits anew.
  if (!activation.is_reading) account.activation_.reset();
  for (const auto& one : waiting) refuse(one, StanzaCondition::resource_constraint);
  for (const auto& ticket : tickets) ticket.complete(ActivationOutcome::failed);
  if (Account* still = worker_.accounts().find(jid)) worker_.accounts().drop_if_idle(*still);
}

void Activator::refuse(const Activation::Waiting& waiting, StanzaCondition condition) {
  const Stanza& stanza = waiting.stanza;
  if (stanza.is_presence() || !xmpp::can_bounce(stanza)) return;
  if (!waiting.is_sent) {
    worker_.router().bounce(stanza, condition);
    return;
  }
  Account* account = worker_.accounts().find(stanza.from());
  if (account == nullptr) return;
  Session* session = account->find_session(stanza.from().resource());
  if (session != nullptr) session->deliver(xmpp::make_error(stanza, condition));
}

}  // namespace xmppd
