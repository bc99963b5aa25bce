// The SQL implementations of the SDK's stores, and the Tx that bundles them. Private to storage/.
//
// Thread-safety: the thread of the session.
#pragma once

#include <algorithm>

#include "storage/session.h"
#include "xmppd/storage.h"

namespace xmppd::sql {

// Stored times. What no time can be becomes the nearest that can.
[[nodiscard]] constexpr std::int64_t to_milliseconds(xmpp::Duration value) noexcept {
  return std::chrono::duration_cast<std::chrono::milliseconds>(value).count();
}
[[nodiscard]] constexpr xmpp::Duration duration_from(std::int64_t milliseconds) noexcept {
  // A quarter of what fits, so that sums and differences of two fit, too.
  constexpr std::int64_t kMost = to_milliseconds(xmpp::Duration::max()) / 4;
  return std::chrono::milliseconds(std::clamp(milliseconds, -kMost, kMost));
}
[[nodiscard]] constexpr xmpp::Timestamp timestamp_from(std::int64_t milliseconds) noexcept {
  return xmpp::Timestamp(duration_from(milliseconds));
}
// A stored address, or text that goes to clients; both throw DataError if it is none, e.g. because
// a client's stream could not contain it.
[[nodiscard]] xmpp::Jid jid_from(std::string_view text);
[[nodiscard]] std::string text_from(std::string text);

// Throws DatabaseError(constraint) for what exceeds kKeyBytesMax.
void check_key(const xmpp::Jid& account, std::string_view first, std::string_view second = {});

class SqlAccounts final : public Accounts {
 public:
  explicit SqlAccounts(Session& session) : session_(session) {}
  StorageResult<bool> create(const AccountRecord& account) override;
  StorageResult<std::optional<AccountRecord>> find(const xmpp::Jid& jid) override;
  StorageResult<bool> exists(const xmpp::Jid& jid) override;
  StorageResult<bool> remove(const xmpp::Jid& jid) override;
  StorageResult<std::vector<AccountSummary>> list(std::string_view host, std::string_view after,
                                                  std::size_t limit) override;
  StorageResult<bool> set_keys(const xmpp::Jid& jid,
                               const std::vector<xmpp::sasl::ScramKeys>& keys) override;
  StorageResult<bool> set_enabled(const xmpp::Jid& jid, bool is_enabled) override;
  StorageResult<std::uint64_t> count(std::string_view host) override;
  StorageResult<xmpp::sasl::ScramHashSet> common_hashes(std::string_view host) override;
  StorageResult<std::vector<IterationCount>> iteration_counts(std::string_view host,
                                                              std::size_t sample) override;

 private:
  void insert_keys(const xmpp::Jid& jid, const std::vector<xmpp::sasl::ScramKeys>& keys);
  Session& session_;
};

class SqlKeyValue final : public KeyValue {
 public:
  explicit SqlKeyValue(Session& session) : session_(session) {}
  StorageResult<std::optional<std::string>> find(std::string_view space,
                                                 std::string_view key) override;
  StorageResult<void> put(std::string_view space, std::string_view key,
                          std::string_view value) override;
  StorageResult<bool> remove(std::string_view space, std::string_view key) override;
  StorageResult<std::vector<KeyValueRow>> list(std::string_view space) override;

 private:
  Session& session_;
};

class SqlRosters final : public Rosters {
 public:
  explicit SqlRosters(Session& session) : session_(session) {}
  StorageResult<RosterRecord> load(const xmpp::Jid& account) override;
  StorageResult<void> put(const xmpp::Jid& account, const RosterContact& contact) override;
  StorageResult<std::uint64_t> raise_version(const xmpp::Jid& account) override;
  StorageResult<void> put_last_presence(const xmpp::Jid& account,
                                        std::string_view presence) override;

 private:
  [[nodiscard]] std::uint64_t version_of(const xmpp::Jid& account);
  void remove(const xmpp::Jid& account, const xmpp::Jid& contact);
  Session& session_;
};

class SqlOfflineMessages final : public OfflineMessages {
 public:
  explicit SqlOfflineMessages(Session& session) : session_(session) {}
  StorageResult<OfflineOutcome> add(const xmpp::Jid& account, const OfflineMessage& message,
                                    const OfflineLimits& limits) override;
  StorageResult<std::vector<OfflineMessage>> load(const xmpp::Jid& account, std::uint64_t after,
                                                  std::size_t messages, std::size_t bytes) override;
  StorageResult<std::uint64_t> remove(const xmpp::Jid& account, std::uint64_t up_to) override;

 private:
  Session& session_;
};

class SqlAccountData final : public AccountData {
 public:
  explicit SqlAccountData(Session& session) : session_(session) {}
  StorageResult<std::optional<std::string>> find(const xmpp::Jid& account, std::string_view space,
                                                 std::string_view key) override;
  StorageResult<bool> put(const xmpp::Jid& account, std::string_view space, std::string_view key,
                          std::string_view value, const DataLimits& limits) override;
  StorageResult<bool> remove(const xmpp::Jid& account, std::string_view space,
                             std::string_view key) override;

 private:
  Session& session_;
};

class SqlSmQueues final : public SmQueues {
 public:
  explicit SqlSmQueues(Session& session) : session_(session) {}
  StorageResult<void> put(const SmSessionRecord& session) override;
  StorageResult<void> append(const std::string& id, const std::vector<SmStanza>& stanzas) override;
  StorageResult<void> remove_stanzas(const std::string& id) override;
  StorageResult<void> remove(const std::string& id) override;
  StorageResult<std::vector<SmStored>> load() override;

 private:
  Session& session_;
};

class SqlBlocklists final : public Blocklists {
 public:
  explicit SqlBlocklists(Session& session) : session_(session) {}
  StorageResult<std::vector<xmpp::Jid>> load(const xmpp::Jid& account) override;
  StorageResult<void> add(const xmpp::Jid& account, const std::vector<xmpp::Jid>& jids) override;
  StorageResult<void> remove(const xmpp::Jid& account, const std::vector<xmpp::Jid>& jids) override;

 private:
  Session& session_;
};

class SqlTx final : public Tx {
 public:
  explicit SqlTx(Session& session)
      : accounts_(session),
        key_value_(session),
        rosters_(session),
        offline_(session),
        account_data_(session),
        sm_queues_(session),
        blocklists_(session) {}
  Accounts& accounts() override { return accounts_; }
  KeyValue& key_value() override { return key_value_; }
  Rosters& rosters() override { return rosters_; }
  OfflineMessages& offline() override { return offline_; }
  AccountData& account_data() override { return account_data_; }
  SmQueues& sm_queues() override { return sm_queues_; }
  Blocklists& blocklists() override { return blocklists_; }

 private:
  SqlAccounts accounts_;
  SqlKeyValue key_value_;
  SqlRosters rosters_;
  SqlOfflineMessages offline_;
  SqlAccountData account_data_;
  SqlSmQueues sm_queues_;
  SqlBlocklists blocklists_;
};

}  // namespace xmppd::sql
