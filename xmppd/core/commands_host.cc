// Commands that change what is served: host list, add, remove; config reload.
//
// Whatever the change, it is checked first, then applied as a whole: certificates, what Server
// tells everybody, then each worker at a time of its own (Worker::reconcile). One at a time.
#include <algorithm>
#include <array>
#include <filesystem>
#include <map>

#include "core/certificate_check.h"
#include "core/commands.h"
#include "core/config_diff.h"
#include "core/module_manager.h"
#include "core/stored_host.h"

namespace xmppd {
namespace {

using Object = CommandValue::Object;
using List = CommandValue::List;
using ResultTask = xmpp::Task<CommandResult>;
using xmpp::log::kv;

const xmpp::log::Context kLog{.component = "config"};
constexpr std::size_t kPurgePage = 100;

// Keeps others from changing what is served at the same time; lives in a command's frame.
class Reconfiguring {
 public:
  explicit Reconfiguring(CommandContext& context)
      : context_(context), is_only_one_(!context.is_reconfiguring) {
    context_.is_reconfiguring = true;
  }
  ~Reconfiguring() {
    if (is_only_one_) context_.is_reconfiguring = false;
  }
  Reconfiguring(const Reconfiguring&) = delete;
  Reconfiguring& operator=(const Reconfiguring&) = delete;
  [[nodiscard]] bool is_only_one() const noexcept { return is_only_one_; }

 private:
  CommandContext& context_;
  const bool is_only_one_;
};

CommandError busy() {
  return {"unavailable", "another change of what is served is under way: try again"};
}

// The modules of new profiles: one list for each worker, which takes it.
using FreshProfiles = std::map<std::string, std::vector<std::vector<ModuleManager::Prepared>>>;

struct Reconcile {
  std::shared_ptr<const Config> config;
  std::shared_ptr<FreshProfiles> profiles;  // a worker touches its own list only

  // What went wrong; empty: nothing.
  std::string operator()(Worker& worker) const {
    std::string wrong;
    for (auto& [name, modules] : *profiles) {
      auto& runtime = worker.add_profile(name, config->profiles.at(name));
      try {
        ModuleManager::attach(runtime, std::move(modules[worker.index()]));
      } catch (const std::exception& error) {
        wrong = error.what();
      }
    }
    worker.reconcile(*config);
    return wrong;
  }
};

// Makes the instances of profiles that do not run yet; throws what the module manager throws.
FreshProfiles prepare_profiles(Server& server, const Config& fresh) {
  FreshProfiles prepared;
  for (const auto& [name, profile] : fresh.profiles) {
    if (server.config().profiles.contains(name)) continue;
    for (std::size_t i = 0; i < server.worker_count(); ++i) {
      prepared[name].push_back(server.modules().prepare(name, profile));
    }
  }
  return prepared;
}

// What a profile that runs has to do to become another one.
struct ModuleChanges {
  std::string profile;
  std::vector<std::string> stopped;  // whoever requires others first
  std::vector<std::string> started;  // requirements first
  std::vector<std::string> changed;  // other options
  [[nodiscard]] bool is_empty() const noexcept {
    return stopped.empty() && started.empty() && changed.empty();
  }
};

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Throws what the module manager throws. Modules that somebody loaded or unloaded by hand stay so.
std::vector<ModuleChanges> compare_modules(Server& server, const Config& fresh) {
  std::vector<ModuleChanges> all;
  const auto differences = compare_configs(server.config(), fresh);
  for (const auto& [name, running] : server.config().profiles) {
    const auto found = fresh.profiles.find(name);
    const auto concerns = [key = profile_key(name) + ".module"](const ConfigChange& change) {
      return change.key.starts_with(key);  // "modules" or "module.NAME.OPTION"
    };
    if (found == fresh.profiles.end() ||
        std::none_of(differences.begin(), differences.end(), concerns)) {
      continue;
    }
    const auto before = server.modules().resolve(running);
    const auto after = server.modules().resolve(found->second);
    const auto now = server.modules().running(name);
    ModuleChanges one{.profile = name, .stopped = {}, .started = {}, .changed = {}};
    for (auto module = before.rbegin(); module != before.rend(); ++module) {
      if (!contains(after, *module) && contains(now, *module)) one.stopped.push_back(*module);
    }
    const std::string prefix = profile_key(name) + ".module.";
    for (const auto& module : after) {
      if (!contains(before, module) && !contains(now, module)) one.started.push_back(module);
      if (!contains(now, module) || contains(one.stopped, module)) continue;
      const bool has_changed =
          std::any_of(differences.begin(), differences.end(), [&](const ConfigChange& change) {
            return change.key.starts_with(prefix + module + '.');
          });
      if (has_changed) one.changed.push_back(module);
    }
    if (!one.is_empty()) all.push_back(std::move(one));
  }
  return all;
}

// The first that fails ends it: what was changed before it stays, and the next reload goes on.
xmpp::Task<std::optional<CommandError>> change_modules(CommandContext& context,
                                                       ModuleChanges changes, ProfileConfig running,
                                                       ProfileConfig fresh) {
  auto& modules = context.server.modules();
  modules.configure(changes.profile, std::move(fresh));
  std::optional<CommandError> wrong;
  for (const auto& name : changes.stopped) {
    if (wrong) break;
    auto pending = modules.unload(context, changes.profile, name);
    auto outcome = co_await std::move(pending);
    if (!outcome) wrong = outcome.error();
  }
  for (const auto& name : changes.started) {
    if (wrong) break;
    auto pending = modules.load(context, changes.profile, name);
    auto outcome = co_await std::move(pending);
    if (!outcome) wrong = outcome.error();
  }
  for (const auto& name : changes.changed) {
    if (wrong) break;
    auto pending = modules.reload(context, changes.profile, name, ModuleManager::Code::same);
    auto outcome = co_await std::move(pending);
    if (!outcome) wrong = outcome.error();
  }
  if (wrong) modules.configure(changes.profile, std::move(running));
  co_return wrong;
}

std::vector<std::string> new_hosts(const Server& server, const Config& fresh) {
  std::vector<std::string> names;
  for (const auto& host : fresh.hosts) {
    if (find_host(server, host.name) == nullptr) names.push_back(host.name);
  }
  return names;
}

// The profiles of `fresh` that do not run yet will not.
void forget_new_profiles(Server& server, const Config& fresh) {
  for (const auto& [name, profile] : fresh.profiles) {
    if (!server.config().profiles.contains(name)) server.modules().forget(name);
  }
}

// The certificates of what runs are shown again.
xmpp::Task<void> restore_certificates(CommandContext& context) {
  Server& server = context.server;
  auto config = std::make_shared<const Config>(server.config());
  auto load = [&server, config] { return server.load_certificates(*config); };
  auto loading = server.offload().run(context.reactor, std::move(load));
  auto wrong = co_await loading;
  if (wrong && wrong->empty()) co_return;
  xmpp::log::error(kLog, "the certificates of a configuration that failed stay: reload it mended",
                   {kv("why", wrong ? *wrong : "too much work waits")});
}

// Makes `fresh` what the server runs. An error before the workers are told changes nothing, but for
// the modules that were changed before the one that fails.
xmpp::Task<std::optional<CommandError>> apply(CommandContext& context, Config fresh) {
  Server& server = context.server;
  auto names = new_hosts(server, fresh);
  auto profiles = std::make_shared<FreshProfiles>();
  std::vector<ModuleChanges> module_changes;
  try {
    module_changes = compare_modules(server, fresh);
    *profiles = prepare_profiles(server, fresh);
  } catch (const std::exception& error) {
    forget_new_profiles(server, fresh);
    co_return CommandError{"bad-config", error.what()};
  }
  auto config = std::make_shared<const Config>(std::move(fresh));
  auto load = [&server, config, names = std::move(names)] {
    auto wrong = server.load_certificates(*config);
    if (!wrong.empty()) return wrong;
    for (const auto& name : names) server.refresh_facts(name);
    return wrong;
  };
  auto loading = server.offload().run(context.reactor, std::move(load));
  auto wrong = co_await loading;
  if (!wrong || !wrong->empty()) {
    forget_new_profiles(server, *config);
    if (wrong) co_return CommandError{"bad-config", std::move(*wrong)};
    co_return CommandError{"unavailable", "too much work waits: try again later"};
  }
  for (const auto& one : module_changes) {
    auto changing = change_modules(context, one, server.config().profiles.at(one.profile),
                                   config->profiles.at(one.profile));
    auto failed = co_await std::move(changing);
    if (!failed) continue;
    forget_new_profiles(server, *config);
    auto restoring = restore_certificates(context);
    co_await std::move(restoring);
    co_return failed;
  }
  server.adopt(*config);
  auto workers = all_workers(server);
  Reconcile question{config, profiles};
  auto asked = ask_workers<std::string>(context, std::move(workers), std::move(question));
  auto answers = co_await std::move(asked);
  if (!answers) co_return workers_silent();
  for (const auto& answer : *answers) {
    if (!answer.empty()) co_return CommandError{"bad-config", answer};
  }
  co_return std::nullopt;
}

// Hosts
// -------------------------------------------------------------------------------------------------

ResultTask list_hosts(CommandContext& context, CommandArguments) {
  List rows;
  for (const auto& host : context.server.config().hosts) {
    List admins;
    for (const auto& admin : host.admins) admins.emplace_back(admin.str());
    rows.push_back(Object{{"host", host.name},
                          {"profile", host.profile},
                          {"certificate", host.certificate.empty() ? std::string("self-signed")
                                                                   : host.certificate.string()},
                          {"admins", std::move(admins)},
                          {"source", host.is_stored ? "database" : "file"}});
  }
  co_return CommandValue(std::move(rows));
}

bool has_control(std::string_view text) noexcept {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20; });
}

CommandError bad_argument(std::string text) {
  return {"bad-argument", std::move(text)};
}

// The host that `host add` describes, checked.
xmpp::Result<HostConfig, CommandError> host_from(const Server& server,
                                                 const CommandArguments& arguments) {
  const Config& config = server.config();
  HostConfig host;
  host.name = arguments.get<xmpp::Jid>("host").str();
  host.is_stored = true;
  if (const HostConfig* other = find_host(server, host.name)) {
    return xmpp::Err(CommandError{"conflict", host.name + " is served already (" +
                                                  (other->is_stored ? "database" : "file") + ")"});
  }
  if (const auto* profile = arguments.find<std::string>("profile")) host.profile = *profile;
  if (!config.profiles.contains(host.profile)) {
    std::vector<std::string> known;
    for (const auto& [name, profile] : config.profiles) known.push_back(name);
    return xmpp::Err(
        bad_argument("profile: there is no such profile" + did_you_mean(host.profile, known)));
  }
  const auto* certificate = arguments.find<std::string>("certificate");
  const auto* key = arguments.find<std::string>("key");
  if ((certificate == nullptr) != (key == nullptr)) {
    return xmpp::Err(bad_argument("certificate and key: give both or none"));
  }
  if (certificate != nullptr) {
    if (certificate->empty() || key->empty() || has_control(*certificate) || has_control(*key)) {
      return xmpp::Err(bad_argument("certificate and key: expected paths of files"));
    }
    host.certificate = (config.server.data_dir / *certificate).lexically_normal();
    host.key = (config.server.data_dir / *key).lexically_normal();
  }
  if (auto wrong = check_certificate(config, host); !wrong.empty()) {
    return xmpp::Err(bad_argument("certificate: " + wrong));
  }
  return host;
}

StorageResult<bool> put_host(Tx& tx, const std::string& name, const std::string& text) {
  auto put = tx.key_value().put(kHostSpace, name, text);
  if (!put) return xmpp::Err(put.error());
  return true;
}
StorageResult<bool> forget_host(Tx& tx, const std::string& name) {
  return tx.key_value().remove(kHostSpace, name);
}

xmpp::Completion<StorageResult<bool>> store_host(CommandContext& context, const HostConfig& host) {
  auto put = [](Tx& tx, const std::string& name, const std::string& text) {
    return put_host(tx, name, text);
  };
  return context.server.storage().write(context.reactor, "server", put, host.name,
                                        format_stored_host(host));
}
xmpp::Completion<StorageResult<bool>> unstore_host(CommandContext& context,
                                                   const std::string& name) {
  auto remove = [](Tx& tx, const std::string& which) { return forget_host(tx, which); };
  return context.server.storage().write(context.reactor, "server", remove, name);
}

ResultTask add_host(CommandContext& context, CommandArguments arguments) {
  const Reconfiguring change(context);
  if (!change.is_only_one()) co_return xmpp::Err(busy());
  auto host = host_from(context.server, arguments);
  if (!host) co_return xmpp::Err(host.error());
  const std::string name = host->name;
  auto storing = store_host(context, *host);
  auto stored = co_await storing;
  if (!stored) co_return xmpp::Err(storage_failed(stored.error()));
  Config fresh = context.server.config();
  fresh.hosts.push_back(std::move(*host));
  auto applying = apply(context, std::move(fresh));
  auto wrong = co_await std::move(applying);
  if (wrong && find_host(context.server, name) == nullptr) {
    auto removing = unstore_host(context, name);
    (void)co_await removing;
  }
  if (wrong) co_return xmpp::Err(std::move(*wrong));
  xmpp::log::info(kLog, "host added", {kv("host", name)});
  co_return CommandValue(Object{{"host", name}, {"text", "host " + name + " added"}});
}

// How many have gone.
StorageResult<std::size_t> purge_some(Tx& tx, const std::string& host) {
  auto page = tx.accounts().list(host, {}, kPurgePage);
  if (!page) return xmpp::Err(page.error());
  for (const auto& account : *page) {
    auto removed = tx.accounts().remove(account.jid);
    if (!removed) return xmpp::Err(removed.error());
  }
  return page->size();
}

// Deletes the accounts of a host that is served no more, some at a time; how many there were.
xmpp::Task<xmpp::Result<std::size_t, CommandError>> purge(CommandContext& context,
                                                          std::string host) {
  auto remove = [](Tx& tx, const std::string& of) { return purge_some(tx, of); };
  std::size_t count = 0;
  bool is_more = true;
  while (is_more) {
    auto removing = context.server.storage().write(context.reactor, host, remove, host);
    auto removed = co_await removing;
    if (!removed) co_return xmpp::Err(storage_failed(removed.error()));
    count += *removed;
    is_more = *removed == kPurgePage;
  }
  co_return count;
}

ResultTask remove_host(CommandContext& context, CommandArguments arguments) {
  const Reconfiguring change(context);
  if (!change.is_only_one()) co_return xmpp::Err(busy());
  const std::string name(arguments.get<xmpp::Jid>("host").str());
  const bool* purged = arguments.find<bool>("purge");
  const bool is_purged = purged != nullptr && *purged;
  const HostConfig* served = find_host(context.server, name);
  if (served != nullptr && !served->is_stored) {
    co_return xmpp::Err(CommandError{
        "conflict", name + " is in the configuration file: remove it there, then config reload"});
  }
  const bool is_served = served != nullptr;
  const HostConfig before = is_served ? *served : HostConfig();
  auto removing = unstore_host(context, name);
  auto removed = co_await removing;
  if (!removed) co_return xmpp::Err(storage_failed(removed.error()));
  // One that is kept but could not be served goes, too; so does what a purge that failed has left.
  bool is_known = is_served || *removed;
  if (!is_known && !is_purged) co_return xmpp::Err(unknown_host(context.server, name));
  if (is_served) {
    Config fresh = context.server.config();
    std::erase_if(fresh.hosts, [&](const HostConfig& host) { return host.name == name; });
    auto applying = apply(context, std::move(fresh));
    auto wrong = co_await std::move(applying);
    if (wrong && find_host(context.server, name) != nullptr) {
      auto storing = store_host(context, before);  // else it would be gone after a restart
      auto stored = co_await storing;
      if (!stored) wrong->text += "; and it is not stored any more: " + stored.error().text;
    }
    if (wrong) co_return xmpp::Err(std::move(*wrong));
  }
  if (is_purged) {
    auto purging = purge(context, name);
    auto count = co_await std::move(purging);
    if (!count) co_return xmpp::Err(count.error());
    is_known = is_known || *count > 0;
  }
  if (!is_known) co_return xmpp::Err(unknown_host(context.server, name));
  xmpp::log::info(kLog, "host removed", {kv("host", name), kv("purged", is_purged)});
  co_return CommandValue(
      Object{{"host", name},
             {"text", "host " + name + " removed" +
                          (is_purged ? " with its accounts" : "; its accounts are kept")}});
}

// Configuration
// -------------------------------------------------------------------------------------------------

// What a file says, or why it cannot be used: one line each.
struct LoadedFile {
  std::optional<Config> config;
  std::string wrong;
  void fail(const std::string& line) { wrong += (wrong.empty() ? "" : "\n") + line; }
};

// Hosts that the database keeps and the file does not name.
void merge_stored_hosts(LoadedFile& loaded, std::vector<HostConfig> stored) {
  Config& config = *loaded.config;
  for (HostConfig& host : stored) {
    const bool is_in_file =
        std::any_of(config.hosts.begin(), config.hosts.end(),
                    [&](const HostConfig& other) { return other.name == host.name; });
    if (is_in_file) continue;
    if (!config.profiles.contains(host.profile)) {
      loaded.fail("host " + host.name + " in the database has the profile " + host.profile +
                  ", which the file lacks: keep it, or remove the host first");
    } else if (auto wrong = check_certificate(config, host); !wrong.empty()) {
      loaded.fail("host " + host.name + " in the database: " + wrong);
    }
    config.hosts.push_back(std::move(host));
  }
}

// On an offload thread: it reads files and the database.
LoadedFile load_file(Server& server, const std::filesystem::path& file,
                     const ConfigOverrides& overrides) {
  LoadedFile loaded;
  try {
    auto read = load_config(file, overrides);
    if (!read) {
      for (const auto& error : read.error()) loaded.fail(to_string(error));
      return loaded;
    }
    for (const auto& error : check_certificates(*read)) loaded.fail(to_string(error));
    loaded.config = std::move(*read);
    auto stored = server.stored_hosts();
    if (!stored) {
      loaded.fail("storage: " + stored.error().text);
    } else {
      merge_stored_hosts(loaded, std::move(*stored));
    }
  } catch (const std::exception& error) {
    loaded.fail(error.what());
  }
  return loaded;
}

CommandValue show_changes(const std::vector<ConfigChange>& changes, bool is_dry_run) {
  List rows;
  std::size_t waiting = 0;
  for (const auto& change : changes) {
    if (change.needs_restart) ++waiting;
    rows.push_back(Object{{"key", change.key},
                          {"change", to_string(change.kind)},
                          {"from", change.from.empty() ? CommandValue() : change.from},
                          {"to", change.to.empty() ? CommandValue() : change.to},
                          {"effect", change.needs_restart ? "needs a restart"
                                     : is_dry_run         ? "would apply"
                                                          : "applied"}});
  }
  const auto count = changes.size();
  return Object{{"dry_run", is_dry_run},
                {"applied", CommandValue::count(is_dry_run ? 0 : count - waiting)},
                {"needs_restart", CommandValue::count(waiting)},
                {"changes", std::move(rows)}};
}

ResultTask reload_config(CommandContext& context, CommandArguments arguments) {
  const Reconfiguring change(context);
  if (!change.is_only_one()) co_return xmpp::Err(busy());
  Server& server = context.server;
  const bool* dry = arguments.find<bool>("dry-run");
  const bool is_dry_run = dry != nullptr && *dry;
  if (server.config().file.empty()) {
    co_return xmpp::Err(CommandError{"not-found", "the server was started without a file (--dev)"});
  }
  auto load = [&server, file = server.config().file, overrides = server.config().overrides] {
    return load_file(server, file, overrides);
  };
  auto loading = server.offload().run(context.reactor, std::move(load));
  auto loaded = co_await loading;
  if (!loaded) {
    co_return xmpp::Err(CommandError{"unavailable", "too much work waits: try again later"});
  }
  if (loaded->config) {
    for (const auto& error : server.modules().check(*loaded->config)) {
      loaded->fail(to_string(error));
    }
  }
  if (!loaded->wrong.empty()) {
    co_return xmpp::Err(CommandError{"bad-config", std::move(loaded->wrong)});
  }
  const auto changes = compare_configs(server.config(), *loaded->config);
  auto shown = show_changes(changes, is_dry_run);
  if (is_dry_run) co_return shown;
  auto fresh = applicable_config(server.config(), std::move(*loaded->config));
  auto applying = apply(context, std::move(fresh));
  auto wrong = co_await std::move(applying);
  if (wrong) co_return xmpp::Err(std::move(*wrong));
  xmpp::log::info(kLog, "configuration reloaded", {kv("changes", changes.size())});
  co_return shown;
}

constexpr ArgumentInfo kHost{.name = "host", .type = ArgumentType::host, .help = "The domain"};
constexpr std::array kAddArguments = {
    kHost,
    ArgumentInfo{.name = "profile",
                 .help = "Its profile (default)",
                 .is_required = false,
                 .is_option = true},
    ArgumentInfo{.name = "certificate",
                 .help = "PEM file with its certificate and chain, read by the server",
                 .is_required = false,
                 .is_option = true},
    ArgumentInfo{.name = "key",
                 .help = "PEM file with the key, read by the server",
                 .is_required = false,
                 .is_option = true},
};
constexpr std::array kRemoveArguments = {kHost, ArgumentInfo{.name = "purge",
                                                             .type = ArgumentType::boolean,
                                                             .help = "Delete its accounts, too",
                                                             .is_required = false,
                                                             .is_option = true}};
constexpr std::array kReloadArguments = {
    ArgumentInfo{.name = "dry-run",
                 .type = ArgumentType::boolean,
                 .help = "Show what would change, change nothing",
                 .is_required = false,
                 .is_option = true}};

constexpr std::array kCommands = {
    Command{{.group = "host", .name = "list", .help = "List the domains that are served"},
            &list_hosts},
    Command{{.group = "host",
             .name = "add",
             .help = "Serve one more domain, kept in the database",
             .arguments = kAddArguments},
            &add_host},
    Command{{.group = "host",
             .name = "remove",
             .help = "Stop serving a domain that is kept in the database; its sessions end",
             .arguments = kRemoveArguments,
             .is_destructive = true},
            &remove_host},
    Command{{.group = "config",
             .name = "reload",
             .help = "Read the configuration file again and apply what has changed",
             .arguments = kReloadArguments},
            &reload_config},
};

}  // namespace

std::span<const Command> host_commands() noexcept {
  return kCommands;
}

}  // namespace xmppd
