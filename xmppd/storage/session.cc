// See storage/session.h.
#include "storage/session.h"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <SQLiteCpp/Statement.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <unordered_map>

#include "xmpp/base/assert.h"

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

}  // namespace

StorageError translate_current_exception() noexcept {
  try {
    throw;
  } catch (const SQLite::Exception& error) {
    return {code_of(error.getErrorCode()), error.what()};
  } catch (const DataError& error) {
    return {StorageErrorCode::corrupt, error.what()};
  } catch (const std::exception& error) {
    return {StorageErrorCode::unavailable, error.what()};
  } catch (...) {
    return {StorageErrorCode::unavailable, "unknown exception"};
  }
}

struct Query::Rep {
  Rep(SQLite::Database& database, const std::string& sql) : statement(database, sql) {}
  SQLite::Statement statement;
  bool is_in_use = false;
};

Query::~Query() {
  rep_.statement.tryReset();  // its error is that of the last step, which was thrown already
  try {
    rep_.statement.clearBindings();
  } catch (const SQLite::Exception&) {
    // Cannot fail for a prepared statement; the next use binds every parameter anew in any case.
  }
  rep_.is_in_use = false;
}

Query& Query::bind(std::string_view text) {
  rep_.statement.bind(++bound_, std::string(text));
  return *this;
}

Query& Query::bind(std::int64_t number) {
  rep_.statement.bind(++bound_, number);
  return *this;
}

Query& Query::bind_blob(std::string_view bytes) {
  // A null pointer would bind NULL.
  rep_.statement.bind(++bound_, bytes.empty() ? "" : static_cast<const void*>(bytes.data()),
                      static_cast<int>(bytes.size()));
  return *this;
}

bool Query::step() {
  return rep_.statement.executeStep();
}

int Query::run() {
  return rep_.statement.exec();
}

bool Query::is_null(int column) const {
  return rep_.statement.getColumn(column).isNull();
}

std::int64_t Query::integer(int column) const {
  const SQLite::Column value = rep_.statement.getColumn(column);
  if (!value.isInteger()) throw DataError("a number is stored as another type");
  return value.getInt64();
}

std::string Query::text(int column) const {
  return rep_.statement.getColumn(column).getString();
}

struct Session::Impl {
  explicit Impl(const SessionOptions& options)
      : database(options.path,
                 options.is_reader ? SQLite::OPEN_READONLY
                                   : SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE,
                 options.busy_timeout_ms, options.vfs) {}
  SQLite::Database database;
  std::unordered_map<std::string, std::unique_ptr<Query::Rep>> statements;
};

Session::Session(const SessionOptions& options) {
  make_private_file(options);
  impl_ = std::make_unique<Impl>(options);
  SQLite::Database& database = impl_->database;
  database.exec("PRAGMA foreign_keys = ON");
  if (options.is_reader) return;
  const std::string mode = database.execAndGet("PRAGMA journal_mode = WAL").getString();
  if (mode != "wal" && !is_memory(options.path)) {
    throw std::runtime_error("the file system does not support SQLite's WAL mode");
  }
  database.exec(options.is_synchronous_full ? "PRAGMA synchronous = FULL"
                                            : "PRAGMA synchronous = NORMAL");
}

Session::~Session() = default;

Query Session::query(std::string_view sql) {
  auto& slot = impl_->statements[std::string(sql)];
  if (!slot) slot = std::make_unique<Query::Rep>(impl_->database, std::string(sql));
  XMPP_ASSERT(!slot->is_in_use);
  slot->is_in_use = true;
  return Query(*slot);
}

Query Session::change(std::string_view sql) {
  XMPP_ASSERT(!is_read_only_);
  return query(sql);
}

void Session::execute(const char* sql) {
  impl_->database.exec(sql);
}

void Session::begin_write() {
  failure_.reset();
  query("BEGIN IMMEDIATE").run();
}

void Session::begin_read() {
  failure_.reset();
  query("BEGIN").run();
}

void Session::commit() {
  query("COMMIT").run();
}

void Session::rollback() noexcept {
  if (!is_in_transaction()) return;
  if (impl_->database.tryExec("ROLLBACK") != SQLITE_OK) {
    // ROLLBACK of an open transaction fails only for a broken connection, whose next BEGIN fails
    // too and is reported then.
    return;
  }
}

bool Session::is_in_transaction() const noexcept {
  return sqlite3_get_autocommit(impl_->database.getHandle()) == 0;
}

StorageError Session::fail_with_current_exception() noexcept {
  StorageError error = translate_current_exception();
  if (!failure_) failure_ = error;
  return error;
}

}  // namespace xmppd::sql
