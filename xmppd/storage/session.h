// sql::Session: one connection to the database with its prepared statements; sql::Query: one
// statement bound and run. What the stores are written on; the driver does not show.
//
// Failures are exceptions inside guarded() and StorageError outside of it: guarded() is the one
// place where the drivers' exceptions are caught.
//
// Thread-safety: one thread at a time.
// Invariants: (1) a Query resets its statement when it dies, so that no read lock and no bound
// secret stays. (2) failure() is the first error since begin(): a transaction that has one is not
// committed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "storage/driver.h"
#include "xmpp/base/hash.h"
#include "xmppd/storage.h"

namespace xmppd::sql {

// Thrown by a store for a stored value that it cannot understand.
class DataError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A cached statement in use. Columns count from 0.
class Query {
 public:
  Query(Query&&) = delete;
  ~Query();

  // Binds the next parameter.
  Query& bind(std::string_view text);
  Query& bind(std::int64_t number);
  Query& bind_blob(std::string_view bytes);
  Query& bind_null();

  // To the next row; false at the end.
  bool step() { return statement_.step(); }
  // Runs a statement that gives no rows; the rows it changed.
  int run() { return statement_.run(); }
  // The same where nobody wants to know the rows changed: PostgreSQL is not waited for. Its failure
  // may show later, at the latest when the closure's transaction is to be committed.
  void post() { statement_.post(); }

  [[nodiscard]] bool is_null(int column) const { return statement_.is_null(column); }
  [[nodiscard]] std::int64_t integer(int column) const { return statement_.integer(column); }
  // Blobs too.
  [[nodiscard]] std::string text(int column) const { return statement_.text(column); }

 private:
  friend class Session;
  explicit Query(Statement& statement) : statement_(statement) {}
  Statement& statement_;
  int bound_ = 0;
};

class Session {
 public:
  // Throws what guarded() or translate() understand.
  explicit Session(const SessionOptions& options) : Session(make_driver(options)) {}
  explicit Session(std::unique_ptr<Driver> driver) : driver_(std::move(driver)) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] DriverKind kind() const noexcept { return driver_->kind(); }

  // REQUIRES: `sql` is a literal (cached by its text) of portable SQL (storage/dialect.h), not in
  // use by another Query.
  [[nodiscard]] Query query(std::string_view sql);
  // For a statement that changes data. REQUIRES: not in a read.
  [[nodiscard]] Query change(std::string_view sql);
  // Several portable statements, not cached, for migrations.
  void execute(std::string_view statements);

  // Runs `body`; what it throws becomes a StorageError and marks the transaction as failed.
  template <typename F>
  auto guarded(F&& body) noexcept -> StorageResult<std::invoke_result_t<F&>> {
    try {
      if constexpr (std::is_void_v<std::invoke_result_t<F&>>) {
        body();
        return {};
      } else {
        return body();
      }
    } catch (...) {
      return xmpp::Err(fail_with_current_exception());
    }
  }

  // Transactions; all throw.
  void begin_write();
  void begin_read();
  void commit();
  // Never throws; nothing if no transaction is open.
  void rollback() noexcept;
  // Is a transaction open? The driver may end one on its own after an error.
  [[nodiscard]] bool is_in_transaction() const noexcept { return driver_->is_in_transaction(); }
  // After a commit() that failed: may it have happened?
  [[nodiscard]] bool is_commit_undecided() const noexcept { return driver_->is_commit_undecided(); }

  // The first failure since begin.
  [[nodiscard]] const std::optional<StorageError>& failure() const noexcept { return failure_; }
  // While set, change() is refused (asserted): a read runs.
  void set_read_only(bool read_only) noexcept { is_read_only_ = read_only; }

 private:
  StorageError fail_with_current_exception() noexcept;

  std::unique_ptr<Driver> driver_;
  std::unordered_map<std::string, std::unique_ptr<Statement>, xmpp::KeyedHash, std::equal_to<>>
      statements_;
  std::optional<StorageError> failure_;
  bool is_read_only_ = false;
};

// The exception in flight as an error. REQUIRES: called in a catch block.
[[nodiscard]] StorageError translate_current_exception() noexcept;

}  // namespace xmppd::sql
