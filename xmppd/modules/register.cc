// XEP-0077 2.4 partial: no forms, no redirection
// In-band registration, change of password, and cancellation. Closed unless `allow` opens it.
#include "xmpp/xep/register.h"

#include <memory>

#include "xmpp/core/prep.h"
#include "xmpp/sasl/credentials.h"
#include "xmppd/module.h"

namespace xmppd::mod::register_ {

using xmpp::Jid;
using xmpp::Secret;
using xmpp::StanzaCondition;
using xmpp::Task;
using xmpp::sasl::ScramKeys;
using xmpp::xep::Register;

class Registration final : public Module {
 public:
  void attach(Scope& scope) override {
    scope_ = &scope;
    scope.feature(xmpp::ns::register_);
    scope.on_iq<Register>(Target::host | Target::own_account, [this](IqCall& call, Register query) {
      return manage(call, std::move(query));
    });
    if (*allow_ == "none") return;
    scope.stream_feature("<register xmlns='http://jabber.org/features/iq-register'/>", false);
    scope.admit_before_authentication(xmpp::ns::register_);
    scope.on_iq<Register>(Target::unauthenticated, [this](IqCall& call, Register query) {
      return enroll(call, std::move(query));
    });
  }

 private:
  // Before authentication: asks for the fields, or makes the account.
  Task<IqReply> enroll(IqCall& call, Register query) {
    if (*allow_ == "loopback" && !call.is_loopback) {
      co_return IqReply::error({StanzaCondition::not_allowed, "Registration is closed"});
    }
    if (!call.is_set()) {
      Register form;
      form.instructions = "Choose a user name and a password.";
      form.username = "";
      form.password = Secret();
      co_return IqReply::with(form);
    }
    if (!query.username || !query.password) {
      co_return IqReply::error({StanzaCondition::bad_request, "username and password are needed"});
    }
    auto jid = Jid::make(*query.username, call.host.name());
    if (!jid || jid->local().empty() || xmpp::prep::nodeprep_differs(jid->local())) {
      co_return IqReply::error({StanzaCondition::not_acceptable, "This user name is not possible"});
    }
    auto password = xmpp::sasl::prepare_password(query.password->reveal());
    if (!password) {
      co_return IqReply::error({StanzaCondition::not_acceptable, "This password is not possible"});
    }
    auto deriving = derive(*password, call.host.scram_iterations());
    auto keys = co_await deriving;
    if (keys.empty()) co_return IqReply::error(StanzaCondition::resource_constraint);
    AccountRecord account;
    account.jid = *jid;
    account.created_at = scope_->reactor().wall();
    account.keys = std::move(keys);
    auto pending = scope_->storage().write(
        scope_->reactor(), *jid,
        [](Tx& tx, const AccountRecord& record) { return tx.accounts().create(record); }, account);
    auto created = co_await pending;
    if (!created) co_return storage_failed(created.error());
    if (!*created) co_return IqReply::error({StanzaCondition::conflict, "This user exists"});
    xmpp::log::info(scope_->log_context(), "account registered",
                    {xmpp::log::kv("jid", jid->str()), xmpp::log::kv("address", call.address)});
    co_return IqReply::ok();
  }

  // From a session: what is registered, a new password, or the end of the account.
  Task<IqReply> manage(IqCall& call, Register query) {
    const Jid account = call.request.from().bare();
    if (account.domain() != call.host.name()) co_return IqReply::error(StanzaCondition::forbidden);
    if (!call.is_set()) {
      Register answer;
      answer.registered = true;
      answer.username = std::string(account.local());
      answer.password = Secret();
      co_return IqReply::with(answer);
    }
    if (query.remove) {
      auto removing = scope_->storage().write(
          scope_->reactor(), account,
          [](Tx& tx, const Jid& who) { return tx.accounts().remove(who); }, account);
      auto removed = co_await removing;
      if (!removed) co_return storage_failed(removed.error());
      call.host.end_sessions(account, {xmpp::StreamCondition::not_authorized, "Account removed"});
      co_return IqReply::ok();
    }
    if (!query.username || !query.password || *query.username != account.local()) {
      co_return IqReply::error(
          {StanzaCondition::bad_request, "your own username and a new password are needed"});
    }
    auto password = xmpp::sasl::prepare_password(query.password->reveal());
    if (!password) {
      co_return IqReply::error({StanzaCondition::not_acceptable, "This password is not possible"});
    }
    auto deriving = derive(*password, call.host.scram_iterations());
    auto keys = co_await deriving;
    if (keys.empty()) co_return IqReply::error(StanzaCondition::resource_constraint);
    auto storing = scope_->storage().write(
        scope_->reactor(), account,
        [](Tx& tx, const Jid& who, const std::vector<ScramKeys>& fresh) {
          return tx.accounts().set_keys(who, fresh);
        },
        account, keys);
    auto stored = co_await storing;
    if (!stored) co_return storage_failed(stored.error());
    if (!*stored) co_return IqReply::error(StanzaCondition::item_not_found);
    co_return IqReply::ok();
  }

  // PBKDF2 for every hash, off the worker; empty if too many jobs wait.
  xmpp::Completion<std::vector<ScramKeys>> derive(const Secret& password,
                                                  std::uint32_t iterations) {
    xmpp::Completion<std::vector<ScramKeys>> completion;
    std::string salt(xmpp::sasl::kSaltSize, '\0');
    scope_->rng().fill(std::as_writable_bytes(std::span(salt)));
    auto keys = std::make_shared<std::vector<ScramKeys>>();
    const bool accepted = scope_->offload(
        [keys, password, salt, iterations] {
          auto made = xmpp::sasl::derive_scram_keys(password, salt, iterations);
          keys->assign(made.begin(), made.end());
        },
        [keys, ticket = completion.ticket()] { ticket.complete(std::move(*keys)); });
    if (!accepted) completion.ticket().complete({});
    return completion;
  }

  IqReply storage_failed(const StorageError& error) {
    xmpp::log::warn(scope_->log_context(), "accounts cannot be written: check the database",
                    {xmpp::log::kv("error", error.text)});
    return IqReply::error(StanzaCondition::internal_server_error);
  }

  Option<std::string> allow_{*this,
                             "allow",
                             "none",
                             {"none", "loopback", "all"},
                             "Who may register an account: nobody, clients on this machine, all."};
  Scope* scope_ = nullptr;
};
XMPPD_MODULE(Registration, {.name = "register",
                            .xep = "0077",
                            .summary = "Registration, change of password, cancellation"});

}  // namespace xmppd::mod::register_
