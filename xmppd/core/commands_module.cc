// Commands about modules: list, info, hooks, load, unload, reload, and `options`.
#include <algorithm>
#include <array>
#include <iterator>

#include "core/commands.h"
#include "core/profile_runtime.h"

namespace xmppd {
namespace {

using Object = CommandValue::Object;
using List = CommandValue::List;
using ResultTask = xmpp::Task<CommandResult>;

CommandValue texts(const auto& range) {
  List list;
  for (const auto& text : range) list.emplace_back(std::string_view(text));
  return list;
}

CommandValue text_or_null(std::string_view text) {
  return text.empty() ? CommandValue() : CommandValue(text);
}

CommandResult modules_of(Server& server) {
  List rows;
  try {
    for (const auto& module : server.modules().list(server.config())) {
      rows.push_back(Object{{"module", module.name},
                            {"loaded", module.is_loaded},
                            {"profiles", texts(module.profiles)},
                            {"xep", text_or_null(module.xep)},
                            {"summary", module.summary}});
    }
  } catch (const std::exception& error) {  // a library that was removed meanwhile
    return xmpp::Err(CommandError{"unavailable", error.what()});
  }
  return CommandValue(std::move(rows));
}

ResultTask list_modules(CommandContext& context, CommandArguments) {
  co_return modules_of(context.server);
}

// Hooks ------------------------------------------------------------------------------------------

constexpr std::array kHookNames = {
#define XMPPD_HOOK_NAME(name) std::pair{std::string_view(#name), HookId::name},
    XMPPD_FOR_EACH_HOOK(XMPPD_HOOK_NAME)
#undef XMPPD_HOOK_NAME
};

struct ChainEntry {
  std::string profile;
  Stage stage{};
  std::string module;
};

struct CollectChain {
  HookId hook{};
  std::vector<ChainEntry> operator()(Worker& worker) const {
    std::vector<ChainEntry> entries;
    worker.for_each_profile([&](ProfileRuntime& profile) {
      for (const auto& entry : profile.hooks().chain(hook)) {
        entries.push_back({profile.name(), entry.stage, entry.module});
      }
    });
    return entries;
  }
};

ResultTask list_hooks(CommandContext& context, CommandArguments arguments) {
  const std::string name = arguments.get<std::string>("hook");
  const HookId* hook = nullptr;
  std::vector<std::string> known;
  for (const auto& [known_name, id] : kHookNames) {
    known.emplace_back(known_name);
    if (known_name == name) hook = &id;
  }
  if (hook == nullptr) {
    co_return xmpp::Err(CommandError{"not-found", "no such hook" + did_you_mean(name, known)});
  }
  // All workers have the same chains.
  CollectChain question{*hook};
  auto asked = ask_workers<std::vector<ChainEntry>>(context, {0}, question);
  auto answers = co_await std::move(asked);
  if (!answers) co_return xmpp::Err(workers_silent());
  List rows;
  for (const auto& entry : answers->front()) {
    rows.push_back(Object{
        {"profile", entry.profile}, {"stage", to_string(entry.stage)}, {"module", entry.module}});
  }
  co_return CommandValue(std::move(rows));
}

// Info and options -------------------------------------------------------------------------------

// One line of what a module does in a profile.
struct ModuleFact {
  std::string profile;
  std::string kind;  // "hook", "iq", "option"
  std::string name;
  std::string value;
};

struct CollectFacts {
  std::string module;
  std::vector<ModuleFact> operator()(Worker& worker) const {
    std::vector<ModuleFact> facts;
    worker.for_each_profile([&](ProfileRuntime& profile) {
      for (const auto& [name, id] : kHookNames) {
        for (const auto& entry : profile.hooks().chain(id)) {
          if (entry.module != module) continue;
          facts.push_back(
              {profile.name(), "hook", std::string(name), std::string(to_string(entry.stage))});
        }
      }
      profile.iqs().for_each([&](const IqTable::Entry& entry) {
        if (entry.scope->module_name() != module) return;
        const auto& payload = entry.handler.payload;
        facts.push_back({profile.name(), "iq",
                         "{" + std::string(payload.ns) + "}" + std::string(payload.local),
                         to_text(entry.handler.targets)});
      });
      for (const auto& instance : profile.instances()) {
        if (instance.info.name != module) continue;
        for (const OptionBase* option : instance.module->options()) {
          facts.push_back({profile.name(), "option", std::string(option->info().name),
                           to_string(option->value())});
        }
      }
    });
    return facts;
  }
  static std::string to_text(Target targets) {
    constexpr std::pair<Target, const char*> names[] = {{Target::host, "host"},
                                                        {Target::own_account, "own account"},
                                                        {Target::account, "account"},
                                                        {Target::unauthenticated, "before login"}};
    std::string text;
    for (const auto& [target, name] : names) {
      if (has(targets, target)) text += (text.empty() ? "" : ", ") + std::string(name);
    }
    return text;
  }
};

List rows_of(const std::vector<ModuleFact>& facts, std::string_view kind, const char* name_key,
             const char* value_key) {
  List rows;
  for (const ModuleFact& fact : facts) {
    if (fact.kind != kind) continue;
    rows.push_back(
        Object{{"profile", fact.profile}, {name_key, fact.name}, {value_key, fact.value}});
  }
  return rows;
}

std::vector<std::string> required_by(ModuleManager& modules, const std::string& name) {
  std::vector<std::string> found;
  for (const auto& profile : modules.profiles_of(name)) {
    for (const auto& other : modules.running(profile)) {
      const auto requirements = modules.info(other).requires_modules;
      const bool needs =
          std::find(requirements.begin(), requirements.end(), name) != requirements.end();
      if (needs && std::find(found.begin(), found.end(), other) == found.end()) {
        found.push_back(other);
      }
    }
  }
  return found;
}

CommandResult info_of(ModuleManager& modules, const std::string& name,
                      const std::vector<ModuleFact>& facts) {
  try {
    const auto info = modules.info(name);
    return CommandValue(Object{{"module", name},
                               {"xep", text_or_null(info.xep)},
                               {"summary", text_or_null(info.summary)},
                               {"path", text_or_null(modules.file_of(name).string())},
                               {"profiles", texts(modules.profiles_of(name))},
                               {"requires", texts(info.requires_modules)},
                               {"required_by", texts(required_by(modules, name))},
                               {"options", rows_of(facts, "option", "option", "value")},
                               {"hooks", rows_of(facts, "hook", "hook", "stage")},
                               {"answers", rows_of(facts, "iq", "request", "to")}});
  } catch (const std::exception& error) {
    return xmpp::Err(
        CommandError{modules.file_of(name).empty() ? "not-found" : "unavailable", error.what()});
  }
}

ResultTask show_module(CommandContext& context, CommandArguments arguments) {
  const std::string name = arguments.get<std::string>("module");
  CollectFacts question{name};
  auto asked = ask_workers<std::vector<ModuleFact>>(context, {0}, question);
  auto answers = co_await std::move(asked);
  if (!answers) co_return xmpp::Err(workers_silent());
  co_return info_of(context.server.modules(), name, answers->front());
}

CommandResult options_of(ModuleManager& modules, const std::string& name) {
  List rows;
  try {
    for (const OptionInfo& option : modules.options(name)) {
      std::string values;
      for (const auto choice : option.choices) {
        values += (values.empty() ? "\"" : ", \"") + std::string(choice) + "\"";
      }
      const bool has_bounds = std::holds_alternative<std::int64_t>(option.fallback) ||
                              std::holds_alternative<xmpp::Duration>(option.fallback);
      if (has_bounds) values = to_string(option.lowest) + " to " + to_string(option.highest);
      if (std::holds_alternative<bool>(option.fallback)) values = "true, false";
      rows.push_back(Object{{"option", option.name},
                            {"default", to_string(option.fallback)},
                            {"values", values.empty() ? std::string("any text") : values},
                            {"help", option.help}});
    }
  } catch (const std::exception& error) {
    return xmpp::Err(
        CommandError{modules.file_of(name).empty() ? "not-found" : "unavailable", error.what()});
  }
  return CommandValue(std::move(rows));
}

ResultTask show_options(CommandContext& context, CommandArguments arguments) {
  const std::string name = arguments.get<std::string>("module");
  co_return options_of(context.server.modules(), name);
}

// Changes ----------------------------------------------------------------------------------------

// The profiles that a change concerns: the one that was named, or all that it makes sense for.
std::vector<std::string> concerned(Server& server, const CommandArguments& arguments,
                                   const std::string& module, bool is_loaded) {
  if (const auto* named = arguments.find<std::string>("profile")) return {*named};
  const auto with = server.modules().profiles_of(module);
  std::vector<std::string> profiles;
  for (const auto& [profile, config] : server.config().profiles) {
    const bool has_it = std::find(with.begin(), with.end(), profile) != with.end();
    if (has_it == is_loaded) profiles.push_back(profile);
  }
  // None: the answer for any of them says what is wrong.
  if (profiles.empty()) profiles.push_back(server.config().profiles.begin()->first);
  return profiles;
}

std::string listed(const std::vector<std::string>& profiles) {
  std::string text = profiles.size() == 1 ? "profile " : "profiles ";
  for (std::size_t i = 0; i < profiles.size(); ++i) text += (i == 0 ? "" : ", ") + profiles[i];
  return text;
}

// What the file says stays what a restart does.
std::string restart_note(ModuleManager& modules, const std::string& name,
                         const std::vector<std::string>& profiles, bool is_loaded) {
  std::vector<std::string> others;
  for (const auto& profile : profiles) {
    if (modules.is_configured(profile, name) != is_loaded) others.push_back(profile);
  }
  if (others.empty()) return "as the configuration file says";
  return std::string("a restart ") + (is_loaded ? "leaves it out again" : "loads it again") +
         ": to keep it so, put \"" + (is_loaded ? "+" : "-") + name + "\" into modules of " +
         listed(others) + " in the file";
}

CommandResult changed(ModuleManager& modules, const std::string& name, const char* verb,
                      const std::vector<std::string>& done, bool is_loaded,
                      const ModuleManager::Outcome& outcome) {
  if (!outcome) {
    auto error = outcome.error();
    if (!done.empty()) error.text += " (" + std::string(verb) + " in " + listed(done) + ")";
    return xmpp::Err(std::move(error));
  }
  const auto note = restart_note(modules, name, done, is_loaded);
  return CommandValue(Object{{"text", name + ' ' + verb + " in " + listed(done) + "; " + note},
                             {"module", name},
                             {"profiles", texts(done)},
                             {"note", note}});
}

enum class Verb : std::uint8_t { load, unload, reload };

xmpp::Task<ModuleManager::Outcome> begin(CommandContext& context, Verb verb, std::string profile,
                                         std::string name, bool is_first) {
  ModuleManager& modules = context.server.modules();
  if (verb == Verb::load) return modules.load(context, std::move(profile), std::move(name));
  if (verb == Verb::unload) return modules.unload(context, std::move(profile), std::move(name));
  // The file is read once; then all profiles have the same code.
  return modules.reload(context, std::move(profile), std::move(name),
                        is_first ? ModuleManager::Code::from_file : ModuleManager::Code::same);
}

ResultTask change_module(CommandContext& context, CommandArguments arguments, Verb verb) {
  constexpr const char* participles[] = {"loaded", "unloaded", "reloaded"};
  const std::string name = arguments.get<std::string>("module");
  const auto profiles = concerned(context.server, arguments, name, verb != Verb::load);
  std::vector<std::string> done;
  ModuleManager::Outcome outcome;
  for (const std::string& profile : profiles) {
    auto changing = begin(context, verb, profile, name, done.empty());
    auto changed_here = co_await std::move(changing);
    outcome = std::move(changed_here);
    if (!outcome) break;
    done.push_back(profile);
  }
  co_return changed(context.server.modules(), name, participles[static_cast<std::size_t>(verb)],
                    done, verb != Verb::unload, outcome);
}

ResultTask load_module(CommandContext& context, CommandArguments arguments) {
  return change_module(context, std::move(arguments), Verb::load);
}
ResultTask unload_module(CommandContext& context, CommandArguments arguments) {
  return change_module(context, std::move(arguments), Verb::unload);
}
ResultTask reload_module(CommandContext& context, CommandArguments arguments) {
  return change_module(context, std::move(arguments), Verb::reload);
}

constexpr std::array kHookArguments = {
    ArgumentInfo{.name = "hook", .help = "Type of hook, e.g. ToAccount"}};
constexpr std::array kModuleArguments = {
    ArgumentInfo{.name = "module", .help = "Name of the module, e.g. ping"}};
constexpr std::array kChangeArguments = {
    ArgumentInfo{.name = "module", .help = "Name of the module, e.g. ping"},
    ArgumentInfo{.name = "profile",
                 .help = "Only in this profile (left out: in all)",
                 .is_required = false,
                 .is_option = true}};

constexpr std::array kCommands = {
    Command{{.group = "module", .name = "list", .help = "List the installed modules"},
            &list_modules},
    Command{{.group = "module",
             .name = "info",
             .help = "Show what a module is, does, and is set to",
             .arguments = kModuleArguments},
            &show_module},
    Command{{.group = "module",
             .name = "hooks",
             .help = "Show which modules a hook calls, in order",
             .arguments = kHookArguments},
            &list_hooks},
    Command{{.group = "module",
             .name = "load",
             .help = "Load a module until the server restarts",
             .arguments = kChangeArguments},
            &load_module},
    Command{{.group = "module",
             .name = "unload",
             .help = "Take a module out of operation until the server restarts",
             .arguments = kChangeArguments,
             .is_destructive = true},
            &unload_module},
    Command{{.group = "module",
             .name = "reload",
             .help = "Read a module's file again and replace it, with its state",
             .arguments = kChangeArguments},
            &reload_module},
    Command{{.group = "",
             .name = "options",
             .help = "Show the options that a module declares",
             .arguments = kModuleArguments},
            &show_options},
};

}  // namespace

std::span<const Command> module_commands() noexcept {
  return kCommands;
}

}  // namespace xmppd
