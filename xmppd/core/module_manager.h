// ModuleManager: finds modules in shared libraries (Poco::ClassLoader, manifest named after the
// ABI), checks them, attaches one instance per (profile, worker), and changes them while the server
// runs.
//
// For other code of the control thread that changes what a profile runs (as a reload of the
// configuration does), one after the other, each a coroutine that ends when all workers have done
// it:
//
//   modules.configure("default", new_profile_config);         // options for what starts from now
//   on auto pending = modules.load(context, "default", "ping");  // or unload(), reload() auto
//   outcome = co_await pending;                          // Result<void, CommandError>
//   modules.reload(context, "default", "ping", ModuleManager::Code::same);  // new options only
//
// Thread-safety: at start one thread, before the workers run; then the control thread only.
// Invariant: libraries are never unmapped; a file that may change is loaded from a copy, and once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "core/config.h"
#include "core/module_change.h"
#include "xmpp/base/result.h"
#include "xmpp/base/task.h"
#include "xmppd/command.h"
#include "xmppd/export.h"
#include "xmppd/module.h"

namespace xmppd {

class ProfileRuntime;
class Worker;
struct CommandContext;

class XMPPD_API ModuleManager {
 public:
  // `directory`: where mod_*.so are; ignored if modules are linked in. `more`: directories that are
  // searched before it ([server] module_path).
  explicit ModuleManager(std::filesystem::path directory,
                         std::vector<std::filesystem::path> more = {});
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
  // is no place to load libraries. Throws like attach_all(). The profile runs these from now on.
  struct Prepared {
    ModuleInfo info;
    std::unique_ptr<Module> module;
  };
  [[nodiscard]] std::vector<Prepared> prepare(const std::string& profile_name,
                                              const ProfileConfig& profile);
  // Attaches them. On the worker's thread. Throws std::runtime_error naming the module at fault.
  static void attach(ProfileRuntime& runtime, std::vector<Prepared> prepared);
  // The profile is gone from all workers.
  void forget(const std::string& profile_name) { running_.erase(profile_name); }

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
  // The file that a module is loaded from; empty if there is none.
  [[nodiscard]] std::filesystem::path file_of(const std::string& name) const;
  // What a module says of itself. Throws std::runtime_error if it cannot be loaded.
  [[nodiscard]] ModuleInfo info(const std::string& name) { return factory(name).info(); }

  using Outcome = xmpp::Result<void, CommandError>;
  enum class Code : std::uint8_t { from_file, same };
  // While the workers run: see above. Where one fails, nothing has changed in the end.
  xmpp::Task<Outcome> load(CommandContext& context, std::string profile, std::string name);
  xmpp::Task<Outcome> unload(CommandContext& context, std::string profile, std::string name);
  // The file is read again, or the code that is known is used; instances are replaced with their
  // state, those of modules that require this one too.
  xmpp::Task<Outcome> reload(CommandContext& context, std::string profile, std::string name,
                             Code code = Code::from_file);
  // Sets the configuration that instances of a profile are made with from now on.
  void configure(const std::string& profile, ProfileConfig config);
  // What a profile runs now, requirements first; empty: nothing, or no such profile.
  [[nodiscard]] std::vector<std::string> running(const std::string& profile) const;
  // The profiles that run a module.
  [[nodiscard]] std::vector<std::string> profiles_of(const std::string& name) const;
  // Does the configuration select the module, so that a restart loads it?
  [[nodiscard]] bool is_configured(const std::string& profile, const std::string& name);

 private:
  struct Libraries;
  struct Attached {
    std::string name;
    const ModuleFactory* factory;
  };
  struct Running {
    std::vector<Attached> modules;  // requirements first
    std::shared_ptr<const ProfileConfig> config;
  };
  // A file as it was at some time; another one, or one that was written since, differs.
  struct FileId {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t size = -1;
    std::int64_t changed_at_ns = 0;
    friend bool operator==(const FileId&, const FileId&) = default;
  };
  [[nodiscard]] static FileId id_of(const std::filesystem::path& path) noexcept;
  // What came of a file. It is not loaded again before it changes: each copy stays mapped. One that
  // failed is tried again if an operator says so: the cause may have been elsewhere.
  struct Loaded {
    FileId id;
    const ModuleFactory* factory;
  };
  struct Failure {
    FileId id;
    std::string text;
  };
  // What is known already, or else is in the file.
  const ModuleFactory& factory(const std::string& name);
  // What a module's file holds now, beside what runs. Throws std::runtime_error with the cause.
  const ModuleFactory& renew(const std::string& name);
  const ModuleFactory& load_file(const std::string& name, const std::filesystem::path& path,
                                 bool as_copy);
  const ModuleFactory& open_library(const std::string& name, const std::filesystem::path& path);
  [[nodiscard]] std::runtime_error no_such_module(const std::string& name) const;
  // The modules that cannot be without `name`, directly or not, in the order of their start.
  [[nodiscard]] std::vector<Attached> dependants(const Running& running,
                                                 const std::string& name) const;
  // Are changes possible there now? Can an instance be made? Does the profile run it?
  [[nodiscard]] Outcome check_change(const std::string& profile) const;
  [[nodiscard]] Outcome check_start(const std::string& profile,
                                    const ModuleFactory& its_factory) const;
  [[nodiscard]] Outcome check_running(const std::string& profile, const std::string& name) const;
  [[nodiscard]] xmpp::Result<const ModuleFactory*, CommandError> find_code(const std::string& name,
                                                                           Code code);
  [[nodiscard]] static const ModuleFactory* factory_of(const Running& running,
                                                       const std::string& name);
  // Has every worker do it; those that did undo it if another one could not.
  xmpp::Task<Outcome> apply(CommandContext& context, std::string profile, ModuleChange change,
                            ModuleChange inverse);
  xmpp::Task<Outcome> change_workers(CommandContext& context, std::string profile,
                                     ModuleChange change, std::vector<std::size_t> workers,
                                     std::shared_ptr<std::vector<std::size_t>> changed);
  // Does every name that the profile selects belong to a module?
  bool check_names(const ProfileConfig& profile, const std::string& key,
                   std::vector<ConfigError>& errors) const;
  // What a profile runs, or would run; empty if it cannot.
  [[nodiscard]] std::vector<std::string> names_of(const std::string& profile_name,
                                                  const ProfileConfig& profile);
  std::vector<std::filesystem::path> directories_;
  Libraries* libraries_;  // shared by all managers
  std::map<std::string, const ModuleFactory*> factories_;
  std::map<std::string, Loaded> loaded_;  // the last of each name
  std::map<std::string, Failure> failures_;
  std::map<std::string, Running, std::less<>> running_;  // by profile
  std::size_t unanswered_ = 0;                           // changes that a worker is still at
};

// The modules of a profile that names none.
[[nodiscard]] const std::vector<std::string_view>& recommended_modules() noexcept;

}  // namespace xmppd
