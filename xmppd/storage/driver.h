// What sql::Session asks of a database: a connection that prepares statements and brackets them in
// transactions. One implementation per database (storage/sqlite.cc, storage/postgresql.cc); nothing
// else of storage/ knows a driver's library.
//
// Failures are exceptions: DatabaseError, or what the driver's library throws and
// sql::translate_current_exception() understands.
//
// Thread-safety: one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "xmpp/base/secret.h"
#include "xmppd/storage.h"

namespace xmppd::sql {

// A failure that the database told, or that the connection has.
class DatabaseError : public std::runtime_error {
 public:
  DatabaseError(StorageErrorCode code, const std::string& text)
      : std::runtime_error(text), code_(code) {}
  [[nodiscard]] StorageErrorCode code() const noexcept { return code_; }

 private:
  StorageErrorCode code_;
};

enum class DriverKind : std::uint8_t { sqlite, postgresql };

struct SessionOptions {
  DriverKind driver = DriverKind::sqlite;
  bool is_reader = false;
  bool is_synchronous_full = true;
  // How long a lock, and with PostgreSQL any answer, is waited for.
  std::chrono::milliseconds timeout{5'000};
  // SQLite.
  std::string path;
  std::string vfs;
  // PostgreSQL: "host=... dbname=...", or a URI.
  xmpp::Secret connection;
  // Claims the database for the server of this number, if it is not 0.
  std::uint32_t server = 0;
};

// A prepared statement. Parameters count from 1, columns from 0.
class Statement {
 public:
  Statement() = default;
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  virtual ~Statement() = default;

  virtual void bind_text(int parameter, std::string_view text) = 0;
  virtual void bind_integer(int parameter, std::int64_t number) = 0;
  virtual void bind_blob(int parameter, std::string_view bytes) = 0;
  virtual void bind_null(int parameter) = 0;
  // To the next row; false at the end.
  virtual bool step() = 0;
  // Runs to the end; the rows changed.
  virtual int run() = 0;
  // Runs without waiting where the database can; its failure may be thrown by a later step(),
  // run() or commit().
  virtual void post() = 0;
  [[nodiscard]] virtual bool is_null(int column) const = 0;
  [[nodiscard]] virtual std::int64_t integer(int column) const = 0;
  [[nodiscard]] virtual std::string text(int column) const = 0;
  // Ends the use: no read lock, no row and no bound value stays.
  virtual void reset() noexcept = 0;

 private:
  friend class Session;
  friend class Query;
  bool is_in_use_ = false;
};

class Driver {
 public:
  Driver() = default;
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;
  virtual ~Driver() = default;

  [[nodiscard]] virtual DriverKind kind() const noexcept = 0;
  // `sql` is portable SQL, see storage/dialect.h. Prepared when first run.
  [[nodiscard]] virtual std::unique_ptr<Statement> prepare(std::string_view sql) = 0;
  // Several statements in the database's own words, however long that takes.
  virtual void execute(const std::string& statements) = 0;

  // Connects anew first if the connection was lost.
  virtual void begin(bool is_write) = 0;
  virtual void commit() = 0;
  virtual void rollback() noexcept = 0;
  [[nodiscard]] virtual bool is_in_transaction() const noexcept = 0;
  // After a commit() that threw: may the transaction be committed nevertheless?
  [[nodiscard]] virtual bool is_commit_undecided() const noexcept = 0;
};

using DriverFactory = std::function<std::unique_ptr<Driver>(const SessionOptions&)>;

// The driver of options.driver, connected. Throws.
[[nodiscard]] std::unique_ptr<Driver> make_driver(const SessionOptions& options);

}  // namespace xmppd::sql
