// LoginThrottle: who guesses passwords has to wait. For each account and each address, how many
// wrong passwords were given lately; one is forgiven every `auth_failures_decay`. At the limit
// further attempts are refused unseen (temporary-auth-failure, RFC 6120 6.5.11), right passwords
// too.
//
// Accounts count by name, so that unknown ones cannot be told from known ones. Beside AddressTable
// the one mutable table that workers share: fixed tables of atomic times, no locks. Two keys that
// fall on the same place share its count, which is rare by its size and errs on the safe side.
//
// Thread-safety: any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "core/address_table.h"
#include "core/limits.h"
#include "xmpp/base/time.h"

namespace xmppd {

class LoginThrottle {
 public:
  struct Attempt {
    std::string_view username;
    std::string_view host;
    AddressTable::Key address = 0;
    bool is_loopback = false;  // addresses of this machine are not counted
  };
  // May the password be looked at?
  [[nodiscard]] bool is_open(const Attempt& attempt, const Limits& limits,
                             xmpp::Instant now) const noexcept;
  // It was wrong.
  void note_failure(const Attempt& attempt, const Limits& limits, xmpp::Instant now) noexcept;

 private:
  static constexpr std::size_t kPlaces = 16'384;
  // When all will be forgiven, in microseconds.
  using Table = std::array<std::atomic<std::int64_t>, kPlaces>;
  std::unique_ptr<Table> accounts_ = std::make_unique<Table>();
  std::unique_ptr<Table> addresses_ = std::make_unique<Table>();
};

}  // namespace xmppd
