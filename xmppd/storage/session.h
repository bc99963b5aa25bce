// sql::Session: one connection to the database with its prepared statements; sql::Query: one
// statement bound and run. What the stores are written on; the driver (SQLiteCpp) does not show.
//
// Failures are exceptions inside guarded() and StorageError outside of it: guarded() is the one
// place where the driver's exceptions are caught.
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
#include <utility>

#include "xmppd/storage.h"

namespace xmppd::sql {

// Thrown by a store for a stored value that it cannot understand.
class DataError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct SessionOptions {
  std::string path;
  std::string vfs;
  bool is_reader = false;
  bool is_synchronous_full = true;
  int busy_timeout_ms = 5'000;
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

  // To the next row; false at the end.
  bool step();
  // Runs a statement that gives no rows; the rows it changed.
  int run();

  [[nodiscard]] bool is_null(int column) const;
  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::string text(int column) const;  // blobs too

 private:
  friend class Session;
  struct Rep;
  explicit Query(Rep& rep) : rep_(rep) {}
  Rep& rep_;
  int bound_ = 0;
};

class Session {
 public:
  // Throws what guarded() or translate() understand.
  explicit Session(const SessionOptions& options);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // REQUIRES: `sql` is a literal (cached by its text), not in use by another Query.
  [[nodiscard]] Query query(std::string_view sql);
  // For a statement that changes data. REQUIRES: not in a read.
  [[nodiscard]] Query change(std::string_view sql);
  // Several statements, not cached, for migrations.
  void execute(const char* sql);

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
  [[nodiscard]] bool is_in_transaction() const noexcept;

  // The first failure since begin.
  [[nodiscard]] const std::optional<StorageError>& failure() const noexcept { return failure_; }
  // While set, change() is refused (asserted): a read runs.
  void set_read_only(bool read_only) noexcept { is_read_only_ = read_only; }

 private:
  struct Impl;
  StorageError fail_with_current_exception() noexcept;

  std::unique_ptr<Impl> impl_;
  std::optional<StorageError> failure_;
  bool is_read_only_ = false;
};

// The exception in flight as an error. REQUIRES: called in a catch block.
[[nodiscard]] StorageError translate_current_exception() noexcept;

}  // namespace xmppd::sql
