// TaskBag: the tasks of one object (an account, a session), by the module that spawned them. They
// die with the object or with the module, whichever goes first; a module that is unloaded is given
// time to end them.
//
// Thread-safety: the owner's worker. Invariant: no task runs after its object or its module.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "xmpp/base/task.h"
#include "xmppd/export.h"

namespace xmppd {

class Scope;

class XMPPD_API TaskBag {
 public:
  TaskBag() = default;
  ~TaskBag() { cancel_all(); }
  TaskBag(const TaskBag&) = delete;
  TaskBag& operator=(const TaskBag&) = delete;
  // Starts the task; a module that has been retired starts nothing any more.
  void spawn(Scope& scope, xmpp::Task<void> task);
  // Destroys all tasks at their suspension points.
  void cancel_all() noexcept;
  // Destroys the module's tasks at their suspension points. Were there any?
  bool cancel(const Scope& scope) noexcept;
  [[nodiscard]] std::size_t size() const noexcept;

 private:
  std::vector<std::pair<const Scope*, std::unique_ptr<xmpp::TaskOwner>>> owners_;
};

}  // namespace xmppd
