// Commands about sessions: list, kick.
#include <algorithm>
#include <array>
#include <iterator>

#include "core/commands.h"
#include "core/ownership.h"

namespace xmppd {
namespace {

using Object = CommandValue::Object;
using List = CommandValue::List;
using ResultTask = xmpp::Task<CommandResult>;

// A session as it travels from its worker.
struct SessionRow {
  std::string jid;
  std::string address;
  std::string tls;
  std::string mechanism;
  std::int64_t connected_s = 0;
  std::int64_t priority = 0;
  bool is_available = false;
  bool is_detached = false;
  std::size_t worker = 0;
};

struct CollectSessions {
  xmpp::Jid host;  // empty: all hosts
  std::vector<SessionRow> operator()(Worker& worker) const {
    std::vector<SessionRow> rows;
    const auto now = worker.reactor().now();
    worker.accounts().for_each([&](Account& account) {
      if (!host.is_empty() && account.jid().domain() != host.str()) return;
      for (Session* session : account.sessions()) {
        auto connection = session->connection();
        const auto age =
            std::chrono::duration_cast<std::chrono::seconds>(now - connection.connected_at);
        rows.push_back({.jid = std::string(session->jid().str()),
                        .address = std::move(connection.address),
                        .tls = std::move(connection.tls),
                        .mechanism = std::move(connection.mechanism),
                        .connected_s = age.count(),
                        .priority = session->priority(),
                        .is_available = session->is_available(),
                        .is_detached = session->is_detached(),
                        .worker = worker.index()});
      }
    });
    return rows;
  }
};

CommandValue text_or_null(const std::string& text) {
  return text.empty() ? CommandValue() : CommandValue(text);
}

ResultTask list_sessions(CommandContext& context, CommandArguments arguments) {
  CollectSessions question;
  if (const auto* host = arguments.find<xmpp::Jid>("host")) {
    if (find_host(context.server, host->str()) == nullptr) {
      co_return xmpp::Err(unknown_host(context.server, host->str()));
    }
    question.host = *host;
  }
  auto workers = all_workers(context.server);
  auto asked =
      ask_workers<std::vector<SessionRow>>(context, std::move(workers), std::move(question));
  auto answers = co_await std::move(asked);
  if (!answers) co_return xmpp::Err(workers_silent());
  std::vector<SessionRow> rows;
  for (auto& answer : *answers) {
    rows.insert(rows.end(), std::make_move_iterator(answer.begin()),
                std::make_move_iterator(answer.end()));
  }
  std::sort(rows.begin(), rows.end(),
            [](const SessionRow& a, const SessionRow& b) { return a.jid < b.jid; });
  List list;
  for (auto& row : rows) {
    list.push_back(Object{{"jid", std::move(row.jid)},
                          {"address", std::move(row.address)},
                          {"tls", text_or_null(row.tls)},
                          {"sasl", text_or_null(row.mechanism)},
                          {"connected_s", row.connected_s},
                          {"available", row.is_available},
                          {"detached", row.is_detached},
                          {"priority", row.priority},
                          {"worker", CommandValue::count(row.worker)}});
  }
  co_return CommandValue(std::move(list));
}

struct KickSessions {
  xmpp::Jid jid;
  std::vector<std::string> operator()(Worker& worker) const {
    return end_sessions(worker, jid,
                        {xmpp::StreamCondition::policy_violation, "Ended by an administrator"});
  }
};

ResultTask kick_session(CommandContext& context, CommandArguments arguments) {
  KickSessions question{arguments.get<xmpp::Jid>("jid")};
  if (find_host(context.server, question.jid.domain()) == nullptr) {
    co_return xmpp::Err(unknown_host(context.server, question.jid.domain()));
  }
  std::vector<std::size_t> owner = {owner_of(question.jid, context.server.worker_count())};
  auto asked = ask_workers<std::vector<std::string>>(context, std::move(owner), question);
  auto answers = co_await std::move(asked);
  if (!answers) co_return xmpp::Err(workers_silent());
  const auto& ended = answers->front();
  if (ended.empty()) {
    co_return xmpp::Err(
        CommandError{"not-found", std::string(question.jid.str()) + " has no session"});
  }
  List kicked;
  std::string text = "ended";
  for (const auto& jid : ended) {
    kicked.emplace_back(jid);
    text += ' ' + jid;
  }
  co_return CommandValue(Object{{"kicked", std::move(kicked)}, {"text", std::move(text)}});
}

constexpr std::array kListArguments = {ArgumentInfo{.name = "host",
                                                    .type = ArgumentType::host,
                                                    .help = "Only sessions of this domain",
                                                    .is_required = false}};
constexpr std::array kKickArguments = {
    ArgumentInfo{.name = "jid",
                 .type = ArgumentType::jid,
                 .help = "user@host for all sessions, user@host/resource for one"}};

constexpr std::array kCommands = {
    Command{{.group = "session",
             .name = "list",
             .help = "List the sessions",
             .arguments = kListArguments},
            &list_sessions},
    Command{{.group = "session",
             .name = "kick",
             .help = "End a session, or all sessions of an account",
             .arguments = kKickArguments,
             .is_destructive = true},
            &kick_session},
};

}  // namespace

std::span<const Command> session_commands() noexcept {
  return kCommands;
}

std::vector<std::string> end_sessions(Worker& worker, const xmpp::Jid& jid,
                                      const xmpp::StreamError& error) {
  std::vector<xmpp::Jid> targets;
  if (Account* account = worker.accounts().find(jid)) {
    for (Session* session : account->sessions()) {
      if (jid.is_bare() || session->jid() == jid) targets.push_back(session->jid());
    }
  }
  std::vector<std::string> ended;
  for (const auto& target : targets) {
    // Looked up anew: ending a session runs hooks and may drop the account.
    Account* account = worker.accounts().find(target);
    Session* session = account == nullptr ? nullptr : account->find_session(target.resource());
    if (session == nullptr) continue;
    session->close(error);
    ended.emplace_back(target.str());
  }
  return ended;
}

}  // namespace xmppd
