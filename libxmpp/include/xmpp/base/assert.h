// Assertions. XMPP_ASSERT is on in every build: a broken invariant aborts the process (the
// supervisor restarts it) instead of corrupting data. XMPP_DCHECK is for checks too costly for
// release builds.
//
// Thread-safety: any thread.
#pragma once

namespace xmpp {

// Prints the failed condition to stderr and aborts.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace xmpp

#define XMPP_ASSERT(condition)                       \
  (__builtin_expect(static_cast<bool>(condition), 1) \
       ? static_cast<void>(0)                        \
       : ::xmpp::assertion_failed(#condition, __FILE__, __LINE__))

#ifdef NDEBUG
#define XMPP_DCHECK(condition) static_cast<void>(0)
#else
#define XMPP_DCHECK(condition) XMPP_ASSERT(condition)
#endif
