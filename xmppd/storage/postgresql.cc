// See storage/postgresql.h.
#include "storage/postgresql.h"

#include <array>
#include <charconv>
#include <cstring>

#include "storage/dialect.h"
#include "storage/pg_connection.h"
#include "storage/session.h"

namespace xmppd::sql {
namespace {

// Results that may be under way: bounds what libpq buffers.
constexpr std::size_t kQueuedMax = 256;

// Types of results, from pg_type.dat.
constexpr Oid kBool = 16;
constexpr Oid kInt8 = 20;
constexpr Oid kInt2 = 21;
constexpr Oid kInt4 = 23;
constexpr Oid kNumeric = 1700;

std::int64_t big_endian(const char* bytes, int size) noexcept {
  std::uint64_t value = (static_cast<unsigned char>(bytes[0]) & 0x80U) != 0 ? ~0ULL : 0ULL;
  for (int i = 0; i < size; ++i) value = value << 8U | static_cast<unsigned char>(bytes[i]);
  return static_cast<std::int64_t>(value);
}

// Sums are numeric: digits to the base of 10,000, see numeric_send() of PostgreSQL.
std::int64_t numeric_to_integer(const char* bytes, int size) {
  if (size < 8) throw DataError("a number is too short");
  const std::int64_t digits = big_endian(bytes, 2);
  const std::int64_t weight = big_endian(bytes + 2, 2);
  const std::int64_t sign = big_endian(bytes + 4, 2);
  if (digits > weight + 1 || weight > 3 || size < 8 + 2 * digits) {
    throw DataError("a number is no integer of 62 bits");
  }
  std::int64_t value = 0;
  for (std::int64_t i = 0; i <= weight; ++i) {
    value = value * 10'000 + (i < digits ? big_endian(bytes + 8 + 2 * i, 2) : 0);
  }
  return sign == 0 ? value : -value;
}

class PgStatement;

// What statements share with their driver.
struct Shared {
  explicit Shared(const SessionOptions& options) : connection(options) {}
  PgResult finish();

  PgConnection connection;
  std::uint64_t names = 0;
  // Statements whose preparation nobody has seen succeed yet.
  std::vector<PgStatement*> unproved;
};

class PgStatement final : public Statement {
 public:
  PgStatement(Shared& shared, std::string sql) : shared_(shared), sql_(std::move(sql)) {}

  void bind_text(int parameter, std::string_view text) override {
    bind(parameter, std::string(text), 1);
  }
  void bind_integer(int parameter, std::int64_t number) override {
    bind(parameter, std::to_string(number), 0);
  }
  void bind_blob(int parameter, std::string_view bytes) override {
    bind(parameter, std::string(bytes), 1);
  }
  void bind_null(int parameter) override { bind(parameter, std::nullopt, 0); }

  bool step() override {
    if (!result_) {
      send();
      result_ = shared_.finish();
      row_ = -1;
    }
    return ++row_ < PQntuples(result_.get());
  }
  int run() override {
    send();
    const PgResult result = shared_.finish();
    const char* count = PQcmdTuples(result.get());
    int rows = 0;
    std::from_chars(count, count + std::strlen(count), rows);
    return rows;
  }
  void post() override {
    send();
    if (shared_.connection.queued() >= kQueuedMax) (void)shared_.finish();
  }

  [[nodiscard]] bool is_null(int column) const override {
    return PQgetisnull(result_.get(), row_, column) != 0;
  }
  [[nodiscard]] std::int64_t integer(int column) const override {
    const char* bytes = PQgetvalue(result_.get(), row_, column);
    const int size = PQgetlength(result_.get(), row_, column);
    if (is_null(column)) throw DataError("a number is missing");
    switch (PQftype(result_.get(), column)) {
      case kBool:
        return bytes[0];
      case kInt2:
      case kInt4:
      case kInt8:
        return big_endian(bytes, size);
      case kNumeric:
        return numeric_to_integer(bytes, size);
      default:
        throw DataError("a number is stored as another type");
    }
  }
  [[nodiscard]] std::string text(int column) const override {
    return {PQgetvalue(result_.get(), row_, column),
            static_cast<std::size_t>(PQgetlength(result_.get(), row_, column))};
  }

  void reset() noexcept override {
    result_.reset();
    parameters_.values.clear();
    parameters_.formats.clear();
  }

  void forget_preparation() noexcept { generation_ = 0; }

 private:
  void bind(int parameter, std::optional<std::string> value, int format) {
    const auto index = static_cast<std::size_t>(parameter - 1);
    if (parameters_.values.size() <= index) {
      parameters_.values.resize(index + 1);
      parameters_.formats.resize(index + 1);
    }
    parameters_.values[index] = std::move(value);
    parameters_.formats[index] = format;
  }

  void send() {
    if (!shared_.connection.is_connected()) {
      throw DatabaseError(StorageErrorCode::unavailable, "the connection to the database is lost");
    }
    if (generation_ != shared_.connection.generation()) {
      name_ = "s" + std::to_string(++shared_.names);
      shared_.unproved.push_back(this);
      generation_ = shared_.connection.generation();
      shared_.connection.send_prepare(name_, sql_);
    }
    shared_.connection.send_prepared(name_, parameters_);
  }

  Shared& shared_;
  const std::string sql_;
  std::string name_;
  std::uint64_t generation_ = 0;  // 0: not prepared
  PgParameters parameters_;
  PgResult result_;
  int row_ = -1;
};

PgResult Shared::finish() {
  try {
    PgResult last = connection.finish();
    unproved.clear();
    return last;
  } catch (...) {
    for (PgStatement* statement : unproved) statement->forget_preparation();
    unproved.clear();
    throw;
  }
}

class PgDriver final : public Driver {
 public:
  explicit PgDriver(const SessionOptions& options) : shared_(options) {
    shared_.connection.connect();
  }

  [[nodiscard]] DriverKind kind() const noexcept override { return DriverKind::postgresql; }
  std::unique_ptr<Statement> prepare(std::string_view sql) override {
    return std::make_unique<PgStatement>(shared_, to_dialect(DriverKind::postgresql, sql));
  }
  void execute(const std::string& statements) override {
    if (shared_.connection.queued() != 0) (void)shared_.finish();
    shared_.connection.execute(statements);
  }

  void begin(bool is_write) override {
    is_open_ = false;
    is_undecided_ = false;
    shared_.connection.ensure_connected();
    // A read is one snapshot, however many statements it has.
    shared_.connection.send(is_write ? "BEGIN" : "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    is_open_ = true;
  }
  void commit() override {
    if (!is_in_transaction()) {
      throw DatabaseError(StorageErrorCode::unavailable, "the connection to the database is lost");
    }
    shared_.connection.send("COMMIT");
    PgResult result;
    try {
      result = shared_.finish();
    } catch (...) {
      // An error that the server told means that it rolled back.
      is_undecided_ = !shared_.connection.is_connected();
      throw;
    }
    is_open_ = false;
    // COMMIT of a transaction that failed before rolls back and says so.
    if (std::string_view(PQcmdStatus(result.get())) != "COMMIT") {
      throw DatabaseError(StorageErrorCode::unavailable, "the transaction was rolled back");
    }
  }
  void rollback() noexcept override {
    is_open_ = false;
    if (!shared_.connection.is_connected()) return;
    try {
      if (shared_.connection.queued() != 0) settle();
      shared_.connection.send("ROLLBACK");
      (void)shared_.finish();
    } catch (...) {
      // The next begin() makes a fresh connection; the server rolls back what this one left.
      shared_.connection.close();
    }
  }
  [[nodiscard]] bool is_in_transaction() const noexcept override {
    return is_open_ && shared_.connection.is_connected();
  }
  [[nodiscard]] bool is_commit_undecided() const noexcept override { return is_undecided_; }

 private:
  // Waits for what was queued; what it says does not matter any more.
  void settle() {
    try {
      (void)shared_.finish();
    } catch (const DatabaseError&) {
      if (!shared_.connection.is_connected()) throw;
    }
  }

  Shared shared_;
  bool is_open_ = false;
  bool is_undecided_ = false;
};

}  // namespace

std::unique_ptr<Driver> make_postgresql_driver(const SessionOptions& options) {
  return std::make_unique<PgDriver>(options);
}

}  // namespace xmppd::sql
