// The backstop for what modules throw (architecture, Errors 5): logged and counted, and the worker
// goes on. One counter for the process, since it is zero as long as the program is right.
//
// Thread-safety: any thread.
#pragma once

#include <cstdint>
#include <exception>

#include "xmpp/base/log.h"

namespace xmppd {

// Logs and counts the exception that is being handled. REQUIRES: called in a catch clause.
// `where`: a constant, e.g. "exception in a hook".
void note_exception(const xmpp::log::Context& context, const char* where) noexcept;
// The same for what a spawned task threw: for xmpp::on_task_exception().
void note_task_exception(const std::exception_ptr& thrown) noexcept;
// How many were noted so far; tests fail if it grows.
[[nodiscard]] std::uint64_t exception_count() noexcept;

}  // namespace xmppd
