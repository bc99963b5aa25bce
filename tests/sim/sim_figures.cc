#include "sim/sim_figures.h"

#include <algorithm>

#include "core/activation.h"
#include "core/sm_state.h"
#include "core/strands.h"

namespace xmppd {

Figures::OfLink Figures::of(Link& link) {
  const SmState* sm = link.session_ != nullptr ? link.session_->sm_.get() : nullptr;
  std::optional<xmpp::Duration> owes_ack_by;
  if (sm != nullptr && !sm->queue.is_empty() &&
      sm->terms.answer_timeout != xmpp::Duration::zero()) {
    owes_ack_by = sm->terms.request_delay + sm->terms.answer_timeout;
  }
  return {.channel = static_cast<const sim::SimChannel*>(link.channel_.get()),
          .address = link.address_key_,
          .unsent = link.unsent_bytes(),
          .replay = link.replay_bytes_,
          .is_authenticated = link.stream_.is_authenticated(),
          .is_bound = link.session_ != nullptr,
          .is_over = !link.can_send(),
          .is_paused = link.is_paused() || link.has_held_,
          .owes_ack_by = owes_ack_by};
}

Figures::OfAccount Figures::of(Account& account) {
  OfAccount figures;
  figures.sessions = account.sessions_.size();
  for (const auto& session : account.detached_) {
    if (session->sm_->restored) continue;
    ++figures.detached;
    figures.detached_max = session->sm_->terms.detached_max;
  }
  for (const Session* session : account.sessions_) {
    const SmState* sm = session->sm_.get();
    if (sm == nullptr) continue;
    figures.unacknowledged = std::max(figures.unacknowledged, sm->queue.size());
    figures.unacknowledged_bytes = std::max(figures.unacknowledged_bytes, sm->queue.bytes());
    if (sm->queue.size() > sm->terms.stanzas_max || sm->queue.bytes() > sm->terms.bytes_max) {
      figures.has_full_queue = true;
    }
  }
  if (account.activation_) {
    const auto& waiting = account.activation_->waiting;
    figures.loading = static_cast<std::size_t>(std::count_if(
        waiting.begin(), waiting.end(), [](const auto& one) { return !one.is_sent; }));
  }
  if (account.strands_) {
    for (const auto& [sender, strand] : *account.strands_) {
      figures.strand = std::max(figures.strand, strand.waiting.size());
    }
  }
  figures.is_idle = account.is_idle();
  figures.is_active = account.is_active();
  return figures;
}

}  // namespace xmppd
