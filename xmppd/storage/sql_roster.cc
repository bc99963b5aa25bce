// Rosters over SQL: one row per contact, one per group of a contact, one for the version, one for
// the last presence.
//
// Invariant: roster_contacts has no row that is neither listed nor a request.
#include "storage/stores.h"
#include "xmpp/base/assert.h"

namespace xmppd::sql {
namespace {

using xmpp::Jid;

RosterSubscription subscription_of(std::int64_t number) {
  if (number < 0 || number > 3) {
    throw DataError("unknown subscription " + std::to_string(number) + " in the database");
  }
  return static_cast<RosterSubscription>(number);
}

// REQUIRES: `jid` is the address of an account.
void check(const Jid& jid) noexcept {
  XMPP_ASSERT(!jid.local().empty() && jid.is_bare());
}

}  // namespace

std::uint64_t SqlRosters::version_of(const Jid& account) {
  Query select = session_.query(
      "SELECT COALESCE(v.version, a.created_at_ms) FROM accounts a LEFT JOIN roster_versions v"
      " ON v.host = a.host AND v.username = a.username WHERE a.host = ? AND a.username = ?");
  if (!select.bind(account.domain()).bind(account.local()).step()) return 0;
  return static_cast<std::uint64_t>(select.integer(0));
}

StorageResult<RosterRecord> SqlRosters::load(const Jid& account) {
  check(account);
  return session_.guarded([&] {
    RosterRecord roster;
    roster.version = version_of(account);
    Query contacts = session_.query(
        "SELECT contact, listed, name, subscription, asked, approved, request FROM roster_contacts"
        " WHERE host = ? AND username = ? ORDER BY contact");
    contacts.bind(account.domain()).bind(account.local());
    while (contacts.step()) {
      RosterContact& contact = roster.contacts.emplace_back();
      contact.jid = jid_from(contacts.text(0));
      if (contact.jid.is_full()) throw DataError("a contact with a resource in the database");
      contact.is_listed = contacts.integer(1) != 0;
      contact.name = text_from(contacts.text(2));
      contact.subscription = subscription_of(contacts.integer(3));
      contact.is_asked = contacts.integer(4) != 0;
      contact.is_approved = contacts.integer(5) != 0;
      contact.request = contacts.text(6);
    }
    // Both in the order of the contacts: one pass.
    Query groups = session_.query(
        "SELECT contact, name FROM roster_groups WHERE host = ? AND username = ?"
        " ORDER BY contact, name");
    groups.bind(account.domain()).bind(account.local());
    auto at = roster.contacts.begin();
    while (groups.step()) {
      const std::string contact = groups.text(0);
      while (at != roster.contacts.end() && at->jid.str() < contact) ++at;
      if (at == roster.contacts.end()) throw DataError("a group of no contact");
      at->groups.push_back(text_from(groups.text(1)));
    }
    Query presence =
        session_.query("SELECT presence FROM last_presences WHERE host = ? AND username = ?");
    presence.bind(account.domain()).bind(account.local());
    if (presence.step()) roster.last_presence = presence.text(0);
    return roster;
  });
}

void SqlRosters::remove(const Jid& account, const Jid& contact) {
  // Its groups go by ON DELETE CASCADE.
  Query remove = session_.change(
      "DELETE FROM roster_contacts WHERE host = ? AND username = ? AND contact = ?");
  remove.bind(account.domain()).bind(account.local()).bind(contact.str()).post();
}

StorageResult<void> SqlRosters::put(const Jid& account, const RosterContact& contact) {
  check(account);
  XMPP_ASSERT(contact.jid.is_bare());
  return session_.guarded([&] {
    remove(account, contact.jid);
    if (contact.is_empty()) return;
    check_key(account, contact.jid.str());
    for (const std::string& group : contact.groups) check_key(account, contact.jid.str(), group);
    Query insert = session_.change(
        "INSERT INTO roster_contacts (host, username, contact, listed, name, subscription, asked,"
        " approved, request) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
    insert.bind(account.domain()).bind(account.local()).bind(contact.jid.str());
    insert.bind(std::int64_t{contact.is_listed}).bind(contact.name);
    insert.bind(static_cast<std::int64_t>(contact.subscription));
    insert.bind(std::int64_t{contact.is_asked}).bind(std::int64_t{contact.is_approved});
    insert.bind_blob(contact.request).post();
    for (const std::string& group : contact.groups) {
      Query add = session_.change(
          "INSERT INTO roster_groups (host, username, contact, name) VALUES (?, ?, ?, ?)");
      add.bind(account.domain()).bind(account.local()).bind(contact.jid.str()).bind(group).post();
    }
  });
}

StorageResult<std::uint64_t> SqlRosters::raise_version(const Jid& account) {
  check(account);
  return session_.guarded([&] {
    const std::uint64_t next = version_of(account) + 1;
    Query upsert = session_.change(
        "INSERT INTO roster_versions (host, username, version) VALUES (?, ?, ?)"
        " ON CONFLICT (host, username) DO UPDATE SET version = excluded.version");
    upsert.bind(account.domain()).bind(account.local());
    upsert.bind(static_cast<std::int64_t>(next)).post();
    return next;
  });
}

StorageResult<void> SqlRosters::put_last_presence(const Jid& account, std::string_view presence) {
  check(account);
  return session_.guarded([&] {
    Query upsert = session_.change(
        "INSERT INTO last_presences (host, username, presence) VALUES (?, ?, ?)"
        " ON CONFLICT (host, username) DO UPDATE SET presence = excluded.presence");
    upsert.bind(account.domain()).bind(account.local()).bind_blob(presence).post();
  });
}

}  // namespace xmppd::sql
