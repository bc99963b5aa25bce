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

void Host::end_account(const xmpp::Jid& account, RosterRecord roster, xmpp::StreamError error) {
  auto& owner = worker_.server().worker(owner_of(account, worker_.server().worker_count()));
  owner.call([&owner, account, roster = std::move(roster), error = std::move(error)] {
    owner.end_account(account, roster, error);
  });
}

std::string_view server_version() noexcept {
  return XMPPD_VERSION;
}

void Host::send(xmpp::Stanza stanza) {
  worker_.router().route(std::move(stanza));
}

}  // namespace xmppd
