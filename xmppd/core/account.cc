#include "xmppd/account.h"

#include "core/activation.h"
#include "core/backstop.h"
#include "core/profile_runtime.h"
#include "core/strands.h"
#include "core/worker.h"
#include "xmppd/session.h"

namespace xmppd {

Account::Account(Host& host, xmpp::Jid jid) : host_(host), jid_(std::move(jid)) {}

Account::~Account() = default;

Session* Account::find_session(std::string_view resource) const noexcept {
  for (Session* session : sessions_) {
    if (session->jid().resource() == resource) return session;
  }
  return nullptr;
}

bool Account::is_active() const noexcept {
  if (is_outdated_ && sessions_.empty()) return false;
  return loaded_epoch_ == host_.profile_.account_epoch();
}

xmpp::Task<void> Account::run(xmpp::Task<void> task) {
  try {
    co_await std::move(task);
  } catch (...) {
    note_exception({.component = "account"}, "exception in a task");
  }
  host_.worker_.drop_later(jid_);
}

Ticket Account::hold(const xmpp::Stanza& stanza) {
  return host_.worker_.tickets().hold(stanza);
}

OrderHold Account::hold_order(const xmpp::Stanza& stanza) {
  return host_.worker_.strands().hold(*this, stanza.from());
}

void Account::send(xmpp::Stanza stanza) {
  if (!stanza.from()) stanza.envelope().from = jid_;
  host_.worker_.router().send_from(*this, nullptr, std::move(stanza));
}

}  // namespace xmppd
