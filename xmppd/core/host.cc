#include "xmppd/host.h"

#include <algorithm>

#include "core/profile_runtime.h"
#include "core/worker.h"

namespace xmppd {

Host::Host(Worker& worker, ProfileRuntime& profile, xmpp::Jid jid, std::vector<xmpp::Jid> admins)
    : worker_(worker), profile_(profile), jid_(std::move(jid)), admins_(std::move(admins)) {}

Host::~Host() = default;

bool Host::is_admin(const xmpp::Jid& jid) const noexcept {
  return std::any_of(admins_.begin(), admins_.end(),
                     [&](const xmpp::Jid& admin) { return admin.bare_equals(jid); });
}

const std::vector<std::string>& Host::features() const noexcept { return profile_.features(); }

const std::vector<Identity>& Host::identities() const noexcept { return profile_.identities(); }

void Host::send(xmpp::Stanza stanza) { worker_.router().route(std::move(stanza)); }

}  // namespace xmppd
