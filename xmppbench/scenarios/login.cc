// login: without a duration everybody logs in once, which the shard does anyway. With a duration
// users log out and in again until it is over; the first round was the warm-up that filled the
// cache of SCRAM's salted passwords, so that the figures hold the server's work and not our PBKDF2.
#include "scenario.h"
#include "swarm.h"

namespace xmppbench {
namespace {

class LoginScenario final : public Scenario {
 public:
  explicit LoginScenario(Shard& shard) : shard_(shard) {}

  void begin(const Phases& phases) override {
    Scenario::begin(phases);
    for (User& user : shard_.users()) {
      if (user.state == User::State::online) {
        shard_.log_out(user);
      } else {
        shard_.log_in(user);
      }
    }
  }

  void on_online(User& user) override {
    const xmpp::Instant now = shard_.clock().now();
    if (phases().is_measured(user.login_at)) result_.logins.record(user.login_at, now);
    if (phases().is_measured(now)) ++result_.in_window;
    if (now < phases().measure_end) shard_.log_out(user);
  }

  void on_offline(User& user) override {
    if (user.login_failed && phases().is_measured(user.login_at)) ++result_.logins.failed;
    if (shard_.clock().now() < phases().measure_end) shard_.log_in(user);
  }

  [[nodiscard]] bool is_done(xmpp::Instant now) const override {
    return now >= phases().measure_end &&
           (shard_.logins_under_way() == 0 || now >= phases().drain_end);
  }

  [[nodiscard]] ScenarioResult result() const override { return result_; }

 private:
  Shard& shard_;
  ScenarioResult result_;
};

}  // namespace

std::unique_ptr<Scenario> make_login_scenario(Shard& shard) {
  return std::make_unique<LoginScenario>(shard);
}

}  // namespace xmppbench
