// PgConnection: a libpq connection in pipeline mode that opens itself again, and the results of
// what was sent over it. Private to the PostgreSQL driver.
//
// One server at a time has a database: each of its connections holds a shared advisory lock of the
// database's schema and the server's number, and gets none while one of another number is held.
//
// Thread-safety: one thread at a time.
// Invariants: (1) between two calls either nothing is under way or what is under way was only
// queued by send(). (2) After a failure that leaves the connection's state unknown it is closed.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/driver.h"

namespace xmppd::sql {

struct ClearResult {
  void operator()(PGresult* result) const noexcept { PQclear(result); }
};
using PgResult = std::unique_ptr<PGresult, ClearResult>;

struct PgParameters {
  // nullopt: NULL.
  std::vector<std::optional<std::string>> values;
  std::vector<int> formats;  // 0 text, 1 binary
};

class PgConnection {
 public:
  explicit PgConnection(const SessionOptions& options);
  ~PgConnection();
  PgConnection(const PgConnection&) = delete;
  PgConnection& operator=(const PgConnection&) = delete;

  // Connects now. Throws.
  void connect();
  // Connects if there is no connection and the last attempt is long enough ago. Throws.
  void ensure_connected();
  [[nodiscard]] bool is_connected() const noexcept { return connection_ != nullptr; }
  // Counts connections: what was prepared on another one is gone.
  [[nodiscard]] std::uint64_t generation() const noexcept { return generation_; }

  // Queues a statement without waiting; `name` empty: `sql` is run unprepared.
  void send(const char* sql);
  void send_prepare(const std::string& name, const std::string& sql);
  void send_prepared(const std::string& name, const PgParameters& parameters);
  // Statements queued whose results nobody has taken.
  [[nodiscard]] std::size_t queued() const noexcept { return queued_; }
  // Waits for all that was queued; the last statement's result. Throws the first failure.
  PgResult finish();
  // Several statements at once, without a bound on the time. REQUIRES: nothing is queued.
  void execute(const std::string& statements);

  // Forgets the connection.
  void close() noexcept;

 private:
  using Clock = std::chrono::steady_clock;
  struct CloseConnection {
    void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
  };

  void open();
  void set_up();
  // Throws if another server has claimed the database and keeps it until `deadline`.
  void claim(Clock::time_point deadline);
  [[nodiscard]] std::string timeout_statement() const;
  // Waits until the socket is ready for one of poll()'s `events`; throws at the deadline.
  void wait(short events, Clock::time_point deadline);
  [[nodiscard]] Clock::time_point answer_deadline() const noexcept;
  void flush();
  PgResult next_result();
  [[noreturn]] void lose(const std::string& why);
  void check_sent(int is_sent);
  [[nodiscard]] bool is_stale() noexcept;

  SessionOptions options_;
  std::string name_;  // for the log
  std::unique_ptr<PGconn, CloseConnection> connection_;
  std::uint64_t generation_ = 0;
  std::size_t queued_ = 0;
  bool has_connected_ = false;  // ever
  Clock::time_point next_attempt_{};
  std::chrono::milliseconds pause_{0};
};

// The failure that a result tells, as what is thrown.
[[nodiscard]] DatabaseError error_of(const PGresult* result);

}  // namespace xmppd::sql
