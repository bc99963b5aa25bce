#include "xmppd/session.h"

#include "core/link.h"
#include "core/profile_runtime.h"
#include "core/worker.h"

namespace xmppd {

using xmpp::Stanza;

Session::Session(Account& account, xmpp::Jid full_jid, Link& link)
    : account_(account), jid_(std::move(full_jid)), link_(&link) {}

Session::~Session() = default;

ConnectionInfo Session::connection() const {
  return link_->connection();
}

bool Session::is_ending() const noexcept {
  return link_ != nullptr && link_->is_closing();
}

void Session::receive(Stanza stanza) {
  if (!account_.is_active()) {
    account_.host_.worker_.activator().hold_sent(*this, std::move(stanza));
    return;
  }
  auto& router = account_.host_.worker_.router();
  FromSession hook(stanza, *this);
  switch (account_.host_.profile_.hooks().fire(hook)) {
    case Verdict::pass:
      break;
    case Verdict::bounce:
      router.bounce(stanza, hook.error);
      return;
    case Verdict::handled:
    case Verdict::drop:
      return;
  }
  if (!stanza.to()) {
    if (stanza.is_presence()) return;
    // RFC 6120 10.3: handled on behalf of the sending account.
    stanza.envelope().to = account_.jid();
  }
  router.send_from(account_, this, std::move(stanza));
}

void Session::set_presence(Stanza presence, std::int8_t priority) {
  const bool is_initial = !is_available_;
  is_available_ = true;
  priority_ = priority;
  presence_ = std::move(presence);
  Available hook{*this, is_initial};
  (void)account_.host_.profile_.hooks().fire(hook);
}

void Session::set_unavailable(Stanza presence) {
  if (!is_available_) return;
  is_available_ = false;
  presence_ = std::move(presence);
  Unavailable hook{*this};
  (void)account_.host_.profile_.hooks().fire(hook);
}

void Session::deliver(Stanza stanza) {
  ToSession hook(stanza, *this);
  switch (account_.host_.profile_.hooks().fire(hook)) {
    case Verdict::pass:
      link_->send(stanza);
      break;
    case Verdict::bounce:
      account_.host_.worker_.router().bounce(stanza, hook.error);
      break;
    case Verdict::handled:
    case Verdict::drop:
      break;
  }
}

void Session::close(xmpp::StreamError error) {
  link_->fail(std::move(error));
}

}  // namespace xmppd
