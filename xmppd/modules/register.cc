// XEP-0077 2.4 partial: no redirection
// In-band registration, change of password, and cancellation. Closed unless `allow` opens it.
#include "xmpp/xep/register.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <mutex>
#include <set>
#include <string>

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

// What a client fills in; the fields of XEP-0077 itself and those of the form mean the same.
struct Wanted {
  std::string username;
  std::string password;
};
constexpr auto kForm =
    xmpp::form::table<Wanted>(xmpp::ns::register_,
                              xmpp::form::field("username", &Wanted::username, "User name",
                                                xmpp::form::FieldType::text_single, true),
                              xmpp::form::field("password", &Wanted::password, "Password",
                                                xmpp::form::FieldType::text_private, true));
constexpr std::string_view kInstructions = "Choose a user name and a password.";

// XEP-0077 6: a form that comes with a request is what counts. False: it is no answer to ours.
bool take_form(Register& query) {
  if (!query.form) return true;
  Wanted wanted;
  if (query.form->type != xmpp::form::FormType::submit) return false;
  if (!xmpp::form::apply(kForm, *query.form, wanted)) return false;
  query.username = std::move(wanted.username);
  query.password = Secret(std::move(wanted.password));
  return true;
}

// How many registrations came from each address within its current hour. One table for the
// process, not one per instance: the kernel spreads the connections of one address over the
// workers, so that a table per worker would allow as many times the limit as there are workers. A
// mutex will do: it is taken once per registration, next to thousands of rounds of PBKDF2, and
// never for a stanza of a session. A fixed number of slots, so that many addresses cannot make it
// grow; two that share a slot share its limit, which errs on the safe side.
class Registrations {
 public:
  static Registrations& get() {
    static Registrations table;
    return table;
  }

  [[nodiscard]] bool try_count(std::uint32_t address_key, std::int64_t limit, xmpp::Instant now) {
    const std::lock_guard lock(mutex_);
    Slot& slot = slots_[address_key % slots_.size()];
    // `now < since`: the clocks of simulated worlds begin anew.
    if (now < slot.since || now - slot.since >= std::chrono::hours(1)) slot = {now, 0};
    if (slot.count >= limit) return false;
    ++slot.count;
    return true;
  }

 private:
  struct Slot {
    xmpp::Instant since{};
    std::int64_t count = 0;
  };
  std::mutex mutex_;
  std::array<Slot, 4096> slots_{};
};

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
  // A change of password under way; lives in the task's frame, so it ends however the task ends.
  struct Change {
    Change(std::set<std::string, std::less<>>& all, std::string_view session)
        : changing(all), who(session), is_only_one(all.emplace(session).second) {}
    ~Change() {
      if (is_only_one) changing.erase(who);
    }
    Change(const Change&) = delete;
    Change& operator=(const Change&) = delete;
    std::set<std::string, std::less<>>& changing;
    const std::string who;
    const bool is_only_one;
  };

  // Is the name kept from clients? Names in `reserved` are compared as localparts are.
  [[nodiscard]] bool is_reserved(const Jid& account) const {
    std::string_view rest = *reserved_;
    while (!rest.empty()) {
      const auto end = rest.find_first_of(", ");
      const auto name = rest.substr(0, end);
      rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
      if (name.empty()) continue;
      const auto jid = Jid::make(name, account.domain());
      if (jid && jid->local() == account.local()) return true;
    }
    return false;
  }

  // Before authentication: asks for the fields, or makes the account.
  Task<IqReply> enroll(IqCall& call, Register query) {
    if (*allow_ == "loopback" && !call.is_loopback) {
      co_return IqReply::error({StanzaCondition::not_allowed, "Registration is closed"});
    }
    if (!call.is_set()) {
      Register form;
      form.instructions = kInstructions;
      form.username = "";
      form.password = Secret();
      form.form = xmpp::form::make_form(kForm, Wanted{});
      form.form->title = "Registration";
      form.form->instructions.emplace_back(kInstructions);
      co_return IqReply::with(form);
    }
    // XEP-0077 3.2: nobody is known yet whose account could be removed.
    if (query.remove) co_return IqReply::error(StanzaCondition::unexpected_request);
    if (!take_form(query)) co_return IqReply::error(StanzaCondition::bad_request);
    if (!query.username || !query.password) {  // 3.1
      co_return IqReply::error(
          {StanzaCondition::not_acceptable, "username and password are needed"});
    }
    auto jid = Jid::make(*query.username, call.host.name());
    if (!jid || jid->local().empty() || xmpp::prep::nodeprep_differs(jid->local())) {
      co_return IqReply::error({StanzaCondition::not_acceptable, "This user name is not possible"});
    }
    if (is_reserved(*jid)) {
      co_return IqReply::error({StanzaCondition::not_acceptable, "This user name is reserved"});
    }
    auto password = xmpp::sasl::prepare_password(query.password->reveal());
    if (!password) {
      co_return IqReply::error({StanzaCondition::not_acceptable, "This password is not possible"});
    }
    // Attempts count, not successes: an attempt costs the derivation and tells which names exist.
    if (!call.is_loopback && *per_address_ != 0 &&
        !Registrations::get().try_count(call.address_key, *per_address_, scope_->reactor().now())) {
      xmpp::log::info(scope_->log_context(), "registration refused: too many from this address",
                      {xmpp::log::kv("address", call.address)});
      co_return IqReply::error(
          {StanzaCondition::resource_constraint, "Too many registrations; try again later"});
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
    // Its owner may remember that there is no such account. Nobody can be logged in yet.
    call.host.end_sessions(*jid, {xmpp::StreamCondition::reset, "Account made anew"});
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
      if (query.username || query.password || query.form) {  // XEP-0077 3.2: it stands alone
        co_return IqReply::error({StanzaCondition::bad_request, "<remove/> stands alone"});
      }
      auto removing = call.host.remove_account(
          account, {xmpp::StreamCondition::not_authorized, "Account removed"});
      auto removed = co_await removing;
      if (!removed) co_return storage_failed(removed.error());
      co_return IqReply::ok();
    }
    const bool is_readable = take_form(query);
    const auto named = Jid::make(query.username.value_or(""), account.domain());
    if (!is_readable || !query.password || !named || !(*named == account)) {
      co_return IqReply::error(
          {StanzaCondition::bad_request, "your own username and a new password are needed"});
    }
    auto password = xmpp::sasl::prepare_password(query.password->reveal());
    if (!password) {
      co_return IqReply::error({StanzaCondition::not_acceptable, "This password is not possible"});
    }
    const Change change(changing_, call.request.from().str());
    if (!change.is_only_one) {
      co_return IqReply::error(
          {StanzaCondition::resource_constraint, "The last change is still under way"});
    }
    auto deriving = derive(*password, call.host.scram_iterations());
    auto keys = co_await deriving;
    if (keys.empty()) co_return IqReply::error(StanzaCondition::resource_constraint);
    // Whoever got in with the old password goes, and may come back with the new one.
    auto storing = call.host.change_password(account, std::move(keys),
                                             {xmpp::StreamCondition::reset, "Password changed"},
                                             call.request.from());
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
  Option<std::string> reserved_{
      *this,
      "reserved",
      "abuse admin administrator hostmaster mailer-daemon no-reply noreply operator postmaster "
      "root "
      "security support system webmaster",
      {},
      "Names that clients cannot register, with spaces or commas between them."};
  Option<std::int64_t> per_address_{
      *this, "per_address", 10,
      0,     1'000'000,     "Registrations of a remote address in an hour; 0 = no limit."};
  // The full JIDs whose change of password is under way: one each, since each costs a derivation.
  // They are all of this worker, which owns their accounts.
  std::set<std::string, std::less<>> changing_;
  Scope* scope_ = nullptr;
};
XMPPD_MODULE(Registration, {.name = "register",
                            .xep = "0077",
                            .summary = "Registration, change of password, cancellation"});

}  // namespace xmppd::mod::register_
