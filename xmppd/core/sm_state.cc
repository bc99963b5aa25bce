#include "core/sm_state.h"

#include <algorithm>

namespace xmppd {

void SmState::confirm() noexcept {
  if (probes.empty() && !has_visited) window.confirm(window.received());
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

}  // namespace xmppd
