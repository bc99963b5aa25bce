// ModuleManager: finds modules in shared libraries (Poco::ClassLoader, manifest named after the
// ABI), checks them, and attaches one instance per (profile, worker).
//
// Thread-safety: start-up only, one thread, before the workers run. list() any thread afterwards.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"
#include "xmppd/export.h"
#include "xmppd/module.h"

namespace xmppd {

class ProfileRuntime;
class Server;
class Worker;

class XMPPD_API ModuleManager {
 public:
  // `directory`: where mod_*.so are; ignored if modules are linked in.
  explicit ModuleManager(std::filesystem::path directory);
  ~ModuleManager();
  ModuleManager(const ModuleManager&) = delete;
  ModuleManager& operator=(const ModuleManager&) = delete;

  // The names of all modules that are installed, sorted.
  [[nodiscard]] std::vector<std::string> installed() const;
  // Which modules a profile selects, in the order in which they are attached (requirements first).
  // Throws std::runtime_error for a module that is unknown or cannot be loaded.
  [[nodiscard]] std::vector<std::string> resolve(const ProfileConfig& profile);
  // Checks [profile.X.module.Y] tables against the declared options.
  [[nodiscard]] std::vector<ConfigError> check(const Config& config);
  // Makes and attaches the instances of one worker. Throws std::runtime_error naming the module and
  // the cause.
  void attach_all(Worker& worker, const Config& config);

  // One profile's configured modules for one worker, to be attached there: the thread of the worker
  // is no place to load libraries. Throws like attach_all().
  struct Prepared {
    ModuleInfo info;
    std::unique_ptr<Module> module;
  };
  [[nodiscard]] std::vector<Prepared> prepare(const std::string& profile_name,
                                              const ProfileConfig& profile);
  // Attaches them. On the worker's thread. Throws std::runtime_error naming the module at fault.
  static void attach(ProfileRuntime& runtime, std::vector<Prepared> prepared);

  struct Listed {
    std::string name;
    std::string xep;
    std::string summary;
    std::vector<std::string> profiles;
    bool is_loaded = false;
  };
  // Everything installed; a library that cannot be loaded has its error as summary.
  [[nodiscard]] std::vector<Listed> list(const Config& config);
  // The declared options of a module. Throws std::runtime_error if there is no such module.
  [[nodiscard]] std::vector<OptionInfo> options(const std::string& name);

 private:
  struct Libraries;
  const ModuleFactory& factory(const std::string& name);
  std::unique_ptr<Module> make_configured(const std::string& name, const ProfileConfig& profile,
                                          std::string_view profile_name,
                                          std::vector<ConfigError>& errors);
  // Does every name that the profile selects belong to a module?
  bool check_names(const ProfileConfig& profile, const std::string& key,
                   std::vector<ConfigError>& errors) const;
  // What a profile runs, or would run; empty if it cannot.
  [[nodiscard]] std::vector<std::string> names_of(const std::string& profile_name,
                                                  const ProfileConfig& profile);
  std::filesystem::path directory_;
  Libraries* libraries_;  // shared by all managers
  std::map<std::string, const ModuleFactory*> factories_;
  std::map<std::string, std::vector<std::string>> attached_;  // by profile
};

// The modules of a profile that names none.
[[nodiscard]] const std::vector<std::string_view>& recommended_modules() noexcept;

}  // namespace xmppd
