// IqTable: the iq handlers of one (profile, worker).
//
// Thread-safety: its worker only.
#pragma once

#include <cstdint>
#include <list>
#include <string_view>

#include "xmpp/xml/atoms.h"
#include "xmppd/module.h"

namespace xmppd {

class IqTable {
 public:
  struct Entry {
    detail::IqHandler handler;
    Scope* scope;  // whose tasks run an answer that comes later
    std::uint64_t id;
  };

  std::uint64_t add(detail::IqHandler handler, Scope* scope);
  void remove(std::uint64_t id) noexcept;
  // The handler for a request's payload at a target; nullptr if nobody answers.
  [[nodiscard]] Entry* find(const xmpp::Stanza& request, Target target) noexcept;

  template <typename F>
  void for_each(F&& visit) const {
    for (const Entry& entry : entries_) visit(entry);
  }

 private:
  std::list<Entry> entries_;  // stable addresses: a pending answer may outlive other registrations
  std::uint64_t next_id_ = 1;
};

}  // namespace xmppd
