#include "core/backstop.h"

#include <atomic>
#include <exception>

namespace xmppd {
namespace {
std::atomic<std::uint64_t> exceptions{0};
}  // namespace

void note_exception(const xmpp::log::Context& context, const char* where) noexcept {
  exceptions.fetch_add(1, std::memory_order_relaxed);
  try {
    throw;
  } catch (const std::exception& error) {
    xmpp::log::error(context, where, {xmpp::log::kv("what", error.what())});
  } catch (...) {
    xmpp::log::error(context, where, {xmpp::log::kv("what", "of an unknown type")});
  }
}

void note_task_exception(const std::exception_ptr& thrown) noexcept {
  try {
    std::rethrow_exception(thrown);
  } catch (...) {
    note_exception({.component = "task"}, "exception in a task");
  }
}

std::uint64_t exception_count() noexcept {
  return exceptions.load(std::memory_order_relaxed);
}

}  // namespace xmppd
