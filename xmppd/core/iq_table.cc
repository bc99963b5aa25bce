#include "core/iq_table.h"

namespace xmppd {

std::uint64_t IqTable::add(detail::IqHandler handler, Scope* scope) {
  entries_.push_back({std::move(handler), scope, next_id_});
  return next_id_++;
}

void IqTable::remove(std::uint64_t id) noexcept {
  entries_.remove_if([id](const Entry& entry) { return entry.id == id; });
}

IqTable::Entry* IqTable::find(const xmpp::Stanza& request, Target target) noexcept {
  auto kind = request.type() == xmpp::StanzaType::set ? IqKind::set : IqKind::get;
  for (Entry& entry : entries_) {
    if (!has(entry.handler.targets, target)) continue;
    if ((static_cast<unsigned>(entry.handler.kind) & static_cast<unsigned>(kind)) == 0) continue;
    if (request.has(entry.handler.payload)) return &entry;
  }
  return nullptr;
}

}  // namespace xmppd
