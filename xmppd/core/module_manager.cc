#include "core/module_manager.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <Poco/ClassLoader.h>
#include <Poco/Exception.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <stdexcept>

#include "core/worker.h"

namespace xmppd {
namespace {

#define XMPPD_TEXT_(x) #x
#define XMPPD_TEXT(x) XMPPD_TEXT_(x)
constexpr const char* kManifest = "xmppd_abi_" XMPPD_TEXT(XMPPD_ABI);

// "a -> b -> a", from the first visit of the last one on.
std::string circle_of(const std::vector<std::string>& visiting, const std::string& again) {
  std::string text;
  for (auto at = std::find(visiting.begin(), visiting.end(), again); at != visiting.end(); ++at) {
    text += *at + " -> ";
  }
  return text + again;
}

// A copy of a library in memory, under a name of its own: it can stand beside other versions of
// itself, and whatever happens to the file happens to nobody who runs.
struct Copy {
  std::filesystem::path path;
  int fd;
};
Copy copy_of(const std::filesystem::path& path) {
  const auto failed = [&](const char* what) {
    return std::runtime_error(path.string() + " cannot be " + what + ": " + std::strerror(errno));
  };
  const int from = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (from < 0) throw failed("opened");
  // Stays open: the copy's name is that of its descriptor.
  const int to = ::memfd_create(path.filename().c_str(), MFD_CLOEXEC);
  ssize_t sent = to < 0 ? -1 : 1;
  while (sent > 0) sent = ::sendfile(to, from, nullptr, std::size_t{1} << 20U);
  const int error = errno;
  ::close(from);
  if (sent < 0) {
    if (to >= 0) ::close(to);
    errno = error;
    throw failed("copied");
  }
  // By number, so that debuggers find it too.
  return {"/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(to), to};
}

std::vector<std::unique_ptr<ModuleFactory>>& static_factories() {
  static std::vector<std::unique_ptr<ModuleFactory>> factories;
  return factories;
}

}  // namespace

namespace detail {
// Declared in module.h for modules that are linked in.
XMPPD_API void register_static_module(std::unique_ptr<ModuleFactory> factory);
void register_static_module(std::unique_ptr<ModuleFactory> factory) {
  static_factories().push_back(std::move(factory));
}
}  // namespace detail

const std::vector<std::string_view>& recommended_modules() noexcept {
  static const std::vector<std::string_view> names = {
      "account_disco", "blocking",   "caps",     "carbons", "contact_info",   "csi",
      "disco",         "iq_forward", "last",     "message", "offline",        "ping",
      "presence",      "private",    "register", "roster",  "session_legacy", "sm",
      "subscription",  "time",       "vcard",    "version"};
  return names;
}

struct ModuleManager::Libraries {
  Poco::ClassLoader<ModuleFactory> loader;
  std::vector<std::unique_ptr<ModuleFactory>> made;

  // Of the process, never destroyed: the loader would unmap, and unmapping C++ is unsafe
  // (docs/modules.md, "While the server runs").
  static Libraries* get() {
    static auto* const kept = new Libraries;
    return kept;
  }
};

ModuleManager::ModuleManager(std::filesystem::path directory,
                             std::vector<std::filesystem::path> more)
    : directories_(std::move(more)), libraries_(Libraries::get()) {
  directories_.push_back(std::move(directory));
  for (auto& made : static_factories()) factories_[std::string(made->info().name)] = made.get();
}

ModuleManager::~ModuleManager() = default;

std::vector<std::string> ModuleManager::installed() const {
  std::vector<std::string> names;
  for (auto& made : static_factories()) names.emplace_back(made->info().name);
  for (const auto& directory : directories_) {
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(directory, none)) {
      auto stem = entry.path().stem().string();
      if (entry.path().extension() == ".so" && stem.starts_with("mod_"))
        names.push_back(stem.substr(4));
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::filesystem::path ModuleManager::file_of(const std::string& name) const {
  for (const auto& directory : directories_) {
    auto path = directory / ("mod_" + name + ".so");
    std::error_code none;
    if (std::filesystem::exists(path, none)) return path;
  }
  return {};
}

std::runtime_error ModuleManager::no_such_module(const std::string& name) const {
  std::string places;
  for (const auto& directory : directories_) {
    places += (places.empty() ? "" : ", ") + directory.string();
  }
  return std::runtime_error("no module '" + name + "' in " + places +
                            did_you_mean(name, installed()));
}

const ModuleFactory& ModuleManager::factory(const std::string& name) {
  if (auto known = factories_.find(name); known != factories_.end()) return *known->second;
  const auto path = file_of(name);
  if (path.empty()) throw no_such_module(name);
  if (auto known = failures_.find(name);
      known != failures_.end() && known->second.id == id_of(path)) {
    throw std::runtime_error(known->second.text);
  }
  // The server's own modules are replaced with the server. Others are being worked on, and writing
  // into a file that is mapped would end the process.
  const bool may_change = path.parent_path() != directories_.back();
  return *factories_.insert_or_assign(name, &load_file(name, path, may_change)).first->second;
}

const ModuleFactory& ModuleManager::renew(const std::string& name) {
  const auto path = file_of(name);
  if (!path.empty()) {
    const auto known = loaded_.find(name);
    const bool is_loaded = known != loaded_.end() && known->second.id == id_of(path);
    return is_loaded ? *known->second.factory : load_file(name, path, true);
  }
  for (auto& made : static_factories()) {  // linked in: there is no other code
    if (made->info().name == name) return *made;
  }
  throw no_such_module(name);
}

ModuleManager::FileId ModuleManager::id_of(const std::filesystem::path& path) noexcept {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return {};
  return {
      .device = found.st_dev,
      .inode = found.st_ino,
      .size = found.st_size,
      .changed_at_ns = found.st_ctim.tv_sec * std::int64_t{1'000'000'000} + found.st_ctim.tv_nsec};
}

const ModuleFactory& ModuleManager::load_file(const std::string& name,
                                              const std::filesystem::path& path, bool as_copy) {
  const FileId id = id_of(path);
  Copy source{path, -1};
  try {
    if (as_copy) source = copy_of(path);
    const ModuleFactory& made = open_library(name, source.path);
    loaded_[name] = {.id = id, .factory = &made};
    return made;
  } catch (const std::exception& error) {
    failures_[name] = {.id = id, .text = error.what()};
    // A copy that was not mapped needs its name no longer.
    if (source.fd >= 0 && dlopen(source.path.c_str(), RTLD_LAZY | RTLD_NOLOAD) == nullptr) {
      ::close(source.fd);
    }
    throw;
  }
}

const ModuleFactory& ModuleManager::open_library(const std::string& name,
                                                 const std::filesystem::path& file) {
  const auto path = file.string();
  // A missing symbol would otherwise kill the process at its first use; ClassLoader binds lazily.
  void* checked = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (checked == nullptr) {
    throw std::runtime_error("module '" + name + "' cannot be loaded: " + dlerror());
  }
  const bool has_abi =
      dlsym(checked, (std::string("pocoBuildManifest") + kManifest).c_str()) != nullptr;
  if (!has_abi) {
    dlclose(checked);
    throw std::runtime_error("module '" + name +
                             "' was built for another version of xmppd: " + file_of(name).string() +
                             " has no manifest " + kManifest + "; rebuild it");
  }
  try {
    libraries_->loader.loadLibrary(path, kManifest);
    const auto& manifest = libraries_->loader.manifestFor(path);
    if (manifest.size() != 1) {
      throw std::runtime_error("module '" + name + "' must declare exactly one XMPPD_MODULE");
    }
    libraries_->made.emplace_back(manifest.begin()->create());
  } catch (const Poco::Exception& error) {
    throw std::runtime_error("module '" + name + "' cannot be loaded: " + error.displayText());
  }
  dlclose(checked);
  const ModuleFactory* made = libraries_->made.back().get();
  if (made->info().name != name) {
    throw std::runtime_error("module '" + name + "' calls itself '" +
                             std::string(made->info().name) + "': its file must be mod_" +
                             std::string(made->info().name) + ".so");
  }
  return *made;
}

std::vector<std::string> ModuleManager::resolve(const ProfileConfig& profile) {
  std::vector<std::string> wanted;
  const auto& selection = profile.modules;
  if (selection.base == ModuleSelection::Base::recommended) {
    for (auto name : recommended_modules()) wanted.emplace_back(name);
  } else if (selection.base == ModuleSelection::Base::all_stable) {
    wanted = installed();
  }
  for (const auto& added : selection.added) {
    if (std::find(wanted.begin(), wanted.end(), added.name) == wanted.end()) {
      wanted.push_back(added.name);
    }
  }
  for (const auto& removed : selection.removed) std::erase(wanted, removed.name);

  std::vector<std::string> ordered;
  std::vector<std::string> visiting;
  std::function<void(const std::string&)> visit = [&](const std::string& name) {
    if (std::find(ordered.begin(), ordered.end(), name) != ordered.end()) return;
    if (std::find(visiting.begin(), visiting.end(), name) != visiting.end()) {
      throw std::runtime_error("modules require each other in a circle: " +
                               circle_of(visiting, name));
    }
    visiting.push_back(name);
    for (auto required : factory(name).info().requires_modules) {
      if (std::find(wanted.begin(), wanted.end(), required) == wanted.end()) {
        throw std::runtime_error("module '" + name + "' requires '" + std::string(required) +
                                 "', which the profile leaves out");
      }
      visit(std::string(required));
    }
    visiting.pop_back();
    ordered.push_back(name);
  };
  std::sort(wanted.begin(), wanted.end());
  for (const auto& name : wanted) visit(name);
  return ordered;
}

bool ModuleManager::check_names(const ProfileConfig& profile, const std::string& key,
                                std::vector<ConfigError>& errors) const {
  const auto known = installed();
  const auto before = errors.size();
  for (const auto* names : {&profile.modules.added, &profile.modules.removed}) {
    for (const auto& [name, at] : *names) {
      if (std::find(known.begin(), known.end(), name) != known.end()) continue;
      errors.push_back({at, key,
                        "no module '" + name + "' in " + directories_.back().string() +
                            did_you_mean(name, known)});
    }
  }
  return errors.size() == before;
}

std::vector<ConfigError> ModuleManager::check(const Config& config) {
  std::vector<ConfigError> errors;
  for (const auto& [profile_name, profile] : config.profiles) {
    if (!check_names(profile, "profile." + profile_name + ".modules", errors)) continue;
    std::vector<std::string> names;
    try {
      names = resolve(profile);
    } catch (const std::exception& error) {
      errors.push_back({profile.at, "profile." + profile_name + ".modules", error.what()});
      continue;
    }
    try {
      for (const auto& name : names) {
        (void)make_configured(factory(name), profile, profile_name, errors);
      }
    } catch (const std::exception& error) {
      errors.push_back({profile.at, "profile." + profile_name + ".modules", error.what()});
    }
    for (const auto& [module, table] : profile.module) {
      if (std::find(names.begin(), names.end(), module) != names.end()) continue;
      auto known = installed();
      if (std::find(known.begin(), known.end(), module) != known.end()) continue;
      errors.push_back({table.at, "profile." + profile_name + ".module." + module,
                        "no such module" + did_you_mean(module, known)});
    }
  }
  return errors;
}

std::vector<ModuleManager::Prepared> ModuleManager::prepare(const std::string& profile_name,
                                                            const ProfileConfig& profile) {
  const auto names = resolve(profile);
  Running running;
  running.config = std::make_shared<const ProfileConfig>(profile);
  std::vector<Prepared> prepared;
  for (const auto& name : names) {
    const ModuleFactory& its_factory = factory(name);
    prepared.push_back(
        {its_factory.info(), make_configured_or_throw(its_factory, profile, profile_name)});
    running.modules.push_back({name, &its_factory});
  }
  running_[profile_name] = std::move(running);
  return prepared;
}

void ModuleManager::attach_all(Worker& worker, const Config& config) {
  for (const auto& [profile_name, profile] : config.profiles) {
    attach(*worker.find_profile(profile_name), prepare(profile_name, profile));
  }
}

void ModuleManager::attach(ProfileRuntime& runtime, std::vector<Prepared> prepared) {
  for (auto& [info, module] : prepared) {
    guarded(
        info.name, "cannot be attached in profile '" + runtime.name() + "'",
        [&runtime, &info = info, &module = module] { runtime.attach(info, std::move(module)); });
  }
}

std::vector<std::string> ModuleManager::names_of(const std::string& profile_name,
                                                 const ProfileConfig& profile) {
  // What runs counts, not what a start would find: files may have come and gone since.
  if (running_.contains(profile_name)) return running(profile_name);
  try {
    return resolve(profile);
  } catch (const std::exception&) {
    return {};  // it could not run; the row of the module at fault says why
  }
}

std::vector<ModuleManager::Listed> ModuleManager::list(const Config& config) {
  std::map<std::string, std::vector<std::string>> names;
  for (const auto& [profile_name, profile] : config.profiles) {
    names[profile_name] = names_of(profile_name, profile);
  }
  std::vector<Listed> result;
  auto known = installed();
  for (const auto& [profile_name, selected] : names) {  // a file may be gone, what runs is not
    for (const auto& name : selected) {
      if (std::find(known.begin(), known.end(), name) == known.end()) known.push_back(name);
    }
  }
  std::sort(known.begin(), known.end());
  for (const auto& name : known) {
    Listed row;
    row.name = name;
    for (const auto& [profile_name, selected] : names) {
      if (std::find(selected.begin(), selected.end(), name) != selected.end()) {
        row.profiles.push_back(profile_name);
      }
    }
    row.is_loaded = !row.profiles.empty();
    try {
      auto info = factory(name).info();
      row.xep = std::string(info.xep);
      row.summary = std::string(info.summary);
    } catch (const std::exception& error) {
      row.summary = error.what();
    }
    result.push_back(std::move(row));
  }
  return result;
}

std::vector<OptionInfo> ModuleManager::options(const std::string& name) {
  std::vector<OptionInfo> infos;
  const auto& its_factory = factory(name);
  auto module = guarded(name, "cannot be constructed", [&] { return its_factory.make(); });
  for (auto* option : module->options()) infos.push_back(option->info());
  return infos;
}

}  // namespace xmppd
