// See storage/pg_connection.h.
#include "storage/pg_connection.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <thread>

#include "storage/connection_string.h"
#include "xmpp/base/log.h"

namespace xmppd::sql {
namespace {

using std::chrono::milliseconds;
using xmpp::log::kv;

const xmpp::log::Context kLog{.component = "storage", .stream = {}, .jid = {}};
constexpr milliseconds kFirstPause{100};
constexpr milliseconds kLongestPause{2'000};
// The server gives up on a statement by itself at the timeout; when it does not even do that, it is
// gone.
constexpr milliseconds kGrace{2'000};

// How soon it is looked again whether another server has let go of the database.
constexpr milliseconds kClaimPause{50};

// Names the claims on this schema; an advisory lock belongs to a database already. See pg_locks in
// PostgreSQL's documentation for how locks of two keys are shown.
constexpr const char* kClaimKey = "hashtext('xmppd ' || coalesce(current_schema(), ''))";

// For whoever finds the database claimed.
std::string application_name() {
  std::array<char, 40> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
  return "xmppd on " + std::string(host.data()) + ", process " + std::to_string(::getpid());
}

std::string trimmed(const char* text) {
  std::string line = text == nullptr ? "" : text;
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

// SQLSTATE, appendix A of PostgreSQL's documentation.
StorageErrorCode code_of(std::string_view state) noexcept {
  const std::string_view group = state.substr(0, 2);
  if (group == "22" || group == "23" || group == "54") return StorageErrorCode::constraint;
  // Serialization failures and deadlocks, locks not to be had, statements that took too long, too
  // many connections.
  if (group == "40" || state == "55P03" || state == "57014" || state == "53300") {
    return StorageErrorCode::busy;
  }
  if (state == "XX001" || state == "XX002") return StorageErrorCode::corrupt;
  return StorageErrorCode::unavailable;
}

}  // namespace

DatabaseError error_of(const PGresult* result) {
  const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  const char* primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  if (state == nullptr) {
    return {StorageErrorCode::unavailable, trimmed(PQresultErrorMessage(result))};
  }
  // The detail is left out: it quotes values.
  return {code_of(state), trimmed(primary) + " (" + state + ')'};
}

PgConnection::PgConnection(const SessionOptions& options)
    : options_(options), name_(describe_connection(options.connection).value_or("?")) {}

PgConnection::~PgConnection() = default;

void PgConnection::connect() {
  open();
  set_up();
  // At a start, what a server before this one left behind may be about to go.
  if (options_.server != 0) {
    claim(has_connected_ ? Clock::now() : Clock::now() + options_.timeout);
  }
  has_connected_ = true;
}

void PgConnection::ensure_connected() {
  if (connection_ && (queued_ != 0 || is_stale())) {
    close();
    xmpp::log::warn(kLog, "database connection lost, connecting again", {kv("database", name_)});
  }
  if (connection_) return;
  if (Clock::now() < next_attempt_) {
    throw DatabaseError(StorageErrorCode::unavailable, "the database cannot be reached");
  }
  try {
    connect();
  } catch (const DatabaseError& error) {
    close();
    if (pause_ == milliseconds(0)) {
      xmpp::log::error(kLog, "database cannot be reached: see whether it runs",
                       {kv("database", name_), kv("error", error.what())});
    }
    pause_ = std::clamp(pause_ * 2, kFirstPause, kLongestPause);
    next_attempt_ = Clock::now() + pause_;
    throw;
  }
  pause_ = milliseconds(0);
  xmpp::log::info(kLog, "database connected again", {kv("database", name_)});
}

// Bytes from an idle server are its farewell.
bool PgConnection::is_stale() noexcept {
  // First what it says, then that it has gone.
  for (int i = 0; i < 3; ++i) {
    pollfd fd{PQsocket(connection_.get()), POLLIN, 0};
    if (::poll(&fd, 1, 0) == 0) return false;
    if (PQconsumeInput(connection_.get()) == 0) return true;
    if (PQstatus(connection_.get()) != CONNECTION_OK) return true;
  }
  return false;
}

void PgConnection::open() {
  close();
  const std::array keys = {"fallback_application_name", "dbname",
                           static_cast<const char*>(nullptr)};
  const std::string name = application_name();
  const std::array values = {name.c_str(), options_.connection.reveal().c_str(),
                             static_cast<const char*>(nullptr)};
  connection_.reset(PQconnectStartParams(keys.data(), values.data(), 1));
  if (!connection_) throw std::bad_alloc();
  ++generation_;
  const auto deadline = Clock::now() + options_.timeout;
  PQsetNoticeProcessor(
      connection_.get(), [](void*, const char*) {}, nullptr);
  auto wanted = PGRES_POLLING_WRITING;
  while (PQstatus(connection_.get()) != CONNECTION_BAD) {
    wait(wanted == PGRES_POLLING_WRITING ? POLLOUT : POLLIN, deadline);
    wanted = PQconnectPoll(connection_.get());
    if (wanted == PGRES_POLLING_OK) return;
    if (wanted == PGRES_POLLING_FAILED) break;
  }
  lose(trimmed(PQerrorMessage(connection_.get())));
}

void PgConnection::set_up() {
  if (PQsetnonblocking(connection_.get(), 1) != 0 || PQenterPipelineMode(connection_.get()) == 0) {
    lose("no pipeline mode");
  }
  send("SET client_encoding = 'UTF8'");
  send("SET standard_conforming_strings = on");
  send("SET default_transaction_isolation = 'read committed'");
  send(timeout_statement().c_str());
  // A server that died without a word must not keep the database from the one that comes after it.
  send("SET tcp_keepalives_idle = 30");
  send("SET tcp_keepalives_interval = 10");
  send("SET tcp_keepalives_count = 3");
  send(("SET idle_in_transaction_session_timeout = " + std::to_string(2 * options_.timeout.count()))
           .c_str());
  if (!options_.is_synchronous_full) send("SET synchronous_commit = off");
  (void)finish();
}

void PgConnection::claim(Clock::time_point deadline) {
  const std::string key = kClaimKey;
  const std::string number = std::to_string(options_.server);
  // Of two that look at the same time, one waits for the other.
  const std::string serialise = "SELECT pg_advisory_xact_lock(" + key + ')';
  const std::string find =
      "SELECT coalesce(a.application_name, '?') || coalesce(' at ' || host(a.client_addr), '') ||"
      " coalesce(', connected since ' || date_trunc('second', a.backend_start)::text, '')"
      " FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid"
      " WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted"
      " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
      " AND l.classid::bigint = (" +
      key + "::bigint & 4294967295) AND l.objid::bigint <> " + number +
      " ORDER BY a.backend_start LIMIT 1";
  const std::string take = "SELECT pg_advisory_lock_shared(" + key + ", " + number + ')';
  for (;;) {
    send("BEGIN");
    send(serialise.c_str());
    send(find.c_str());
    const PgResult holder = finish();
    if (PQntuples(holder.get()) == 0) {
      send(take.c_str());
      send("COMMIT");
      (void)finish();
      return;
    }
    if (Clock::now() >= deadline) {
      // For one that runs it is as if the database was gone.
      throw DatabaseError(
          has_connected_ ? StorageErrorCode::unavailable : StorageErrorCode::busy,
          "another server uses this database: " + trimmed(PQgetvalue(holder.get(), 0, 0)));
    }
    send("ROLLBACK");
    (void)finish();
    std::this_thread::sleep_for(kClaimPause);
  }
}

std::string PgConnection::timeout_statement() const {
  return "SET statement_timeout = " + std::to_string(options_.timeout.count());
}

PgConnection::Clock::time_point PgConnection::answer_deadline() const noexcept {
  return Clock::now() + options_.timeout + kGrace;
}

void PgConnection::wait(short events, Clock::time_point deadline) {
  const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
  pollfd fd{PQsocket(connection_.get()), events, 0};
  const int ready = ::poll(&fd, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
  if (ready == 0) lose("the database does not answer");
  if (ready < 0 && errno != EINTR) lose("poll failed");
}

// Reads meanwhile: a server that cannot send its answers does not read.
void PgConnection::flush() {
  const auto deadline = answer_deadline();
  int left = 0;
  while ((left = PQflush(connection_.get())) == 1) {
    wait(POLLIN | POLLOUT, deadline);
    if (PQconsumeInput(connection_.get()) == 0) lose(trimmed(PQerrorMessage(connection_.get())));
  }
  if (left < 0) lose(trimmed(PQerrorMessage(connection_.get())));
}

void PgConnection::lose(const std::string& why) {
  // libpq's messages name host and port, never the password.
  const std::string text = why;
  close();
  throw DatabaseError(StorageErrorCode::unavailable, text);
}

void PgConnection::close() noexcept {
  connection_.reset();
  queued_ = 0;
}

void PgConnection::check_sent(int is_sent) {
  if (is_sent == 0) lose(trimmed(PQerrorMessage(connection_.get())));
  ++queued_;
}

void PgConnection::send(const char* sql) {
  check_sent(PQsendQueryParams(connection_.get(), sql, 0, nullptr, nullptr, nullptr, nullptr, 1));
}

void PgConnection::send_prepare(const std::string& name, const std::string& sql) {
  check_sent(PQsendPrepare(connection_.get(), name.c_str(), sql.c_str(), 0, nullptr));
}

void PgConnection::send_prepared(const std::string& name, const PgParameters& parameters) {
  std::vector<const char*> values;
  std::vector<int> lengths;
  for (const auto& value : parameters.values) {
    values.push_back(value ? value->c_str() : nullptr);
    lengths.push_back(value ? static_cast<int>(value->size()) : 0);
  }
  check_sent(PQsendQueryPrepared(connection_.get(), name.c_str(), static_cast<int>(values.size()),
                                 values.data(), lengths.data(), parameters.formats.data(), 1));
}

// nullptr: the end of one statement's results.
PgResult PgConnection::next_result() {
  const auto deadline = answer_deadline();
  while (PQisBusy(connection_.get()) != 0) {
    wait(POLLIN, deadline);
    if (PQconsumeInput(connection_.get()) == 0) lose(trimmed(PQerrorMessage(connection_.get())));
  }
  return PgResult(PQgetResult(connection_.get()));
}

PgResult PgConnection::finish() {
  if (PQpipelineSync(connection_.get()) == 0) lose(trimmed(PQerrorMessage(connection_.get())));
  flush();
  PgResult last;
  std::optional<DatabaseError> failure;
  bool is_gap = false;  // after a result comes one nullptr; two mean that there is nothing more
  while (true) {
    PgResult result = next_result();
    if (!result) {
      if (is_gap) lose("the connection to the database broke");
      is_gap = true;
      continue;
    }
    is_gap = false;
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_PIPELINE_SYNC) break;
    if (status == PGRES_FATAL_ERROR) {
      if (PQstatus(connection_.get()) == CONNECTION_BAD) lose(error_of(result.get()).what());
      if (!failure) failure = error_of(result.get());
    } else if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) {
      last = std::move(result);
    }
  }
  queued_ = 0;
  if (failure) throw DatabaseError(*failure);
  return last;
}

void PgConnection::execute(const std::string& statements) {
  if (PQexitPipelineMode(connection_.get()) == 0) lose("pipeline mode does not end");
  const std::string all = "SET statement_timeout = 0;" + statements + ';' + timeout_statement();
  const PgResult result(PQexec(connection_.get(), all.c_str()));
  if (PQstatus(connection_.get()) == CONNECTION_BAD) {
    lose(trimmed(PQerrorMessage(connection_.get())));
  }
  if (PQenterPipelineMode(connection_.get()) == 0) lose("no pipeline mode");
  const ExecStatusType status = PQresultStatus(result.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) throw error_of(result.get());
}

}  // namespace xmppd::sql
