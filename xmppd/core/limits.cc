// See core/limits.h.
#include "core/limits.h"

#include <array>

namespace xmppd {
namespace {

using Unit = LimitInfo::Unit;

#define XMPPD_LIMIT_COUNT(name, value, min, max, help) \
  LimitInfo{#name, Unit::count, value, min, max, help, &Limits::name, nullptr},
#define XMPPD_LIMIT_BYTES(name, value, min, max, help) \
  LimitInfo{#name, Unit::bytes, value, min, max, help, &Limits::name, nullptr},
#define XMPPD_LIMIT_TIME(name, value, min, max, help) \
  LimitInfo{#name, Unit::time, value, min, max, help, nullptr, &Limits::name},
constexpr std::array kTable = {
    XMPPD_LIMITS(XMPPD_LIMIT_COUNT, XMPPD_LIMIT_BYTES, XMPPD_LIMIT_TIME)};
#undef XMPPD_LIMIT_COUNT
#undef XMPPD_LIMIT_BYTES
#undef XMPPD_LIMIT_TIME

constexpr bool defaults_are_in_bounds() {
  for (const LimitInfo& row : kTable) {
    if (row.default_value < row.min || row.default_value > row.max) return false;
  }
  return true;
}
static_assert(defaults_are_in_bounds());

}  // namespace

std::span<const LimitInfo> limit_table() noexcept {
  return kTable;
}

}  // namespace xmppd
