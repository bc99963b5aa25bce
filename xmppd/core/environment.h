// Environment: everything that differs between the real server and the simulator. The rest of core/
// does not know which of the two it runs in.
//
// Thread-safety: used while the server is constructed, by one thread.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "xmpp/base/random.h"
#include "xmpp/base/time.h"
#include "xmpp/net/poller.h"
#include "xmppd/export.h"

namespace xmppd {

class XMPPD_API Environment {
 public:
  Environment() = default;
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  virtual ~Environment() = default;

  [[nodiscard]] virtual xmpp::Clock& clock() = 0;
  [[nodiscard]] virtual std::unique_ptr<xmpp::net::Poller> make_poller() = 0;
  [[nodiscard]] virtual std::unique_ptr<xmpp::Rng> make_rng() = 0;
  // False: nobody starts a thread or opens a socket; the simulator calls turn() and run_one()
  // itself.
  [[nodiscard]] virtual bool has_threads() const = 0;
  // SQLite VFS; empty for the default.
  [[nodiscard]] virtual std::string storage_vfs() const { return {}; }
};

// Epoll, the system's clocks, getrandom, threads.
[[nodiscard]] XMPPD_API std::unique_ptr<Environment> make_system_environment();

}  // namespace xmppd
