#include "xmppd/host.h"

#include <algorithm>

#include "core/ownership.h"
#include "core/profile_runtime.h"
#include "core/server.h"
#include "core/worker.h"
#include "xmppd/session.h"

namespace xmppd {

Host::Host(Worker& worker, ProfileRuntime& profile, xmpp::Jid jid, std::vector<xmpp::Jid> admins)
    : worker_(worker),
      profile_(profile),
      jid_(std::move(jid)),
      admins_(std::move(admins)),
      facts_(worker.server().facts_of(jid_.str())) {}

Host::~Host() = default;

bool Host::is_admin(const xmpp::Jid& jid) const noexcept {
  return std::any_of(admins_.begin(), admins_.end(),
                     [&](const xmpp::Jid& admin) { return admin.bare_equals(jid); });
}

bool Host::is_served() const noexcept {
  return worker_.find_host(name()) == this;
}

const std::vector<std::string>& Host::features() const noexcept {
  return profile_.features();
}

const std::vector<Identity>& Host::identities() const noexcept {
  return profile_.identities();
}

const std::vector<xmpp::form::Form>& Host::forms() const noexcept {
  return profile_.forms();
}

std::uint32_t Host::scram_iterations() const noexcept {
  return profile_.config().auth.scram_iterations;
}

void Host::end_sessions(const xmpp::Jid& account, xmpp::StreamError error, xmpp::Jid except) {
  auto& owner = worker_.server().worker(owner_of(account, worker_.server().worker_count()));
  owner.call([&owner, account, error = std::move(error), except = std::move(except)] {
    owner.end_links_of(account, error, except);
  });
}

xmpp::Completion<StorageResult<bool>> Host::remove_account(const xmpp::Jid& account,
                                                           xmpp::StreamError error) {
  xmpp::Completion<StorageResult<bool>> removal;
  auto& owner = worker_.server().worker(owner_of(account, worker_.server().worker_count()));
  auto done = [&owner, account, error = std::move(error),
               ticket = removal.ticket()](StorageResult<std::optional<RosterRecord>> removed) {
    if (!removed) return ticket.complete(xmpp::Err(removed.error()));
    const bool was_there = removed->has_value();
    owner.call([&owner, account, roster = std::move(*removed).value_or(RosterRecord()), error] {
      owner.end_account(account, roster, error);
    });
    ticket.complete(was_there);
  };
  worker_.server().storage().write_then(
      worker_.reactor(), account, std::move(done),
      [](Tx& tx, const xmpp::Jid& who) { return xmppd::remove_account(tx, who); }, account);
  return removal;
}

xmpp::Completion<StorageResult<bool>> Host::change_password(const xmpp::Jid& account,
                                                            std::vector<xmpp::sasl::ScramKeys> keys,
                                                            xmpp::StreamError error,
                                                            xmpp::Jid except) {
  xmpp::Completion<StorageResult<bool>> change;
  auto done = [this, account, error = std::move(error), except = std::move(except),
               ticket = change.ticket()](StorageResult<bool> stored) {
    if (stored && *stored) {
      worker_.server().key_generations().raise(account);
      end_sessions(account, error, except);
    }
    ticket.complete(std::move(stored));
  };
  worker_.server().storage().write_then(
      worker_.reactor(), account, std::move(done),
      [](Tx& tx, const xmpp::Jid& who, const std::vector<xmpp::sasl::ScramKeys>& fresh) {
        return tx.accounts().set_keys(who, fresh);
      },
      account, std::move(keys));
  return change;
}

std::string_view server_version() noexcept {
  return XMPPD_VERSION;
}

void Host::send(xmpp::Stanza stanza) {
  worker_.router().route(std::move(stanza));
}

}  // namespace xmppd
