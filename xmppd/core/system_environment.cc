#include "core/environment.h"

namespace xmppd {
namespace {

class SystemEnvironment final : public Environment {
 public:
  xmpp::Clock& clock() override { return clock_; }
  std::unique_ptr<xmpp::net::Poller> make_poller() override {
    return xmpp::net::make_epoll_poller();
  }
  std::unique_ptr<xmpp::Rng> make_rng() override { return std::make_unique<xmpp::OsRng>(); }
  bool has_threads() const override { return true; }

 private:
  xmpp::SystemClock clock_;
};

}  // namespace

std::unique_ptr<Environment> make_system_environment() {
  return std::make_unique<SystemEnvironment>();
}

}  // namespace xmppd
