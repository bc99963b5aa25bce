// See storage/sqlite.h.
#include "storage/sqlite.h"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <SQLiteCpp/Statement.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include "storage/session.h"

namespace xmppd::sql {
namespace {

StorageErrorCode code_of(int sqlite_code) noexcept {
  switch (sqlite_code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return StorageErrorCode::busy;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
      return StorageErrorCode::constraint;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
      return StorageErrorCode::corrupt;
    default:
      return StorageErrorCode::unavailable;
  }
}

bool is_memory(std::string_view path) noexcept {
  return path == ":memory:";
}

// The database holds keys of accounts: its file (and the files that SQLite makes after its model)
// is the server's alone. A failure shows when SQLite opens it.
void make_private_file(const SessionOptions& options) noexcept {
  if (options.is_reader || is_memory(options.path) || !options.vfs.empty()) return;
  const int fd = ::open(options.path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0) ::close(fd);
}

class SqliteStatement final : public Statement {
 public:
  SqliteStatement(SQLite::Database& database, const std::string& sql) : statement_(database, sql) {}

  void bind_text(int parameter, std::string_view text) override {
    statement_.bind(parameter, std::string(text));
  }
  void bind_integer(int parameter, std::int64_t number) override {
    statement_.bind(parameter, number);
  }
  void bind_blob(int parameter, std::string_view bytes) override {
    // A null pointer would bind NULL.
    statement_.bind(parameter, bytes.empty() ? "" : static_cast<const void*>(bytes.data()),
                    static_cast<int>(bytes.size()));
  }
  void bind_null(int parameter) override { statement_.bind(parameter); }

  bool step() override { return statement_.executeStep(); }
  int run() override { return statement_.exec(); }
  void post() override { statement_.exec(); }

  [[nodiscard]] bool is_null(int column) const override {
    return statement_.getColumn(column).isNull();
  }
  [[nodiscard]] std::int64_t integer(int column) const override {
    const SQLite::Column value = statement_.getColumn(column);
    if (!value.isInteger()) throw DataError("a number is stored as another type");
    return value.getInt64();
  }
  [[nodiscard]] std::string text(int column) const override {
    return statement_.getColumn(column).getString();
  }

  void reset() noexcept override {
    statement_.tryReset();  // its error is that of the last step, which was thrown already
    try {
      statement_.clearBindings();
    } catch (const SQLite::Exception&) {
      // Cannot fail for a prepared statement; the next use binds every parameter anew in any case.
    }
  }

 private:
  // SQLiteCpp's getColumn is not const.
  mutable SQLite::Statement statement_;
};

class SqliteDriver final : public Driver {
 public:
  explicit SqliteDriver(const SessionOptions& options)
      : database_(options.path,
                  options.is_reader ? SQLite::OPEN_READONLY
                                    : SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE,
                  static_cast<int>(options.timeout.count()), options.vfs) {
    database_.exec("PRAGMA foreign_keys = ON");
    if (options.is_reader) return;
    const std::string mode = database_.execAndGet("PRAGMA journal_mode = WAL").getString();
    if (mode != "wal" && !is_memory(options.path)) {
      throw std::runtime_error("the file system does not support SQLite's WAL mode");
    }
    database_.exec(options.is_synchronous_full ? "PRAGMA synchronous = FULL"
                                               : "PRAGMA synchronous = NORMAL");
  }

  [[nodiscard]] DriverKind kind() const noexcept override { return DriverKind::sqlite; }
  std::unique_ptr<Statement> prepare(std::string_view sql) override {
    return std::make_unique<SqliteStatement>(database_, std::string(sql));
  }
  void execute(const std::string& statements) override { database_.exec(statements); }

  void begin(bool is_write) override {
    is_commit_undecided_ = false;
    SqliteStatement& begin = is_write ? begin_write_ : begin_read_;
    run(begin);
  }
  void commit() override {
    is_commit_undecided_ = true;
    try {
      run(commit_);
    } catch (const SQLite::Exception& error) {
      // "Busy" leaves the transaction open, so that nothing was committed for certain.
      if (code_of(error.getErrorCode()) == StorageErrorCode::busy && is_in_transaction()) {
        is_commit_undecided_ = false;
      }
      throw;
    }
    is_commit_undecided_ = false;
  }
  void rollback() noexcept override {
    // ROLLBACK of an open transaction fails only for a broken connection, whose next BEGIN fails
    // too and is reported then.
    (void)database_.tryExec("ROLLBACK");
  }
  [[nodiscard]] bool is_in_transaction() const noexcept override {
    return sqlite3_get_autocommit(database_.getHandle()) == 0;
  }
  [[nodiscard]] bool is_commit_undecided() const noexcept override { return is_commit_undecided_; }

 private:
  static void run(SqliteStatement& statement) {
    struct Reset {
      SqliteStatement& statement;
      ~Reset() { statement.reset(); }
    } const reset{statement};
    statement.run();
  }

  SQLite::Database database_;
  SqliteStatement begin_write_{database_, "BEGIN IMMEDIATE"};
  SqliteStatement begin_read_{database_, "BEGIN"};
  SqliteStatement commit_{database_, "COMMIT"};
  bool is_commit_undecided_ = false;
};

}  // namespace

std::unique_ptr<Driver> make_sqlite_driver(const SessionOptions& options) {
  make_private_file(options);
  return std::make_unique<SqliteDriver>(options);
}

std::optional<StorageErrorCode> sqlite_code_of(const std::exception& error) noexcept {
  const auto* sqlite = dynamic_cast<const SQLite::Exception*>(&error);
  if (sqlite == nullptr) return std::nullopt;
  return code_of(sqlite->getErrorCode());
}

}  // namespace xmppd::sql
