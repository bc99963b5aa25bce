// Offline messages over SQL: one row per message, numbered per account.
#include "storage/stores.h"
#include "xmpp/base/assert.h"

namespace xmppd::sql {
namespace {

using xmpp::Jid;
using xmpp::Timestamp;

// REQUIRES: `jid` is the address of an account.
void check(const Jid& jid) noexcept {
  XMPP_ASSERT(!jid.local().empty() && jid.is_bare());
}

std::int64_t to_ms(Timestamp at) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
}

}  // namespace

StorageResult<OfflineOutcome> SqlOfflineMessages::add(const Jid& account,
                                                      const OfflineMessage& message,
                                                      const OfflineLimits& limits) {
  check(account);
  return session_.guarded([&] {
    Query exists = session_.query("SELECT 1 FROM accounts WHERE host = ? AND username = ?");
    if (!exists.bind(account.domain()).bind(account.local()).step()) {
      return OfflineOutcome::no_account;
    }
    Query used = session_.query(
        "SELECT COUNT(*), COALESCE(SUM(bytes), 0),"
        " COALESCE(SUM(CASE WHEN sender = ? THEN 1 ELSE 0 END), 0)"
        " FROM offline_messages WHERE host = ? AND username = ?");
    const std::string sender(message.sender.bare_str());
    check_key(account, sender);
    used.bind(sender).bind(account.domain()).bind(account.local()).step();
    const auto is_above = [&](int column, std::uint64_t more, std::uint64_t limit) {
      return static_cast<std::uint64_t>(used.integer(column)) + more > limit;
    };
    if (is_above(0, 1, limits.messages) || is_above(1, message.stanza.size(), limits.bytes) ||
        is_above(2, 1, limits.messages_per_sender)) {
      return OfflineOutcome::full;
    }
    Query newest = session_.query(
        "SELECT COALESCE(MAX(number), 0) FROM offline_messages WHERE host = ? AND username = ?");
    newest.bind(account.domain()).bind(account.local()).step();
    Query insert = session_.change(
        "INSERT INTO offline_messages (host, username, number, sender, received_at_ms, bytes,"
        " stanza) VALUES (?, ?, ?, ?, ?, ?, ?)");
    insert.bind(account.domain()).bind(account.local()).bind(newest.integer(0) + 1).bind(sender);
    insert.bind(to_ms(message.received_at));
    insert.bind(static_cast<std::int64_t>(message.stanza.size())).bind_blob(message.stanza).post();
    return OfflineOutcome::stored;
  });
}

StorageResult<std::vector<OfflineMessage>> SqlOfflineMessages::load(const Jid& account,
                                                                    std::uint64_t after,
                                                                    std::size_t messages,
                                                                    std::size_t bytes) {
  check(account);
  return session_.guarded([&] {
    Query select = session_.query(
        "SELECT number, sender, received_at_ms, stanza FROM offline_messages"
        " WHERE host = ? AND username = ? AND number > ? ORDER BY number LIMIT ?");
    select.bind(account.domain()).bind(account.local()).bind(static_cast<std::int64_t>(after));
    select.bind(static_cast<std::int64_t>(messages));
    std::vector<OfflineMessage> loaded;
    std::size_t size = 0;
    while (size < bytes && select.step()) {
      OfflineMessage& message = loaded.emplace_back();
      message.number = static_cast<std::uint64_t>(select.integer(0));
      message.sender = Jid::from_prepared(select.text(1));
      message.received_at = timestamp_from(select.integer(2));
      message.stanza = select.text(3);
      size += message.stanza.size();
    }
    return loaded;
  });
}

StorageResult<std::uint64_t> SqlOfflineMessages::remove(const Jid& account, std::uint64_t up_to) {
  check(account);
  return session_.guarded([&] {
    Query remove = session_.change(
        "DELETE FROM offline_messages WHERE host = ? AND username = ? AND number <= ?");
    remove.bind(account.domain()).bind(account.local()).bind(static_cast<std::int64_t>(up_to));
    return static_cast<std::uint64_t>(remove.run());
  });
}

}  // namespace xmppd::sql
