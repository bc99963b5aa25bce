#include "core/hook_table.h"

#include <algorithm>
#include <exception>
#include <tuple>

#include "xmpp/base/assert.h"
#include "xmpp/base/log.h"

namespace xmppd {

std::uint64_t HookTable::add(HookId hook, Stage stage, std::string_view module, Run run,
                             void* context) {
  XMPP_ASSERT(depth_ == 0);
  auto& chain = chains_[static_cast<std::size_t>(hook)];
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
  XMPP_ASSERT(depth_ == 0);
  std::erase_if(chains_[static_cast<std::size_t>(hook)],
                [id](const Entry& entry) { return entry.id == id; });
}

Verdict HookTable::run_chain(HookId hook, void* data) {
  ++depth_;
  auto verdict = Verdict::pass;
  for (const Entry& entry : chains_[static_cast<std::size_t>(hook)]) {
    // The one backstop for exceptions out of modules (architecture, Errors 5).
    try {
      verdict = entry.run(entry.context, data);
    } catch (const std::exception& error) {
      ++exceptions_;
      xmpp::log::error({.component = entry.module}, "exception in a hook",
                       {xmpp::log::kv("what", error.what())});
      verdict = Verdict::pass;
    }
    if (verdict != Verdict::pass) break;
  }
  --depth_;
  return verdict;
}

}  // namespace xmppd
