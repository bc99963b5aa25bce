// Commands about the database: status, check, migrate.
#include <array>

#include "core/commands.h"

namespace xmppd {
namespace {

using Object = CommandValue::Object;
using List = CommandValue::List;
using ResultTask = xmpp::Task<CommandResult>;

// Runs `ask(storage)` on an offload thread, since it waits for the database.
template <typename F>
auto offload(CommandContext& context, F ask) {
  auto job = [&storage = context.server.storage(), ask] {
    using Outcome = decltype(ask(storage));
    // By pointer: GCC 12 takes what is in nested optionals for uninitialised.
    return std::make_unique<Outcome>(ask(storage));
  };
  return context.server.offload().run(context.reactor, std::move(job));
}

CommandError too_much_waits() {
  return {"unavailable", "too much work waits: try again later"};
}

ResultTask show_status(CommandContext& context, CommandArguments) {
  auto asking = offload(context, [](SqlStorage& storage) { return storage.status(); });
  auto asked = co_await asking;
  if (!asked) co_return xmpp::Err(too_much_waits());
  const StorageStatus& status = **asked;
  Object row{{"driver", context.server.config().storage.driver},
             {"database", status.database},
             {"reachable", status.is_reachable},
             {"schema", CommandValue::count(status.schema)},
             {"schema_known", CommandValue::count(status.schema_known)},
             {"waiting", CommandValue::count(status.waiting)},
             {"commits", CommandValue::count(status.commits)},
             {"operations", CommandValue::count(status.operations)},
             {"failures", CommandValue::count(status.failures)}};
  if (!status.is_reachable) row.emplace_back("error", status.error);
  co_return CommandValue(std::move(row));
}

ResultTask check_database(CommandContext& context, CommandArguments) {
  auto asking = offload(context, [](SqlStorage& storage) { return storage.check(); });
  auto asked = co_await asking;
  if (!asked) co_return xmpp::Err(too_much_waits());
  const auto& outcome = **asked;
  if (!outcome) co_return xmpp::Err(storage_failed(outcome.error()));
  if (outcome->empty()) co_return CommandValue(Object{{"text", "the database is in order"}});
  std::string text = "the database is damaged, restore a backup:";
  for (const std::string& problem : *outcome) text += "\n" + problem;
  co_return xmpp::Err(CommandError{"unavailable", std::move(text)});
}

ResultTask migrate_database(CommandContext& context, CommandArguments) {
  auto asking = offload(context, [](SqlStorage& storage) { return storage.migrate(); });
  auto asked = co_await asking;
  if (!asked) co_return xmpp::Err(too_much_waits());
  const auto& outcome = **asked;
  if (!outcome) co_return xmpp::Err(storage_failed(outcome.error()));
  co_return CommandValue(
      Object{{"migrations", CommandValue::count(*outcome)},
             {"text", *outcome == 0 ? std::string("the schema is up to date already")
                                    : std::to_string(*outcome) + " migrations made"}});
}

constexpr std::array kCommands = {
    Command{{.group = "db", .name = "status", .help = "Show how the database is"}, &show_status},
    Command{{.group = "db",
             .name = "check",
             .help = "Check the integrity of the database; reads all of it"},
            &check_database},
    Command{{.group = "db",
             .name = "migrate",
             .help = "Bring the schema up to date, as every start does"},
            &migrate_database},
};

}  // namespace

std::span<const Command> database_commands() noexcept {
  return kCommands;
}

}  // namespace xmppd
