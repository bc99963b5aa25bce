#include "core/hook_table.h"

#include <algorithm>
#include <tuple>
#include <type_traits>
#include <utility>

#include "core/backstop.h"
#include "xmpp/base/assert.h"
#include "xmpp/base/log.h"

namespace xmppd {
namespace {

// After an exception: the sender of a stanza learns that it went wrong, since what the module
// should have done with it is not known. Other hooks go on.
template <typename Hook>
Verdict verdict_after_exception(void* data) {
  if constexpr (std::is_base_of_v<StanzaHook, Hook>) {
    return static_cast<Hook*>(data)->bounce(xmpp::StanzaCondition::internal_server_error);
  } else {
    return Verdict::pass;
  }
}

constexpr Verdict (*kAfterException[])(void*) = {
#define XMPPD_AFTER_EXCEPTION(name) &verdict_after_exception<name>,
    XMPPD_FOR_EACH_HOOK(XMPPD_AFTER_EXCEPTION)
#undef XMPPD_AFTER_EXCEPTION
};

}  // namespace

HookTable::HookTable() {
  for (auto& chain : chains_) chain = std::make_unique<Chain>();
}

HookTable::~HookTable() {
  end_of_dispatches();
}

std::uint64_t HookTable::add(HookId hook, Stage stage, std::string_view module, Run run,
                             void* context) {
  auto& chain = writable(hook);
  Entry entry{stage, std::string(module), run, context, next_id_++};
  auto position =
      std::upper_bound(chain.begin(), chain.end(), entry, [](const Entry& a, const Entry& b) {
        return std::tie(a.stage, a.module) < std::tie(b.stage, b.module);
      });
  auto id = entry.id;
  chain.insert(position, std::move(entry));
  return id;
}

void HookTable::remove(HookId hook, std::uint64_t id) noexcept {
  std::erase_if(writable(hook), [id](const Entry& entry) { return entry.id == id; });
}

void HookTable::release(void* context, void (*destroy)(void*)) noexcept {
  if (depth_ == 0) {
    destroy(context);
  } else {
    released_.push_back({context, destroy});
  }
}

HookTable::Chain& HookTable::writable(HookId hook) {
  auto& chain = chains_[static_cast<std::size_t>(hook)];
  if (depth_ != 0) {
    auto copy = std::make_unique<Chain>(*chain);
    replaced_.push_back(std::exchange(chain, std::move(copy)));
  }
  return *chain;
}

void HookTable::end_of_dispatches() noexcept {
  replaced_.clear();
  for (const auto& [context, destroy] : std::exchange(released_, {})) destroy(context);
}

Verdict HookTable::run_chain(HookId hook, void* data, Stage from) {
  ++depth_;
  auto verdict = Verdict::pass;
  for (const Entry& entry : *chains_[static_cast<std::size_t>(hook)]) {
    if (entry.stage < from) continue;
    try {
      verdict = entry.run(entry.context, data);
    } catch (...) {
      ++exceptions_;
      note_exception({.component = entry.module}, "exception in a hook");
      verdict = kAfterException[static_cast<std::size_t>(hook)](data);
    }
    if (verdict != Verdict::pass) break;
  }
  if (--depth_ == 0 && (!replaced_.empty() || !released_.empty())) end_of_dispatches();
  return verdict;
}

}  // namespace xmppd
