// The table of tables, and the commands about the server as a whole.
#include "core/commands.h"

#include <array>
#include <numeric>

#include "core/backstop.h"
#include "core/control_protocol.h"
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

ResultTask show_status(CommandContext& context, CommandArguments) {
  Server& server = context.server;
  const auto uptime = context.reactor.clock().now() - server.started_at();
  co_return CommandValue(Object{
      {"version", XMPPD_VERSION},
      {"ready", true},  // the socket answers only after everything has started
      {"uptime_s", std::int64_t{std::chrono::duration_cast<std::chrono::seconds>(uptime).count()}},
      {"workers", CommandValue::count(server.worker_count())},
      {"sessions", CommandValue::count(server.session_count())},
      {"connections", CommandValue::count(server.connection_count())},
      {"exceptions", CommandValue::count(exception_count())},  // out of modules; should be zero
      {"hosts", CommandValue::count(server.config().hosts.size())},
      {"storage", server.config().storage.driver},
      {"data_dir", server.config().server.data_dir.string()}});
}

ResultTask stop_server(CommandContext& context, CommandArguments) {
  context.server.request_stop();
  co_return CommandValue(Object{{"text", "stopping"}});
}

ResultTask list_hosts(CommandContext& context, CommandArguments) {
  List rows;
  for (const auto& host : context.server.config().hosts) {
    List admins;
    for (const auto& admin : host.admins) admins.emplace_back(admin.str());
    rows.push_back(Object{{"host", host.name},
                          {"profile", host.profile},
                          {"certificate", host.certificate.empty() ? std::string("self-signed")
                                                                   : host.certificate.string()},
                          {"admins", std::move(admins)}});
  }
  co_return CommandValue(std::move(rows));
}

CommandResult modules_of(Server& server) {
  List rows;
  try {
    for (const auto& module : server.modules().list(server.config())) {
      rows.push_back(Object{{"module", module.name},
                            {"loaded", module.is_loaded},
                            {"profiles", texts(module.profiles)},
                            {"xep", module.xep.empty() ? CommandValue() : CommandValue(module.xep)},
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
    co_return xmpp::Err(
        CommandError{"not-found", "no such hook; did you mean " + nearest_name(name, known) + "?"});
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

constexpr std::array kHookArguments = {
    ArgumentInfo{.name = "hook", .help = "Type of hook, e.g. ToAccount"}};

constexpr std::array kCommands = {
    Command{{.group = "host", .name = "list", .help = "List the domains that are served"},
            &list_hosts},
    Command{{.group = "module", .name = "list", .help = "List the installed modules"},
            &list_modules},
    Command{{.group = "module",
             .name = "hooks",
             .help = "Show which modules a hook calls, in order",
             .arguments = kHookArguments},
            &list_hooks},
    Command{{.group = "", .name = "status", .help = "Show how the server is"}, &show_status},
    Command{{.group = "",
             .name = "stop",
             .help = "End all sessions and stop the server",
             .is_destructive = true,
             .ends_server = true},
            &stop_server},
};

template <typename F>
void for_each_command(F&& visit) {
  for (const auto table :
       {user_commands(), session_commands(), database_commands(), server_commands()}) {
    for (const auto& command : table) visit(command);
  }
}

}  // namespace

std::span<const Command> server_commands() noexcept {
  return kCommands;
}

const Command* find_command(std::string_view full_name) noexcept {
  const Command* found = nullptr;
  for_each_command([&](const Command& command) {
    if (command.info.full_name() == full_name) found = &command;
  });
  return found;
}

CommandValue catalogue() {
  List list;
  for_each_command(
      [&](const Command& command) { list.push_back(control::describe(command.info)); });
  return list;
}

CommandError unknown_command(std::string_view full_name) {
  std::vector<std::string> known = {"catalogue"};
  for_each_command([&](const Command& command) { known.push_back(command.info.full_name()); });
  return {"unknown-command",
          "no such command; did you mean " + nearest_name(full_name, known) + "?"};
}

const HostConfig* find_host(const Server& server, std::string_view domain) noexcept {
  for (const auto& host : server.config().hosts) {
    if (host.name == domain) return &host;
  }
  return nullptr;
}

CommandError unknown_host(const Server& server, std::string_view domain) {
  std::vector<std::string> known;
  for (const auto& host : server.config().hosts) known.push_back(host.name);
  const auto nearest = nearest_name(domain, known);
  return {"not-found", std::string(domain) + " is not served here" +
                           (nearest.empty() ? std::string() : "; did you mean " + nearest + "?")};
}

CommandError storage_failed(const StorageError& error) {
  const bool is_busy = error.code == StorageErrorCode::busy;
  return {"unavailable",
          is_busy ? std::string("storage is busy: try again later") : "storage: " + error.text};
}

CommandError workers_silent() {
  return {"timeout", "a worker did not answer within 5 seconds: the server is overloaded or stuck"};
}

std::vector<std::size_t> all_workers(const Server& server) {
  std::vector<std::size_t> workers(server.worker_count());
  std::iota(workers.begin(), workers.end(), 0U);
  return workers;
}

}  // namespace xmppd
