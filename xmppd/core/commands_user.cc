// Commands about accounts: add, passwd, delete, list.
#include <array>

#include "core/commands.h"
#include "core/ownership.h"
#include "xmpp/core/prep.h"

namespace xmppd {
namespace {

using Object = CommandValue::Object;
using List = CommandValue::List;
using Keys = std::vector<xmpp::sasl::ScramKeys>;
using ResultTask = xmpp::Task<CommandResult>;

constexpr std::size_t kListPage = 500;

CommandError no_account(const xmpp::Jid& jid) {
  return {"not-found", "there is no account " + std::string(jid.str())};
}

CommandValue done(const xmpp::Jid& jid, std::string_view what) {
  return Object{{"jid", jid.str()},
                {"text", "account " + std::string(jid.str()) + ' ' + std::string(what)}};
}

// The keys of a password for every hash, made on an offload thread.
xmpp::Task<xmpp::Result<Keys, CommandError>> derive_keys(CommandContext& context, xmpp::Jid jid,
                                                         xmpp::Secret password) {
  const Server& server = context.server;
  const HostConfig* host = find_host(server, jid.domain());
  if (host == nullptr) co_return xmpp::Err(unknown_host(server, jid.domain()));
  auto prepared = xmpp::sasl::prepare_password(password.reveal());
  if (!prepared) {
    co_return xmpp::Err(
        CommandError{"bad-argument", "password: empty, or with control or unassigned characters"});
  }
  std::string salt(xmpp::sasl::kSaltSize, '\0');
  context.rng.fill(std::as_writable_bytes(std::span(salt)));
  const auto iterations = server.config().profiles.at(host->profile).auth.scram_iterations;
  auto derive = [password = std::move(*prepared), salt = std::move(salt), iterations] {
    const auto made = xmpp::sasl::derive_scram_keys(password, salt, iterations);
    // By pointer: GCC 12 takes a vector in nested optionals for uninitialised.
    return std::make_unique<Keys>(made.begin(), made.end());
  };
  auto deriving = context.server.offload().run(context.reactor, std::move(derive));
  auto keys = co_await deriving;
  if (!keys) {
    co_return xmpp::Err(CommandError{"unavailable", "too much work waits: try again later"});
  }
  co_return std::move(**keys);
}

// What SCRAM may be offered has changed. On an offload thread, since it waits for the storage.
xmpp::Task<void> refresh_hashes(CommandContext& context, xmpp::Jid jid) {
  auto refresh = [&server = context.server, host = std::string(jid.domain())] {
    server.refresh_facts(host);
    return true;
  };
  auto refreshing = context.server.offload().run(context.reactor, std::move(refresh));
  const auto is_refreshed = co_await refreshing;
  if (!is_refreshed) {
    xmpp::log::warn(
        {.component = "control"},
        "password hashes not looked up again, too much work waits: they are at restart");
  }
}

struct ForgetAbsence {
  xmpp::Jid jid;
  bool operator()(Worker& worker) const {
    worker.activator().forget(jid);
    return true;
  }
};

ResultTask add_user(CommandContext& context, CommandArguments arguments) {
  const auto jid = arguments.get<xmpp::Jid>("jid");
  if (xmpp::prep::nodeprep_differs(jid.local())) {
    co_return xmpp::Err(CommandError{
        "bad-argument",
        "jid: older servers would write this name differently and could not address it"});
  }
  auto deriving = derive_keys(context, jid, arguments.get<xmpp::Secret>("password"));
  auto keys = co_await std::move(deriving);
  if (!keys) co_return xmpp::Err(keys.error());
  AccountRecord record{.jid = jid, .created_at = context.reactor.wall(), .keys = std::move(*keys)};
  auto create = [](Tx& tx, const AccountRecord& account) { return tx.accounts().create(account); };
  auto creating = context.server.storage().write(context.reactor, jid, create, std::move(record));
  auto created = co_await creating;
  if (!created) co_return xmpp::Err(storage_failed(created.error()));
  if (!*created) {
    co_return xmpp::Err(
        CommandError{"conflict", "account " + std::string(jid.str()) + " exists already"});
  }
  // An account with keys for every hash changes nothing about what all accounts have in common, so
  // the hashes need not be looked up again.
  std::vector<std::size_t> owner = {owner_of(jid, context.server.worker_count())};
  ForgetAbsence question{jid};
  auto asked = ask_workers<bool>(context, std::move(owner), question);
  auto answered = co_await std::move(asked);
  if (!answered) co_return xmpp::Err(workers_silent());
  co_return done(jid, "created");
}

ResultTask change_password(CommandContext& context, CommandArguments arguments) {
  const auto jid = arguments.get<xmpp::Jid>("jid");
  auto deriving = derive_keys(context, jid, arguments.get<xmpp::Secret>("password"));
  auto keys = co_await std::move(deriving);
  if (!keys) co_return xmpp::Err(keys.error());
  auto change = [](Tx& tx, const xmpp::Jid& who, const Keys& fresh) {
    return tx.accounts().set_keys(who, fresh);
  };
  auto changing =
      context.server.storage().write(context.reactor, jid, change, jid, std::move(*keys));
  auto changed = co_await changing;
  if (!changed) co_return xmpp::Err(storage_failed(changed.error()));
  if (!*changed) co_return xmpp::Err(no_account(jid));
  context.server.key_generations().raise(jid);
  auto refreshing = refresh_hashes(context, jid);
  co_await std::move(refreshing);
  co_return done(jid, "has a new password");
}

struct EndAccount {
  xmpp::Jid jid;
  RosterRecord roster;
  bool operator()(Worker& worker) const {
    // In-band registration has not-authorized for this, too, and Prosody sends the same.
    // It also keeps clients from trying again for ever with a password that cannot work.
    worker.end_account(jid, roster, {xmpp::StreamCondition::not_authorized, "Account deleted"});
    return true;
  }
};

ResultTask delete_user(CommandContext& context, CommandArguments arguments) {
  const auto jid = arguments.get<xmpp::Jid>("jid");
  if (find_host(context.server, jid.domain()) == nullptr) {
    co_return xmpp::Err(unknown_host(context.server, jid.domain()));
  }
  auto remove = [](Tx& tx, const xmpp::Jid& who) { return remove_account(tx, who); };
  auto removing = context.server.storage().write(context.reactor, jid, remove, jid);
  auto removed = co_await removing;
  if (!removed) co_return xmpp::Err(storage_failed(removed.error()));
  if (!*removed) co_return xmpp::Err(no_account(jid));
  std::vector<std::size_t> owner = {owner_of(jid, context.server.worker_count())};
  EndAccount question{jid, std::move(**removed)};
  auto asked = ask_workers<bool>(context, std::move(owner), question);
  auto answered = co_await std::move(asked);
  auto refreshing = refresh_hashes(context, jid);
  co_await std::move(refreshing);
  if (!answered) co_return xmpp::Err(workers_silent());
  co_return done(jid, "deleted");
}

// Keeps the items.
class ItemList final : public ItemSink {
 public:
  void send(const CommandValue& item) override { items.push_back(item); }
  xmpp::Completion<bool> room() override {
    xmpp::Completion<bool> at_once;
    at_once.ticket().complete(true);
    return at_once;
  }
  List items;
};

ResultTask stream_users(CommandContext& context, CommandArguments arguments, ItemSink& sink) {
  const std::string host(arguments.get<xmpp::Jid>("host").str());
  if (find_host(context.server, host) == nullptr) {
    co_return xmpp::Err(unknown_host(context.server, host));
  }
  auto page = [](Tx& tx, const std::string& of, const std::string& after) {
    return tx.accounts().list(of, after, kListPage);
  };
  std::string after;
  bool is_more = true;
  while (is_more) {
    auto room = sink.room();
    const bool is_heard = co_await room;
    if (!is_heard) co_return CommandValue();
    auto reading = context.server.storage().read(context.reactor, host, page, host, after);
    auto found = co_await reading;
    if (!found) co_return xmpp::Err(storage_failed(found.error()));
    for (const auto& account : *found) {
      sink.send(Object{{"jid", account.jid.str()},
                       {"enabled", account.is_enabled},
                       {"created", xmpp::format_timestamp(account.created_at)}});
    }
    is_more = found->size() == kListPage;
    if (is_more) after = found->back().jid.local();
  }
  co_return CommandValue(List{});
}

ResultTask list_users(CommandContext& context, CommandArguments arguments) {
  ItemList list;
  auto streaming = stream_users(context, std::move(arguments), list);
  auto result = co_await std::move(streaming);
  if (!result) co_return xmpp::Err(result.error());
  co_return CommandValue(std::move(list.items));
}

constexpr ArgumentInfo kJid{
    .name = "jid", .type = ArgumentType::bare_jid, .help = "The account, user@host"};
constexpr ArgumentInfo kPassword{.name = "password",
                                 .type = ArgumentType::new_password,
                                 .help = "The new password",
                                 .is_option = true};
constexpr std::array kPasswordArguments = {kJid, kPassword};
constexpr std::array kDeleteArguments = {kJid};
constexpr std::array kListArguments = {
    ArgumentInfo{.name = "host", .type = ArgumentType::host, .help = "The domain"}};

constexpr std::array kCommands = {
    Command{{.group = "user",
             .name = "add",
             .help = "Create an account",
             .arguments = kPasswordArguments},
            &add_user},
    Command{{.group = "user",
             .name = "passwd",
             .help = "Set the password of an account; its sessions go on",
             .arguments = kPasswordArguments},
            &change_password},
    Command{{.group = "user",
             .name = "delete",
             .help = "Delete an account and end its sessions",
             .arguments = kDeleteArguments,
             .is_destructive = true},
            &delete_user},
    Command{{.group = "user",
             .name = "list",
             .help = "List the accounts of a domain",
             .arguments = kListArguments},
            &list_users,
            &stream_users},
};

}  // namespace

std::span<const Command> user_commands() noexcept {
  return kCommands;
}

}  // namespace xmppd
