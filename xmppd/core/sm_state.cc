#include "core/sm_state.h"

#include <algorithm>

namespace xmppd {

void SmState::confirm() noexcept {
  if (probes.empty() && !has_visited) window.confirm(window.received());
  save_count();
}

void SmState::note_through(xmpp::sm::Count number) noexcept {
  auto probe = std::find_if(probes.begin(), probes.end(),
                            [number](const Probe& one) { return one.number == number; });
  if (probe == probes.end()) return;
  --probe->missing;
  while (!probes.empty() && probes.front().missing == 0) {
    window.confirm(probes.front().number);
    answers_due += probes.front().requests;
    probes.erase(probes.begin());
  }
  confirm();
}

bool SmState::reconcile(xmpp::sm::Count handled) {
  if (!restored) return false;
  const auto stored = static_cast<xmpp::sm::Count>(*restored);
  restored.reset();
  const auto gone = handled - queue.acknowledged();
  if (gone <= stored || gone > INT32_MAX) return false;
  (void)queue.acknowledge(queue.acknowledged() + stored);
  queue.start_at(handled);
  return true;
}

}  // namespace xmppd
