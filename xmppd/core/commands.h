// The server's own administration commands: a table of descriptors and the tasks that run them.
//
// A new command is a row in the table of its group (commands_<group>.cc) and one coroutine;
// xmppctl, its help and its completion follow from the row. Commands run on the control thread;
// what concerns an account or a session is asked of its owner with ask_workers(), values only.
//
// Thread-safety: the control thread only. Invariant: the context outlives every task and question.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/server.h"
#include "core/worker.h"
#include "xmpp/base/random.h"
#include "xmpp/base/task.h"
#include "xmpp/net/reactor.h"
#include "xmppd/command.h"

namespace xmppd {

// How long a worker may take to answer before the command fails.
inline constexpr auto kWorkerPatience = std::chrono::seconds(5);

struct CommandContext {
  Server& server;
  xmpp::net::Reactor& reactor;  // of the control thread
  xmpp::Rng& rng;
  std::size_t unanswered = 0;     // questions that a worker still holds
  bool is_reconfiguring = false;  // a command changes what is served: one at a time
};

// Where a command with a long list sends its items one by one; a result without them follows.
class ItemSink {
 public:
  virtual ~ItemSink() = default;
  virtual void send(const CommandValue& item) = 0;
  // When there is room for more; false: nobody listens any longer.
  [[nodiscard]] virtual xmpp::Completion<bool> room() = 0;
};

struct Command {
  CommandInfo info;
  xmpp::Task<CommandResult> (*run)(CommandContext& context, CommandArguments arguments);
  // The same for a client that takes items; nullptr: the list is never long.
  xmpp::Task<CommandResult> (*stream)(CommandContext& context, CommandArguments arguments,
                                      ItemSink& sink) = nullptr;
};

[[nodiscard]] std::span<const Command> user_commands() noexcept;
[[nodiscard]] std::span<const Command> session_commands() noexcept;
[[nodiscard]] std::span<const Command> host_commands() noexcept;  // host, config
[[nodiscard]] std::span<const Command> module_commands() noexcept;
[[nodiscard]] std::span<const Command> database_commands() noexcept;
[[nodiscard]] std::span<const Command> server_commands() noexcept;  // status, stop

// The outcome of `running`; an exception that leaves it is noted, and becomes an error, too.
[[nodiscard]] xmpp::Task<CommandResult> shielded(xmpp::Task<CommandResult> running);

// nullptr: no such command.
[[nodiscard]] const Command* find_command(std::string_view full_name) noexcept;
// All of them, as `catalogue` shows them.
[[nodiscard]] CommandValue catalogue();
// Says so, with the nearest name.
[[nodiscard]] CommandError unknown_command(std::string_view full_name);

// The configuration of a served domain, or nullptr.
[[nodiscard]] const HostConfig* find_host(const Server& server, std::string_view domain) noexcept;
[[nodiscard]] CommandError unknown_host(const Server& server, std::string_view domain);
[[nodiscard]] CommandError storage_failed(const StorageError& error);
[[nodiscard]] CommandError workers_silent();

// On the owner of `jid`: ends the account's sessions with a stream error, or the one of a full JID.
// Gives the full JIDs of those that it ended.
std::vector<std::string> end_sessions(Worker& worker, const xmpp::Jid& jid,
                                      const xmpp::StreamError& error);

namespace command_detail {
template <typename T>
struct Gathering {
  xmpp::Completion<bool>::Ticket ticket;
  std::size_t missing = 0;
  std::vector<T> answers;
};
}  // namespace command_detail

// Runs `question(worker)` on each of the workers and gives their answers, in the order in which
// they come; nullopt: one did not answer in time. `question` holds values only and gives a value.
template <typename T, typename F>
xmpp::Task<std::optional<std::vector<T>>> ask_workers(CommandContext& context,
                                                      std::vector<std::size_t> workers,
                                                      F question) {
  static_assert(Sendable<T> && Sendable<F>);
  auto gathering = std::make_shared<command_detail::Gathering<T>>();
  xmpp::Completion<bool> done;
  gathering->ticket = done.ticket();
  gathering->missing = workers.size();
  xmpp::Timer patience([ticket = done.ticket()] { ticket.complete(false); });
  context.reactor.timers().set(patience, context.reactor.now() + kWorkerPatience);
  for (const std::size_t index : workers) {
    ++context.unanswered;
    Worker& worker = context.server.worker(index);
    // The gathering only passes through the worker: it is touched on the control thread alone.
    worker.call([&context, &worker, gathering, question]() mutable {
      context.reactor.call(
          [&context, gathering = std::move(gathering), answer = T(question(worker))]() mutable {
            --context.unanswered;
            gathering->answers.push_back(std::move(answer));
            if (--gathering->missing == 0) gathering->ticket.complete(true);
          });
    });
  }
  const bool is_complete = co_await done;
  std::optional<std::vector<T>> answers;
  if (is_complete) answers = std::move(gathering->answers);
  co_return answers;
}

[[nodiscard]] std::vector<std::size_t> all_workers(const Server& server);

}  // namespace xmppd
