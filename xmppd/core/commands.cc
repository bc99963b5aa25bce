// The table of tables, and the commands about the server as a whole.
#include "core/commands.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "core/backstop.h"
#include "core/control_protocol.h"

namespace xmppd {
namespace {

using Object = CommandValue::Object;
using List = CommandValue::List;
using ResultTask = xmpp::Task<CommandResult>;

ResultTask show_status(CommandContext& context, CommandArguments) {
  Server& server = context.server;
  const auto uptime = context.reactor.clock().now() - server.started_at();
  xmpp::Duration longest{};
  std::uint64_t late = 0;
  List load;
  for (std::size_t i = 0; i < server.worker_count(); ++i) {
    // Not by ask_workers(): the status is told whatever a worker does.
    Worker& worker = server.worker(i);
    const auto& reactor = worker.reactor();
    load.push_back(Object{{"worker", CommandValue::count(i)},
                          {"mailbox", CommandValue::count(reactor.mail_depth())},
                          {"sessions", CommandValue::count(worker.session_count())},
                          {"accounts", CommandValue::count(worker.account_count())}});
    longest = std::max(longest, reactor.longest_turn());
    late += reactor.late_turns();
  }
  const Refusals& refused = server.refusals();
  co_return CommandValue(Object{
      {"version", XMPPD_VERSION},
      {"ready", true},  // the socket answers only after everything has started
      {"uptime_s", std::int64_t{std::chrono::duration_cast<std::chrono::seconds>(uptime).count()}},
      {"workers", CommandValue::count(server.worker_count())},
      {"sessions", CommandValue::count(server.session_count())},
      {"connections", CommandValue::count(server.connection_count())},
      {"exceptions", CommandValue::count(exception_count())},  // out of modules; should be zero
      {"longest_turn_us", std::int64_t{longest.count()}},
      {"late_turns", CommandValue::count(late)},
      {"refused_connections", CommandValue::count(refused.connections)},
      {"refused_logins", CommandValue::count(refused.logins)},
      {"slow_peers_closed", CommandValue::count(refused.slow_peers)},
      {"storage_queue", CommandValue::count(server.storage().depth())},
      {"offload_queue", CommandValue::count(server.offload().pending())},
      {"load", std::move(load)},
      {"hosts", CommandValue::count(server.config().hosts.size())},
      {"storage", server.config().storage.driver},
      {"data_dir", server.config().server.data_dir.string()}});
}

ResultTask stop_server(CommandContext& context, CommandArguments) {
  context.server.request_stop();
  co_return CommandValue(Object{{"text", "stopping"}});
}

constexpr std::array kCommands = {
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
  for (const auto table : {user_commands(), session_commands(), host_commands(), module_commands(),
                           database_commands(), server_commands()}) {
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
  return {"unknown-command", "no such command" + did_you_mean(full_name, known)};
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
  return {"not-found", std::string(domain) + " is not served here" + did_you_mean(domain, known)};
}

CommandError storage_failed(const StorageError& error) {
  const bool is_busy = error.code == StorageErrorCode::busy;
  return {"unavailable",
          is_busy ? std::string("storage is busy: try again later") : "storage: " + error.text};
}

CommandError workers_silent() {
  return {"timeout", "a worker did not answer within 5 seconds: the server is overloaded or stuck"};
}

ResultTask shielded(ResultTask running) {
  try {
    auto result = co_await std::move(running);
    co_return result;
  } catch (...) {
    note_exception({.component = "control"}, "exception in a command");
  }
  co_return xmpp::Err(
      CommandError{"internal", "the command failed by a mistake of the server: see its log"});
}

std::vector<std::size_t> all_workers(const Server& server) {
  std::vector<std::size_t> workers(server.worker_count());
  std::iota(workers.begin(), workers.end(), 0U);
  return workers;
}

}  // namespace xmppd
