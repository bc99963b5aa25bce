// Console: what an operator tells the server of a simulation, by the functions that the control
// socket calls; one command at a time, in a loop of its own.
//
// Thread-safety: one thread. Not with faults: a command that is under way knows the server.
#pragma once

#include <functional>
#include <string>

#include "core/commands.h"
#include "sim/sim_part.h"
#include "xmpp/base/task.h"

namespace sim {

class Console {
 public:
  using Done = std::function<void(const xmppd::CommandResult&)>;

  Console(const Stage& stage, std::uint64_t seed);

  [[nodiscard]] bool is_busy() const noexcept { return is_busy_; }
  // "host.add". REQUIRES: !is_busy().
  void run(std::string command, xmppd::CommandArguments arguments, Done done);
  // The code that is known, with the options that count now.
  void reload_module(const std::string& profile, const std::string& name, Done done);

 private:
  void start(const std::string& what, xmpp::Task<xmppd::CommandResult> task, Done done);
  xmpp::Task<void> finish(std::string what, xmpp::Task<xmppd::CommandResult> task, Done done);

  Stage stage_;
  xmpp::SeededRng rng_;
  xmppd::CommandContext context_;
  bool is_busy_ = false;
  xmpp::TaskOwner owner_;
};

}  // namespace sim
