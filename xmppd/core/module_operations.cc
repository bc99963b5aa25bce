// ModuleManager while the server runs: load, unload, reload on all workers.
#include <algorithm>
#include <memory>
#include <utility>

#include "core/commands.h"
#include "core/module_manager.h"
#include "core/profile_runtime.h"

namespace xmppd {

using xmpp::log::kv;

namespace {

const xmpp::log::Context kLog{.component = "modules"};
// A worker that has not answered by then hangs.
constexpr auto kChangePatience = kIdleWait + kRetireWait + kWorkerPatience;

CommandError refused(std::string text) {
  return {"refused", std::move(text)};
}

std::string in_quotes(std::string_view name) {
  return "'" + std::string(name) + "'";
}

// What the workers have answered so far; the control thread's.
struct Answers {
  xmpp::Completion<bool>::Ticket ticket;
  std::size_t missing = 0;
  std::string error;  // of the first that failed
};

}  // namespace

void ModuleManager::configure(const std::string& profile, ProfileConfig config) {
  running_[profile].config = std::make_shared<const ProfileConfig>(std::move(config));
}

std::vector<std::string> ModuleManager::running(const std::string& profile) const {
  std::vector<std::string> names;
  const auto found = running_.find(profile);
  if (found == running_.end()) return names;
  for (const Attached& module : found->second.modules) names.push_back(module.name);
  return names;
}

std::vector<std::string> ModuleManager::profiles_of(const std::string& name) const {
  std::vector<std::string> profiles;
  for (const auto& [profile, running] : running_) {
    const auto& modules = running.modules;
    const bool is_there = std::any_of(modules.begin(), modules.end(),
                                      [&](const Attached& one) { return one.name == name; });
    if (is_there) profiles.push_back(profile);
  }
  return profiles;
}

bool ModuleManager::is_configured(const std::string& profile, const std::string& name) {
  const auto found = running_.find(profile);
  if (found == running_.end() || !found->second.config) return false;
  try {
    const auto names = resolve(*found->second.config);
    return std::find(names.begin(), names.end(), name) != names.end();
  } catch (const std::exception&) {
    return false;  // a restart would be refused
  }
}

std::vector<ModuleManager::Attached> ModuleManager::dependants(const Running& running,
                                                               const std::string& name) const {
  std::vector<Attached> found;
  // Requirements come first, so one pass sees the indirect ones too.
  for (const Attached& module : running.modules) {
    const auto requirements = module.factory->info().requires_modules;
    const bool depends =
        std::any_of(requirements.begin(), requirements.end(), [&](std::string_view required) {
          return required == name ||
                 std::any_of(found.begin(), found.end(),
                             [&](const Attached& other) { return other.name == required; });
        });
    if (depends) found.push_back(module);
  }
  return found;
}

// Each waits in its own coroutine for all workers; `changed` gets those that did it.
xmpp::Task<ModuleManager::Outcome> ModuleManager::change_workers(
    CommandContext& context, std::string profile, ModuleChange change,
    std::vector<std::size_t> workers, std::shared_ptr<std::vector<std::size_t>> changed) {
  auto answers = std::make_shared<Answers>();
  xmpp::Completion<bool> done;
  answers->ticket = done.ticket();
  answers->missing = workers.size();
  xmpp::Timer patience([ticket = done.ticket()] { ticket.complete(false); });
  context.reactor.timers().set(patience, context.reactor.now() + kChangePatience);
  for (const std::size_t index : workers) {
    ++context.unanswered;
    ++unanswered_;
    auto answer = [this, &context, answers, changed, index](std::string error) {
      context.reactor.call([this, &context, answers, changed, index, error = std::move(error)] {
        --context.unanswered;
        --unanswered_;
        if (error.empty()) {
          changed->push_back(index);
        } else if (answers->error.empty()) {
          answers->error = error;
        }
        if (--answers->missing == 0) answers->ticket.complete(true);
      });
    };
    Worker& worker = context.server.worker(index);
    worker.call([&worker, profile, change, answer = std::move(answer)]() mutable {
      ProfileRuntime* runtime = worker.find_profile(profile);
      if (runtime == nullptr) {
        answer("there is no profile " + in_quotes(profile) + " any more");
      } else {
        runtime->change(std::move(change), std::move(answer));
      }
    });
  }
  const bool is_complete = co_await done;
  if (!is_complete) co_return xmpp::Err(workers_silent());
  if (!answers->error.empty()) co_return xmpp::Err(refused(answers->error));
  co_return Outcome();
}

xmpp::Task<ModuleManager::Outcome> ModuleManager::apply(CommandContext& context,
                                                        std::string profile, ModuleChange change,
                                                        ModuleChange inverse) {
  auto changed = std::make_shared<std::vector<std::size_t>>();
  auto changing =
      change_workers(context, profile, std::move(change), all_workers(context.server), changed);
  auto outcome = co_await std::move(changing);
  if (outcome || changed->empty()) co_return outcome;
  // All workers run the same modules: those that could do it undo it.
  auto undone = std::make_shared<std::vector<std::size_t>>();
  auto undoing = change_workers(context, profile, std::move(inverse), *changed, undone);
  auto undo = co_await std::move(undoing);
  if (!undo) {
    xmpp::log::error(kLog, "the workers do not run the same modules any more: restart the server",
                     {kv("profile", profile), kv("error", undo.error().text)});
  }
  co_return outcome;
}

ModuleManager::Outcome ModuleManager::check_change(const std::string& profile) const {
  if (unanswered_ != 0) {
    return xmpp::Err(CommandError{"unavailable", "another change of modules is under way"});
  }
  if (const auto found = running_.find(profile); found != running_.end() && found->second.config) {
    return {};
  }
  std::vector<std::string> known;
  for (const auto& [name, running] : running_) known.push_back(name);
  return xmpp::Err(CommandError{
      "not-found", "there is no profile " + in_quotes(profile) + did_you_mean(profile, known)});
}

ModuleManager::Outcome ModuleManager::check_start(const std::string& profile,
                                                  const ModuleFactory& its_factory) const {
  const Running& running = running_.find(profile)->second;
  const auto info = its_factory.info();
  for (const auto required : info.requires_modules) {
    const bool is_there = std::any_of(running.modules.begin(), running.modules.end(),
                                      [&](const Attached& one) { return one.name == required; });
    if (!is_there) {
      return xmpp::Err(refused("module " + in_quotes(info.name) + " requires " +
                               in_quotes(required) + ", which profile " + in_quotes(profile) +
                               " does not run: load that first"));
    }
  }
  try {
    // Once here, so that bad options and constructors that throw reach no worker.
    (void)make_configured_or_throw(its_factory, *running.config, profile);
  } catch (const std::exception& error) {
    return xmpp::Err(refused(error.what()));
  }
  return {};
}

xmpp::Task<ModuleManager::Outcome> ModuleManager::load(CommandContext& context, std::string profile,
                                                       std::string name) {
  if (auto wrong = check_change(profile); !wrong) co_return wrong;
  const auto before = profiles_of(name);
  if (std::find(before.begin(), before.end(), profile) != before.end()) {
    co_return xmpp::Err(CommandError{
        "conflict",
        "module " + in_quotes(name) + " is loaded already in profile " + in_quotes(profile)});
  }
  auto found = find_code(name, before.empty() ? Code::from_file : Code::same);
  if (!found) co_return xmpp::Err(found.error());
  const ModuleFactory* its_factory = *found;
  if (auto wrong = check_start(profile, *its_factory); !wrong) co_return wrong;
  ModuleChange change{{}, {its_factory}, running_[profile].config};
  ModuleChange inverse{{name}, {}, running_[profile].config};
  auto applying = apply(context, profile, std::move(change), std::move(inverse));
  auto outcome = co_await std::move(applying);
  if (!outcome) co_return outcome;
  factories_[name] = its_factory;
  running_[profile].modules.push_back({name, its_factory});
  xmpp::log::info(kLog, "module loaded", {kv("module", name), kv("profile", profile)});
  co_return outcome;
}

xmpp::Task<ModuleManager::Outcome> ModuleManager::unload(CommandContext& context,
                                                         std::string profile, std::string name) {
  if (auto wrong = check_change(profile); !wrong) co_return wrong;
  if (auto wrong = check_running(profile, name); !wrong) co_return wrong;
  Running& running = running_[profile];
  const auto needed_by = dependants(running, name);
  if (!needed_by.empty()) {
    co_return xmpp::Err(refused("module " + in_quotes(name) + " is required by " +
                                in_quotes(needed_by.back().name) + " in profile " +
                                in_quotes(profile) + ": unload that first"));
  }
  const ModuleFactory* its_factory = factory_of(running, name);
  ModuleChange change{{name}, {}, running.config};
  ModuleChange inverse{{}, {its_factory}, running.config};
  auto applying = apply(context, profile, std::move(change), std::move(inverse));
  auto outcome = co_await std::move(applying);
  if (!outcome) co_return outcome;
  std::erase_if(running_[profile].modules, [&](const Attached& one) { return one.name == name; });
  xmpp::log::info(kLog, "module unloaded", {kv("module", name), kv("profile", profile)});
  co_return outcome;
}

xmpp::Task<ModuleManager::Outcome> ModuleManager::reload(CommandContext& context,
                                                         std::string profile, std::string name,
                                                         Code code) {
  if (auto wrong = check_change(profile); !wrong) co_return wrong;
  if (auto wrong = check_running(profile, name); !wrong) co_return wrong;
  auto found = find_code(name, code);
  if (!found) co_return xmpp::Err(found.error());
  // Those that require it hold references to it: they are made anew with it.
  std::vector<Attached> before{{name, factory_of(running_[profile], name)}};
  for (auto& one : dependants(running_[profile], name)) before.push_back(std::move(one));
  auto after = before;
  after.front().factory = *found;
  ModuleChange change{{}, {}, running_[profile].config};
  ModuleChange inverse = change;
  for (const Attached& one : after) {
    if (auto wrong = check_start(profile, *one.factory); !wrong) co_return wrong;
    change.start.push_back(one.factory);
  }
  for (const Attached& one : before) {
    inverse.start.push_back(one.factory);
    change.stop.insert(change.stop.begin(), one.name);
  }
  inverse.stop = change.stop;
  auto applying = apply(context, profile, std::move(change), std::move(inverse));
  auto outcome = co_await std::move(applying);
  if (!outcome) co_return outcome;
  factories_[name] = after.front().factory;
  auto& modules = running_[profile].modules;
  for (const Attached& one : after) {
    std::erase_if(modules, [&](const Attached& old) { return old.name == one.name; });
    modules.push_back(one);
  }
  xmpp::log::info(kLog, "module reloaded",
                  {kv("module", name), kv("profile", profile), kv("with", before.size() - 1)});
  co_return outcome;
}

xmpp::Result<const ModuleFactory*, CommandError> ModuleManager::find_code(const std::string& name,
                                                                          Code code) {
  try {
    return code == Code::from_file ? &renew(name) : &factory(name);
  } catch (const std::exception& error) {
    const bool is_known = !file_of(name).empty();
    return xmpp::Err(CommandError{is_known ? "refused" : "not-found", error.what()});
  }
}

const ModuleFactory* ModuleManager::factory_of(const Running& running, const std::string& name) {
  for (const Attached& one : running.modules) {
    if (one.name == name) return one.factory;
  }
  return nullptr;
}

ModuleManager::Outcome ModuleManager::check_running(const std::string& profile,
                                                    const std::string& name) const {
  const auto names = running(profile);
  if (std::find(names.begin(), names.end(), name) != names.end()) return {};
  const auto known = installed();
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    return xmpp::Err(CommandError{"not-found", no_such_module(name).what()});
  }
  return xmpp::Err(CommandError{
      "conflict", "module " + in_quotes(name) + " is not loaded in profile " + in_quotes(profile)});
}

}  // namespace xmppd
