// KeyGenerations: tells a login that takes its time whether passwords have changed since it looked
// up the keys that it proves.
//
// A fixed number of counters that accounts share, so that it costs a login two loads and no memory
// of its own: a count that has moved on may be another account's, and is a reason to look up the
// keys again, not to refuse.
//
// Thread-safety: any thread. Invariant: whoever reads the old keys has seen a count from before
// raise(), which follows the commit of the new ones.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "xmpp/core/jid.h"

namespace xmppd {

class KeyGenerations {
 public:
  // To be asked before the keys are read.
  [[nodiscard]] std::uint32_t of(const xmpp::Jid& account) const noexcept {
    return counts_[place_of(account)].load(std::memory_order_acquire);
  }
  // The account's keys were replaced or removed, and that is committed.
  void raise(const xmpp::Jid& account) noexcept {
    counts_[place_of(account)].fetch_add(1, std::memory_order_acq_rel);
  }

 private:
  static constexpr std::size_t kCounts = 4096;
  [[nodiscard]] static std::size_t place_of(const xmpp::Jid& account) noexcept {
    return static_cast<std::size_t>(account.bare_hash() % kCounts);
  }
  std::array<std::atomic<std::uint32_t>, kCounts> counts_{};
};

}  // namespace xmppd
