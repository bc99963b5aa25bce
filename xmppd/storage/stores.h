// The SQL implementations of the SDK's stores, and the Tx that bundles them. Private to storage/.
//
// Thread-safety: the thread of the session.
#pragma once

#include "storage/session.h"
#include "xmppd/storage.h"

namespace xmppd::sql {

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

 private:
  [[nodiscard]] std::uint64_t version_of(const xmpp::Jid& account);
  void remove(const xmpp::Jid& account, const xmpp::Jid& contact);
  Session& session_;
};

class SqlTx final : public Tx {
 public:
  explicit SqlTx(Session& session) : accounts_(session), key_value_(session), rosters_(session) {}
  Accounts& accounts() override { return accounts_; }
  KeyValue& key_value() override { return key_value_; }
  Rosters& rosters() override { return rosters_; }

 private:
  SqlAccounts accounts_;
  SqlKeyValue key_value_;
  SqlRosters rosters_;
};

}  // namespace xmppd::sql
