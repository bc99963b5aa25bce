#include "core/module_manager.h"

#include <dlfcn.h>

#include <Poco/ClassLoader.h>
#include <Poco/Exception.h>

#include <algorithm>
#include <functional>
#include <stdexcept>

#include "core/worker.h"

namespace xmppd {
namespace {

#define XMPPD_TEXT_(x) #x
#define XMPPD_TEXT(x) XMPPD_TEXT_(x)
constexpr const char* kManifest = "xmppd_abi_" XMPPD_TEXT(XMPPD_ABI);

// The value of a module's option as the file has it; empty if it was taken.
std::string assign(OptionBase& option, const ConfigValue& value) {
  if (auto* v = std::get_if<bool>(&value.value)) return option.assign(*v);
  if (auto* v = std::get_if<std::int64_t>(&value.value)) return option.assign(*v);
  if (auto* v = std::get_if<std::string>(&value.value)) return option.assign(*v);
  return option.expected();
}

// Runs something of a module's own; whatever it throws becomes an error that names the module.
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

// "a -> b -> a", from the first visit of the last one on.
std::string circle_of(const std::vector<std::string>& visiting, const std::string& again) {
  std::string text;
  for (auto at = std::find(visiting.begin(), visiting.end(), again); at != visiting.end(); ++at) {
    text += *at + " -> ";
  }
  return text + again;
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
      "blocking", "caps",           "carbons", "contact_info", "csi",      "disco",   "iq_forward",
      "last",     "message",        "offline", "ping",         "presence", "private", "register",
      "roster",   "session_legacy", "sm",      "subscription", "time",     "vcard",   "version"};
  return names;
}

struct ModuleManager::Libraries {
  Poco::ClassLoader<ModuleFactory> loader;
  std::vector<std::unique_ptr<ModuleFactory>> made;

  // Of the process, never destroyed: the loader would unmap, and unmapping C++ is unsafe
  // (architecture, "Retire, do not unmap").
  static Libraries* get() {
    static auto* const kept = new Libraries;
    return kept;
  }
};

ModuleManager::ModuleManager(std::filesystem::path directory)
    : directory_(std::move(directory)), libraries_(Libraries::get()) {
  for (auto& made : static_factories()) factories_[std::string(made->info().name)] = made.get();
}

ModuleManager::~ModuleManager() = default;

std::vector<std::string> ModuleManager::installed() const {
  std::vector<std::string> names;
  for (auto& made : static_factories()) names.emplace_back(made->info().name);
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, none)) {
    auto stem = entry.path().stem().string();
    if (entry.path().extension() == ".so" && stem.starts_with("mod_"))
      names.push_back(stem.substr(4));
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

const ModuleFactory& ModuleManager::factory(const std::string& name) {
  if (auto known = factories_.find(name); known != factories_.end()) return *known->second;
  const auto path = (directory_ / ("mod_" + name + ".so")).string();
  if (!std::filesystem::exists(path)) {
    auto near = nearest_name(name, installed());
    throw std::runtime_error("no module '" + name + "' in " + directory_.string() +
                             (near.empty() ? "" : " (did you mean '" + near + "'?)"));
  }
  // A missing symbol would otherwise kill the process at its first use; ClassLoader binds lazily.
  void* checked = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (checked == nullptr) {
    throw std::runtime_error("module '" + name + "' cannot be loaded: " + dlerror());
  }
  const bool has_abi =
      dlsym(checked, (std::string("pocoBuildManifest") + kManifest).c_str()) != nullptr;
  if (!has_abi) {
    dlclose(checked);
    throw std::runtime_error("module '" + name + "' was built for another version of xmppd: " +
                             path + " has no manifest " + kManifest + "; rebuild it");
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
  factories_[name] = libraries_->made.back().get();
  return *factories_[name];
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

std::unique_ptr<Module> ModuleManager::make_configured(const std::string& name,
                                                       const ProfileConfig& profile,
                                                       std::string_view profile_name,
                                                       std::vector<ConfigError>& errors) {
  const auto& its_factory = factory(name);
  auto module = guarded(name, "cannot be constructed", [&] { return its_factory.make(); });
  auto configured = profile.module.find(name);
  if (configured == profile.module.end()) return module;
  const auto prefix = "profile." + std::string(profile_name) + ".module." + name + ".";
  for (const auto& [key, value] : configured->second.options) {
    auto option = std::find_if(module->options().begin(), module->options().end(),
                               [&](OptionBase* o) { return o->info().name == key; });
    if (option == module->options().end()) {
      std::vector<std::string> known;
      for (auto* o : module->options()) known.emplace_back(o->info().name);
      auto near = nearest_name(key, known);
      errors.push_back({value.at, prefix + key,
                        "unknown option" + (near.empty() ? "" : "; did you mean '" + near + "'?")});
      continue;
    }
    auto wrong = assign(**option, value);
    if (!wrong.empty()) errors.push_back({value.at, prefix + key, wrong});
  }
  return module;
}

bool ModuleManager::check_names(const ProfileConfig& profile, const std::string& key,
                                std::vector<ConfigError>& errors) const {
  const auto known = installed();
  const auto before = errors.size();
  for (const auto* names : {&profile.modules.added, &profile.modules.removed}) {
    for (const auto& [name, at] : *names) {
      if (std::find(known.begin(), known.end(), name) != known.end()) continue;
      auto near = nearest_name(name, known);
      errors.push_back({at, key,
                        "no module '" + name + "' in " + directory_.string() +
                            (near.empty() ? "" : "; did you mean '" + near + "'?")});
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
      for (const auto& name : names) (void)make_configured(name, profile, profile_name, errors);
    } catch (const std::exception& error) {
      errors.push_back({profile.at, "profile." + profile_name + ".modules", error.what()});
    }
    for (const auto& [module, table] : profile.module) {
      if (std::find(names.begin(), names.end(), module) != names.end()) continue;
      auto known = installed();
      if (std::find(known.begin(), known.end(), module) != known.end()) continue;
      auto near = nearest_name(module, known);
      errors.push_back({table.at, "profile." + profile_name + ".module." + module,
                        "no such module" + (near.empty() ? "" : "; did you mean '" + near + "'?")});
    }
  }
  return errors;
}

std::vector<ModuleManager::Prepared> ModuleManager::prepare(const std::string& profile_name,
                                                            const ProfileConfig& profile) {
  const auto names = resolve(profile);
  attached_[profile_name] = names;
  std::vector<Prepared> prepared;
  for (const auto& name : names) {
    std::vector<ConfigError> errors;
    auto module = make_configured(name, profile, profile_name, errors);
    if (!errors.empty()) throw std::runtime_error(to_string(errors.front()));
    prepared.push_back({factory(name).info(), std::move(module)});
  }
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
  if (auto known = attached_.find(profile_name); known != attached_.end()) return known->second;
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
  for (const auto& name : installed()) {
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
