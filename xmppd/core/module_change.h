// What one worker is told to do to the modules of a profile while it runs: instances to take away
// and instances to make. A module in both lists is replaced.
//
// On each worker, at a turn boundary (ProfileRuntime::change): requests for modules that are
// replaced are held until their tasks have ended, or kIdleWait has passed; new instances are made
// and attached beside the old ones, so that a failure changes nothing; state goes from old to new;
// the old ones' registrations are undone, so no stanza meets none or both; the old ones hand on
// what waits in them (Module::retire); their tasks and callbacks have kRetireWait to end and are
// destroyed then, unanswered requests being answered; at last slots, Scope and instance go.
// Libraries stay mapped.
//
// Thread-safety: values; a factory may be used on any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/config.h"
#include "xmppd/module.h"

namespace xmppd {

inline constexpr auto kIdleWait = std::chrono::seconds(2);
inline constexpr auto kRetireWait = std::chrono::seconds(5);
// Requests of one profile and worker that may wait for a module to be replaced.
inline constexpr std::size_t kHeldRequestsMax = 1000;

struct ModuleChange {
  std::vector<std::string> stop;  // names, dependants first
  // Requirements first.
  std::vector<const ModuleFactory*> start;
  std::shared_ptr<const ProfileConfig> config;  // for the options of what starts
};

// Makes an instance with the options that the profile's configuration gives it. Throws
// std::runtime_error naming the module if its constructor throws.
[[nodiscard]] std::unique_ptr<Module> make_configured(const ModuleFactory& factory,
                                                      const ProfileConfig& profile,
                                                      std::string_view profile_name,
                                                      std::vector<ConfigError>& errors);
// The same, but what is wrong with an option is thrown too.
[[nodiscard]] std::unique_ptr<Module> make_configured_or_throw(const ModuleFactory& factory,
                                                               const ProfileConfig& profile,
                                                               std::string_view profile_name);

// Runs something of a module's own; whatever it throws becomes a std::runtime_error that names the
// module.
template <typename F>
auto guarded(std::string_view module, std::string_view what, F&& run) {
  const auto text = [&] {
    return "module '" + std::string(module) + "' " + std::string(what) + ": ";
  };
  try {
    return run();
  } catch (const std::exception& error) {
    throw std::runtime_error(text() + error.what());
  } catch (...) {
    throw std::runtime_error(text() + "an exception of an unknown type");
  }
}

}  // namespace xmppd
