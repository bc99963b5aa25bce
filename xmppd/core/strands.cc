#include "core/strands.h"

#include <utility>

#include "core/link.h"
#include "core/worker.h"
#include "xmppd/account.h"
#include "xmppd/session.h"

namespace xmppd {

using xmpp::Jid;
using xmpp::Stanza;

struct Strands::Hold {
  Hold(Strands& its, Jid at, Jid whose)
      : strands(its), account(std::move(at)), sender(std::move(whose)) {}
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;
  // Not from here: somebody may be in the middle of a hook.
  ~Hold() {
    strands.worker_.reactor().call(
        [&to = strands, at = account, by = sender] { to.drain(at, by, false); });
  }
  Strands& strands;
  const Jid account;
  const Jid sender;
};

SessionHold::~SessionHold() {
  if (!is_awaited) return;
  worker.reactor().call([&on = worker, jid = session] {
    Account* account = on.accounts().find(jid);
    Session* found = account == nullptr ? nullptr : account->find_session(jid.resource());
    if (found != nullptr && found->link_ != nullptr) found->link_->go_on();
  });
}

OrderHold Session::hold_order() {
  auto hold = hold_.lock();
  if (!hold) {
    Worker& worker = account_.host_.worker_;
    hold = std::make_shared<SessionHold>(worker, jid_);
    hold_ = hold;
    held_until_ = worker.reactor().now() + kOrderPatience;
  }
  return hold;
}

OrderHold Strands::hold(Account& account, const Jid& sender) {
  if (giving_up_ == &account || !sender) return {};
  if (!account.strands_) account.strands_ = std::make_unique<StrandMap>();
  Jid by = sender.bare();
  Strand& strand = (*account.strands_)[by];
  if (auto known = strand.hold.lock()) return known;
  auto made = std::make_shared<Hold>(*this, account.jid_, by);
  strand.hold = made;
  strand.patience.set_callback(
      [this, at = account.jid_, by = std::move(by)] { drain(at, by, true); });
  worker_.reactor().timers().set(strand.patience, worker_.reactor().now() + kOrderPatience);
  return made;
}

bool Strands::take(Account& account, Stanza& stanza) {
  auto found = account.strands_->find(stanza.from().bare());
  if (found == account.strands_->end()) return false;
  Strand& strand = found->second;
  Ticket ticket = worker_.tickets().hold(stanza);
  strand.waiting.push_back({std::move(stanza), std::move(ticket)});
  if (strand.waiting.size() > kStrandMax) {
    worker_.reactor().timers().set(strand.patience, worker_.reactor().now());
  }
  return true;
}

void Strands::take_waiting(Account& account, std::vector<Stanza>& taken) {
  if (!account.strands_) return;
  for (auto& [sender, strand] : *account.strands_) {
    for (auto& one : std::exchange(strand.waiting, {})) taken.push_back(std::move(one.stanza));
  }
}

// By value: the strand that they come from may end here.
void Strands::drain(Jid jid, Jid sender, bool is_overdue) {
  Account* account = worker_.accounts().find(jid);
  if (account == nullptr || !account->strands_) return;
  auto found = account->strands_->find(sender);
  if (found == account->strands_->end()) return;
  Strand& strand = found->second;
  giving_up_ = is_overdue ? account : nullptr;
  // What is sent meanwhile queues behind the rest.
  while ((is_overdue || strand.hold.expired()) && !strand.waiting.empty()) {
    Strand::Waiting one = std::move(strand.waiting.front());
    strand.waiting.pop_front();
    worker_.router().deliver_next(std::move(one.stanza), account->host_);
  }
  giving_up_ = nullptr;
  if (!is_overdue && !strand.hold.expired()) return;
  account->strands_->erase(found);
  if (account->strands_->empty()) account->strands_.reset();
  worker_.drop_later(jid);
}

}  // namespace xmppd
