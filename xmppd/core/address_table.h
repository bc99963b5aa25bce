// AddressTable: how many connections each remote address has (IPv4 /32, IPv6 /64); the only mutable
// table that workers share: a fixed number of atomic counters, no locks. Two addresses that fall on
// the same counter share its limit, which is rare by its size and errs on the safe side.
//
// Thread-safety: any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

namespace xmppd {

class AddressTable {
 public:
  using Key = std::uint32_t;
  // "192.0.2.1:5222", "[2001:db8::1]:5222"; anything else counts as one address.
  [[nodiscard]] static Key key_of(std::string_view peer_address) noexcept;

  // Counts a connection unless the address has `limit` already (0: no limit).
  [[nodiscard]] bool try_add(Key key, std::size_t limit) noexcept;
  void remove(Key key) noexcept;

 private:
  static constexpr std::size_t kCounters = 65'536;
  std::unique_ptr<std::array<std::atomic<std::uint32_t>, kCounters>> counters_ =
      std::make_unique<std::array<std::atomic<std::uint32_t>, kCounters>>();
};

}  // namespace xmppd
