#include "xmppd/task_bag.h"

#include <algorithm>

#include "xmppd/module.h"

namespace xmppd {

void TaskBag::spawn(Scope& scope, xmpp::Task<void> task) {
  auto found = std::find_if(owners_.begin(), owners_.end(),
                            [&](const auto& row) { return row.first == &scope; });
  if (found == owners_.end()) {
    // Owners without tasks are of modules that have done here, or have gone.
    std::erase_if(owners_, [](const auto& row) { return row.second->size() == 0; });
    owners_.emplace_back(&scope, std::make_unique<xmpp::TaskOwner>());
    found = std::prev(owners_.end());
  }
  xmpp::TaskOwner& owner = *found->second;  // the row may move while the task runs
  scope.spawn_into(owner, std::move(task));
}

void TaskBag::cancel_all() noexcept {
  while (!owners_.empty()) {
    const auto owner = std::move(owners_.back().second);
    owners_.pop_back();
    owner->cancel_all();
  }
}

bool TaskBag::cancel(const Scope& scope) noexcept {
  auto found = std::find_if(owners_.begin(), owners_.end(),
                            [&](const auto& row) { return row.first == &scope; });
  if (found == owners_.end()) return false;
  // Out of the list first: what the frames destroy may spawn.
  const auto owner = std::move(found->second);
  owners_.erase(found);
  const bool had_tasks = owner->size() != 0;
  owner->cancel_all();
  return had_tasks;
}

std::size_t TaskBag::size() const noexcept {
  std::size_t sum = 0;
  for (const auto& [scope, owner] : owners_) sum += owner->size();
  return sum;
}

}  // namespace xmppd
