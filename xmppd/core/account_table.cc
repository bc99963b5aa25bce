#include "core/account_table.h"

namespace xmppd {
namespace {
constexpr std::size_t kAbsentMax = 4096;
constexpr xmpp::Duration kAbsentFor = std::chrono::seconds(5);
}  // namespace

Account* AccountTable::find(const xmpp::Jid& jid) noexcept {
  auto found = accounts_.find(jid);
  return found == accounts_.end() ? nullptr : found->second.get();
}

Account& AccountTable::get_or_make(const xmpp::Jid& jid, Host& host) {
  auto bare = jid.bare();
  auto& place = accounts_[bare];
  if (!place) place = std::make_unique<Account>(host, bare);
  return *place;
}

void AccountTable::drop_if_idle(Account& account) noexcept {
  if (!account.is_idle()) return;
  if (account.loaded_epoch_ == 0 || account.is_outdated_) {
    erase(account.jid());
    return;
  }
  if (idle_.is_linked(account)) {
    idle_.unlink(account);
  } else {
    ++cached_;
  }
  idle_.push_back(account);
}

void AccountTable::trim(std::size_t cached_max) noexcept {
  while (cached_ > cached_max) {
    Account* oldest = idle_.pop_front();
    --cached_;
    if (oldest->is_idle()) erase(oldest->jid());
  }
}

std::size_t AccountTable::count_used() const noexcept {
  std::size_t used = 0;
  for (const auto& [jid, account] : accounts_) used += account->is_idle() ? 0 : 1;
  return used;
}

void AccountTable::erase(const xmpp::Jid& jid) noexcept {
  auto found = accounts_.find(jid);
  if (found == accounts_.end()) return;
  // Out of the table first: the account's destructor may look at the table.
  auto dying = std::move(found->second);
  if (idle_.is_linked(*dying)) --cached_;
  accounts_.erase(found);
}

void AccountTable::note_absent(const xmpp::Jid& jid, xmpp::Instant now) {
  if (absent_.size() >= kAbsentMax) absent_.clear();
  absent_[jid.bare()] = now + kAbsentFor;
}

bool AccountTable::is_known_absent(const xmpp::Jid& jid, xmpp::Instant now) noexcept {
  auto found = absent_.find(jid);
  if (found == absent_.end()) return false;
  if (found->second > now) return true;
  absent_.erase(found);
  return false;
}

void AccountTable::forget_absent(const xmpp::Jid& jid) noexcept {
  absent_.erase(jid);
}

}  // namespace xmppd
