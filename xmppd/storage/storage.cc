// See storage/storage.h.
#include "storage/storage.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <limits>
#include <mutex>
#include <span>
#include <thread>
#include <unordered_map>
#include <vector>

#include "storage/check.h"
#include "storage/connection_string.h"
#include "storage/schema.h"
#include "storage/session.h"
#include "storage/stores.h"
#include "xmpp/base/assert.h"
#include "xmpp/base/hash.h"
#include "xmpp/base/log.h"
#include "xmpp/base/random.h"

namespace xmppd {

using storage_detail::Operation;
using Operations = std::vector<std::unique_ptr<Operation>>;

namespace {

const xmpp::log::Context kLog{.component = "storage", .stream = {}, .jid = {}};

struct Counters {
  std::atomic<std::uint64_t> commits{0};
  std::atomic<std::uint64_t> operations{0};
  std::atomic<std::uint64_t> failures{0};
};

// A session with the stores on it, and the rules of transactions.
class Executor {
 public:
  Executor(std::unique_ptr<sql::Driver> driver, Counters& counters)
      : session_(std::move(driver)), tx_(session_), counters_(counters) {}

  [[nodiscard]] sql::Session& session() noexcept { return session_; }

  // One operation in a transaction of its own; its outcome is set. False: no transaction could be
  // begun.
  bool run_alone(Operation& operation) {
    ++counters_.operations;
    auto begun = session_.guarded([&] { begin_for(operation); });
    if (!begun) {
      operation.fail(begun.error());
      ++counters_.failures;
      return false;
    }
    const bool is_ok = run_in_transaction(operation);
    if (!is_ok) ++counters_.failures;
    if (!is_ok || !operation.is_write()) {
      session_.rollback();
      return true;
    }
    if (auto failed = commit()) {
      operation.fail(*failed);
      ++counters_.failures;
    }
    return true;
  }

  // All operations in one transaction if that can be; see run_range().
  void run_batch(const Operations& batch) { (void)run_range(batch); }

 private:
  void begin_for(const Operation& operation) {
    if (operation.is_write()) {
      session_.begin_write();
    } else {
      session_.begin_read();
    }
  }

  using Range = std::span<const std::unique_ptr<Operation>>;

  // All operations in one transaction; if that fails, one half after the other: those that cannot
  // be committed (a quota is full, an account has gone) cost the others a few commits more, not one
  // each. Gives why no transaction could be begun; all from there on have that as their outcome.
  std::optional<StorageError> run_range(Range batch) {
    if (batch.empty()) return std::nullopt;
    if (batch.size() == 1) {
      if (run_alone(*batch.front())) return std::nullopt;
      return *session_.failure();
    }
    auto begun = session_.guarded([&] { session_.begin_write(); });
    if (!begun) {
      fail_all(batch, begun.error());
      return begun.error();
    }
    if (run_together(batch)) {
      const auto failed = commit();
      if (!failed) {
        counters_.operations += batch.size();
        return std::nullopt;
      }
      if (session_.is_commit_undecided()) {
        finish_undecided(batch, *failed);
        return std::nullopt;
      }
    }
    session_.rollback();
    const Range rest = batch.subspan(batch.size() / 2);
    auto stuck = run_range(batch.first(batch.size() / 2));
    if (!stuck) return run_range(rest);
    // The rest would wait for the same lock just as long: a whole batch of time-outs.
    fail_all(rest, *stuck);
    return stuck;
  }

  // Nobody knows which of the writes were made. Whoever only reads, of the same key, is told what
  // the database says now.
  void finish_undecided(Range batch, const StorageError& error) {
    std::optional<StorageError> unreachable;
    for (const auto& operation : batch) {
      if (!operation->is_write() && !unreachable) {
        if (!run_alone(*operation)) unreachable = session_.failure();
        continue;
      }
      ++counters_.operations;
      ++counters_.failures;
      operation->fail(operation->is_write() ? error : *unreachable);
    }
  }

  // Every closure of the batch in the open transaction; false if it must not be committed.
  bool run_together(Range batch) {
    for (const auto& operation : batch) {
      if (!run_in_transaction(*operation)) return false;
    }
    return true;
  }

  // Runs the closure; false, with an error as its outcome, if the transaction must not be
  // committed.
  bool run_in_transaction(Operation& operation) {
    session_.set_read_only(!operation.is_write());
    bool is_ok = false;
    auto ran = session_.guarded([&] { is_ok = operation.run(tx_); });
    session_.set_read_only(false);
    if (!ran) {
      operation.fail(ran.error());
      return false;
    }
    if (is_ok && session_.failure()) {
      // The closure ignored the error of a store.
      operation.fail(*session_.failure());
      return false;
    }
    if (is_ok && !session_.is_in_transaction()) {
      operation.fail({StorageErrorCode::unavailable, "the transaction was lost"});
      return false;
    }
    return is_ok;
  }

  // Commits; an error if that failed, and then no transaction is open.
  std::optional<StorageError> commit() {
    auto committed = session_.guarded([&] { session_.commit(); });
    if (committed) {
      ++counters_.commits;
      return std::nullopt;
    }
    StorageError error = committed.error();
    const bool is_undecided = session_.is_commit_undecided();
    session_.rollback();
    if (!is_undecided) return error;
    error.code = StorageErrorCode::unavailable;
    error.text = "outcome of a commit unknown: " + error.text;
    xmpp::log::error(kLog, "commit failed; check the database and the disk that holds it",
                     {xmpp::log::kv("error", error.text)});
    return error;
  }

  void fail_all(Range batch, const StorageError& error) {
    counters_.operations += batch.size();
    counters_.failures += batch.size();
    for (const auto& operation : batch) operation->fail(error);
  }

  sql::Session session_;
  sql::SqlTx tx_;
  Counters& counters_;
};

sql::SessionOptions session_options(const StorageOptions& options, bool is_reader) {
  sql::SessionOptions session;
  session.driver = options.driver;
  session.is_reader = is_reader;
  session.is_synchronous_full = options.is_synchronous_full;
  session.timeout = options.timeout;
  session.path = options.path;
  session.vfs = options.vfs;
  session.connection = options.connection;
  return session;
}

// For people and logs: never a password.
std::string name_of(const StorageOptions& options) {
  if (options.driver == sql::DriverKind::sqlite) return options.path;
  return sql::describe_connection(options.connection).value_or("?");
}

// Reading everything may take long.
constexpr std::chrono::hours kCheckTimeout{1};

using SteadyClock = std::chrono::steady_clock;

// An operation and when it came.
struct Pending {
  std::unique_ptr<Operation> operation;
  SteadyClock::time_point since;
};

struct Queue {
  std::deque<Pending> waiting;
  std::condition_variable changed;
};

// A connection that writes, with the operations of its keys: also reads of keys with pending
// writes.
struct Writer {
  Writer(std::unique_ptr<sql::Driver> driver, Counters& counters)
      : executor(std::move(driver), counters) {}
  Executor executor;
  Queue queue;
};

}  // namespace

class SqlStorage::Impl {
 public:
  // Throws what sql::translate_current_exception() understands.
  explicit Impl(StorageOptions options) : options_(std::move(options)) {
    const bool is_sqlite = options_.driver == sql::DriverKind::sqlite;
    const unsigned writers = is_sqlite ? 1U : std::max(1U, options_.writers);
    for (unsigned i = 0; i < writers; ++i) {
      writers_.push_back(std::make_unique<Writer>(make_driver(false), counters_));
      if (i == 0) sql::migrate(writers_[0]->executor.session(), sql::migrations());
    }
    // Every connection to ":memory:" would have a database of its own.
    const unsigned readers = is_sqlite && options_.path == ":memory:" ? 0 : options_.readers;
    for (unsigned i = 0; i < readers; ++i) {
      readers_.push_back(std::make_unique<Executor>(make_driver(true), counters_));
    }
  }

  void start_threads() {
    if (!options_.has_threads) return;
    for (auto& writer : writers_) {
      threads_.emplace_back([this, &writer = *writer] { write_until_stopped(writer); });
    }
    for (auto& reader : readers_) {
      threads_.emplace_back([this, &reader = *reader] { read_until_stopped(reader); });
    }
  }

  std::optional<StorageError> submit(std::unique_ptr<Operation>& operation) {
    const std::lock_guard lock(mutex_);
    if (is_stopping_) return StorageError{StorageErrorCode::unavailable, "storage is stopped"};
    if (depth_ >= options_.queue) {
      return StorageError{StorageErrorCode::busy, "storage queue is full"};
    }
    ++depth_;
    if (operation->is_write()) {
      ++pending_writes_[operation->key()];
    } else if (!readers_.empty() && !pending_writes_.contains(operation->key())) {
      put(reads_, std::move(operation));
      return std::nullopt;
    }
    Writer& writer = *writers_[xmpp::KeyedHash()(operation->key()) % writers_.size()];
    put(writer.queue, std::move(operation));
    return std::nullopt;
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      is_stopping_ = true;
      reads_.changed.notify_all();
      for (auto& writer : writers_) writer->queue.changed.notify_all();
    }
    for (auto& thread : threads_) thread.join();
    threads_.clear();
    while (run_read() || run_batch()) {
    }
  }

  // Without threads only.
  bool run_read() {
    std::unique_lock lock(mutex_);
    if (reads_.waiting.empty()) return false;
    auto pending = take_one(reads_);
    lock.unlock();
    read(*readers_.front(), std::move(pending));
    return true;
  }
  bool run_batch() {
    for (auto& writer : writers_) {
      std::unique_lock lock(mutex_);
      if (writer->queue.waiting.empty()) continue;
      auto batch = take_batch(writer->queue);
      lock.unlock();
      write(*writer, std::move(batch));
      return true;
    }
    return false;
  }

  [[nodiscard]] StorageStatus status() {
    StorageStatus status;
    status.database = name_of(options_);
    status.schema_known = sql::migrations().size();
    status.waiting = depth();
    status.commits = counters_.commits;
    status.operations = counters_.operations;
    status.failures = counters_.failures;
    auto schema = on_own_connection(options_.timeout, true, [](sql::Session& session) {
      return static_cast<std::size_t>(sql::recorded_schema(session));
    });
    status.is_reachable = schema.has_value();
    if (schema) {
      status.schema = *schema;
    } else {
      status.error = schema.error().text;
    }
    return status;
  }
  StorageResult<std::vector<std::string>> check() {
    return on_own_connection(kCheckTimeout, true, &sql::check_integrity);
  }
  StorageResult<std::size_t> migrate() {
    return on_own_connection(options_.timeout, false, [](sql::Session& session) {
      return static_cast<std::size_t>(sql::migrate(session, sql::migrations()));
    });
  }

  [[nodiscard]] bool has_threads() const noexcept { return options_.has_threads; }
  [[nodiscard]] std::size_t depth() const noexcept {
    return depth_.load(std::memory_order_relaxed);
  }

 private:
  template <typename F>
  auto on_own_connection(std::chrono::milliseconds timeout, bool is_reader, F use)
      -> StorageResult<std::invoke_result_t<F, sql::Session&>> {
    if (options_.driver == sql::DriverKind::sqlite && options_.path == ":memory:") {
      return xmpp::Err(StorageError{StorageErrorCode::unavailable,
                                    "a database in memory has one connection only"});
    }
    sql::SessionOptions session_of = session_options(options_, is_reader);
    session_of.timeout = timeout;
    try {
      sql::Session session(options_.make_driver(session_of));
      return use(session);
    } catch (...) {
      return xmpp::Err(sql::translate_current_exception());
    }
  }

  [[nodiscard]] std::unique_ptr<sql::Driver> make_driver(bool is_reader) const {
    sql::SessionOptions session = session_options(options_, is_reader);
    session.server = server_;
    return options_.make_driver(session);
  }

  // The next three: REQUIRES: mutex_ held.
  void put(Queue& queue, std::unique_ptr<Operation> operation) {
    // The simulator's time stands still here.
    const auto now = options_.has_threads ? SteadyClock::now() : SteadyClock::time_point();
    queue.waiting.push_back({std::move(operation), now});
    queue.changed.notify_one();
  }
  Pending take_one(Queue& queue) {
    Pending pending = std::move(queue.waiting.front());
    queue.waiting.pop_front();
    --depth_;
    return pending;
  }
  std::vector<Pending> take_batch(Queue& queue) {
    std::vector<Pending> batch;
    batch.reserve(std::min(queue.waiting.size(), options_.batch));
    while (!queue.waiting.empty() && batch.size() < options_.batch) {
      batch.push_back(take_one(queue));
    }
    return batch;
  }

  // Has it waited for too long? Then that is its outcome.
  bool is_late(const Pending& pending, SteadyClock::time_point now) const {
    if (!options_.has_threads || now - pending.since <= 2 * options_.timeout) return false;
    pending.operation->fail({StorageErrorCode::busy, "storage is too slow"});
    return true;
  }

  void read(Executor& reader, Pending pending) {
    if (!is_late(pending, SteadyClock::now())) reader.run_alone(*pending.operation);
    pending.operation.release()->deliver();
  }

  void write(Writer& writer, std::vector<Pending> taken) {
    const auto now = SteadyClock::now();
    Operations batch;
    Operations late;
    for (Pending& one : taken) {
      Operations& into = is_late(one, now) ? late : batch;
      into.push_back(std::move(one.operation));
    }
    writer.executor.run_batch(batch);
    {
      const std::lock_guard lock(mutex_);
      for (const Operations* all : {&late, &batch}) {
        for (const auto& operation : *all) {
          if (operation->is_write()) forget_pending(operation->key());
        }
      }
    }
    for (Operations* all : {&late, &batch}) {
      for (auto& operation : *all) operation.release()->deliver();
    }
  }

  void forget_pending(const std::string& key) {
    const auto found = pending_writes_.find(key);
    XMPP_ASSERT(found != pending_writes_.end());
    if (--found->second == 0) pending_writes_.erase(found);
  }

  void write_until_stopped(Writer& writer) {
    std::unique_lock lock(mutex_);
    while (true) {
      writer.queue.changed.wait(lock,
                                [&] { return is_stopping_ || !writer.queue.waiting.empty(); });
      if (writer.queue.waiting.empty()) return;
      auto batch = take_batch(writer.queue);
      lock.unlock();
      write(writer, std::move(batch));
      lock.lock();
    }
  }

  void read_until_stopped(Executor& reader) {
    std::unique_lock lock(mutex_);
    while (true) {
      reads_.changed.wait(lock, [&] { return is_stopping_ || !reads_.waiting.empty(); });
      if (reads_.waiting.empty()) return;
      auto pending = take_one(reads_);
      lock.unlock();
      read(reader, std::move(pending));
      lock.lock();
    }
  }

  const StorageOptions options_;
  // A number that no other server has, for PostgreSQL: not 0, of 31 bits.
  const std::uint32_t server_ =
      static_cast<std::uint32_t>(1 + xmpp::OsRng().below(std::numeric_limits<std::int32_t>::max()));
  Counters counters_;
  std::vector<std::unique_ptr<Writer>> writers_;  // their queues are guarded by mutex_
  std::vector<std::unique_ptr<Executor>> readers_;

  std::mutex mutex_;  // guards what follows, up to the threads
  Queue reads_;
  std::atomic<std::size_t> depth_{0};  // written under mutex_, read by anybody
  // Keys are accounts, whose names strangers choose.
  std::unordered_map<std::string, std::size_t, xmpp::KeyedHash, std::equal_to<>> pending_writes_;
  bool is_stopping_ = false;

  std::vector<std::thread> threads_;
};

StorageResult<std::unique_ptr<SqlStorage>> SqlStorage::open(StorageOptions options) {
  const bool is_sqlite = options.driver == sql::DriverKind::sqlite;
  const std::string name = name_of(options);
  try {
    auto impl = std::make_unique<Impl>(std::move(options));
    impl->start_threads();
    return std::unique_ptr<SqlStorage>(new SqlStorage(std::move(impl)));
  } catch (...) {
    StorageError error = sql::translate_current_exception();
    error.text = "cannot open the database '" + name + "': " + error.text;
    if (error.code == StorageErrorCode::unavailable) {
      error.text += is_sqlite
                        ? " (its directory must exist and be writable for xmppd)"
                        : " (PostgreSQL must run, and let xmppd in as storage.connection says)";
    } else if (is_sqlite && error.code == StorageErrorCode::busy) {
      error.text += " (another program has it locked)";
    }
    return xmpp::Err(std::move(error));
  }
}

SqlStorage::SqlStorage(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SqlStorage::~SqlStorage() {
  stop();
}

void SqlStorage::stop() {
  impl_->stop();
}
bool SqlStorage::run_one() {
  return run_read() || run_batch();
}
bool SqlStorage::run_read() {
  return impl_->run_read();
}
bool SqlStorage::run_batch() {
  return impl_->run_batch();
}
std::size_t SqlStorage::depth() const noexcept {
  return impl_->depth();
}

StorageStatus SqlStorage::status() const {
  return impl_->status();
}
StorageResult<std::vector<std::string>> SqlStorage::check() const {
  return impl_->check();
}
StorageResult<std::size_t> SqlStorage::migrate() {
  return impl_->migrate();
}

std::optional<StorageError> SqlStorage::submit(std::unique_ptr<Operation>& operation) {
  return impl_->submit(operation);
}

void SqlStorage::drive() {
  if (impl_->has_threads()) return;
  while (run_one()) {
  }
}

}  // namespace xmppd
