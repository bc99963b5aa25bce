#include "core/address_table.h"

#include <arpa/inet.h>

#include <string>

#include "xmpp/base/hash.h"

namespace xmppd {

AddressTable::Key AddressTable::key_of(std::string_view peer) noexcept {
  std::string_view significant = peer;
  in6_addr address6{};
  if (!peer.empty() && peer.front() == '[') {
    auto end = peer.find(']');
    std::string text(peer.substr(1, end == std::string_view::npos ? end : end - 1));
    if (auto zone = text.find('%'); zone != std::string::npos) text.resize(zone);
    if (inet_pton(AF_INET6, text.c_str(), &address6) == 1) {
      // A /64 is one customer.
      significant = {reinterpret_cast<const char*>(address6.s6_addr), 8};
    }
  } else if (auto colon = peer.rfind(':'); colon != std::string_view::npos) {
    significant = peer.substr(0, colon);
  }
  return static_cast<Key>(xmpp::siphash64(xmpp::process_hash_key(), significant) % kCounters);
}

bool AddressTable::try_add(Key key, std::size_t limit) noexcept {
  auto& counter = (*counters_)[key];
  auto before = counter.fetch_add(1, std::memory_order_relaxed);
  if (limit == 0 || before < limit) return true;
  counter.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

void AddressTable::remove(Key key) noexcept {
  (*counters_)[key].fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace xmppd
