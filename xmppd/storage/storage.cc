// See storage/storage.h.
#include "storage/storage.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "storage/schema.h"
#include "storage/session.h"
#include "storage/stores.h"
#include "xmpp/base/assert.h"
#include "xmpp/base/log.h"

namespace xmppd {

using storage_detail::Operation;
using Operations = std::vector<std::unique_ptr<Operation>>;

namespace {

const xmpp::log::Context kLog{.component = "storage", .stream = {}, .jid = {}};

// A session with the stores on it, and the rules of transactions.
class Executor {
 public:
  explicit Executor(const sql::SessionOptions& options) : session_(options), tx_(session_) {}

  [[nodiscard]] sql::Session& session() noexcept { return session_; }

  // One operation in a transaction of its own; its outcome is set. False: no transaction could be
  // begun.
  bool run_alone(Operation& operation) {
    auto begun = session_.guarded([&] { begin_for(operation); });
    if (!begun) {
      operation.fail(begun.error());
      return false;
    }
    if (!run_in_transaction(operation)) {
      session_.rollback();
      return true;
    }
    if (auto failed = commit()) operation.fail(*failed);
    return true;
  }

  // All operations in one transaction; if that fails, each alone.
  void run_batch(const Operations& batch) {
    if (batch.size() > 1) {
      auto begun = session_.guarded([&] { session_.begin_write(); });
      if (!begun) return fail_all(batch, 0, begun.error());
      if (run_together(batch)) {
        if (auto failed = commit()) {
          // Only "busy" leaves the transaction open, so that nothing was committed for certain.
          if (failed->code != StorageErrorCode::busy) return fail_all(batch, 0, *failed);
        } else {
          return;
        }
      }
      session_.rollback();
    }
    for (std::size_t i = 0; i < batch.size(); ++i) {
      // The rest would wait for the same lock just as long: a whole batch of time-outs.
      if (!run_alone(*batch[i])) return fail_all(batch, i + 1, *session_.failure());
    }
  }

 private:
  void begin_for(const Operation& operation) {
    if (operation.is_write()) {
      session_.begin_write();
    } else {
      session_.begin_read();
    }
  }

  // Every closure of the batch in the open transaction; false if it must not be committed.
  bool run_together(const Operations& batch) {
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

  // Commits; an error if that failed. "busy" means that the transaction is still open.
  std::optional<StorageError> commit() {
    auto committed = session_.guarded([&] { session_.commit(); });
    if (committed) return std::nullopt;
    StorageError error = committed.error();
    if (error.code == StorageErrorCode::busy && session_.is_in_transaction()) return error;
    session_.rollback();
    error.code = StorageErrorCode::unavailable;
    error.text = "outcome of a commit unknown: " + error.text;
    xmpp::log::error(kLog, "commit failed; check the disk that holds the database",
                     {xmpp::log::kv("error", error.text)});
    return error;
  }

  static void fail_all(const Operations& batch, std::size_t from, const StorageError& error) {
    for (std::size_t i = from; i < batch.size(); ++i) batch[i]->fail(error);
  }

  sql::Session session_;
  sql::SqlTx tx_;
};

sql::SessionOptions session_options(const StorageOptions& options, bool is_reader) {
  return {options.path, options.vfs, is_reader, options.is_synchronous_full,
          options.busy_timeout_ms};
}

}  // namespace

class SqlStorage::Impl {
 public:
  // Throws what sql::translate_current_exception() understands.
  explicit Impl(StorageOptions options)
      : options_(std::move(options)), writer_(session_options(options_, false)) {
    sql::migrate(writer_.session(), sql::migrations());
    // Every connection to ":memory:" would have a database of its own.
    const unsigned readers = options_.path == ":memory:" ? 0 : options_.readers;
    for (unsigned i = 0; i < readers; ++i) {
      readers_.push_back(std::make_unique<Executor>(session_options(options_, true)));
    }
  }

  void start_threads() {
    if (!options_.has_threads) return;
    threads_.emplace_back([this] { write_until_stopped(); });
    for (auto& reader : readers_) {
      threads_.emplace_back([this, &reader = *reader] { read_until_stopped(reader); });
    }
  }

  std::optional<StorageError> submit(std::unique_ptr<Operation>& operation) {
    const std::lock_guard lock(mutex_);
    if (is_stopping_) return StorageError{StorageErrorCode::unavailable, "storage is stopped"};
    if (writes_.size() + reads_.size() >= options_.queue) {
      return StorageError{StorageErrorCode::busy, "storage queue is full"};
    }
    if (operation->is_write()) {
      ++pending_writes_[operation->key()];
    } else if (!readers_.empty() && !pending_writes_.contains(operation->key())) {
      reads_.push_back(std::move(operation));
      reads_changed_.notify_one();
      return std::nullopt;
    }
    writes_.push_back(std::move(operation));
    writes_changed_.notify_one();
    return std::nullopt;
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      is_stopping_ = true;
      writes_changed_.notify_all();
      reads_changed_.notify_all();
    }
    for (auto& thread : threads_) thread.join();
    threads_.clear();
    while (run_read() || run_batch()) {
    }
  }

  // Without threads only.
  bool run_read() {
    std::unique_lock lock(mutex_);
    if (reads_.empty()) return false;
    auto operation = take_read();
    lock.unlock();
    read(*readers_.front(), std::move(operation));
    return true;
  }
  bool run_batch() {
    std::unique_lock lock(mutex_);
    if (writes_.empty()) return false;
    auto batch = take_batch();
    lock.unlock();
    write(std::move(batch));
    return true;
  }

  [[nodiscard]] bool has_threads() const noexcept { return options_.has_threads; }
  [[nodiscard]] std::size_t depth() {
    const std::lock_guard lock(mutex_);
    return writes_.size() + reads_.size();
  }

 private:
  // REQUIRES: mutex_ held, reads_ not empty.
  std::unique_ptr<Operation> take_read() {
    auto operation = std::move(reads_.front());
    reads_.pop_front();
    return operation;
  }
  // REQUIRES: mutex_ held.
  Operations take_batch() {
    Operations batch;
    batch.reserve(std::min(writes_.size(), options_.batch));
    while (!writes_.empty() && batch.size() < options_.batch) {
      batch.push_back(std::move(writes_.front()));
      writes_.pop_front();
    }
    return batch;
  }

  static void read(Executor& reader, std::unique_ptr<Operation> operation) {
    reader.run_alone(*operation);
    operation.release()->deliver();
  }

  void write(Operations batch) {
    writer_.run_batch(batch);
    {
      const std::lock_guard lock(mutex_);
      for (const auto& operation : batch) {
        if (operation->is_write()) forget_pending(operation->key());
      }
    }
    for (auto& operation : batch) operation.release()->deliver();
  }

  void forget_pending(const std::string& key) {
    const auto found = pending_writes_.find(key);
    XMPP_ASSERT(found != pending_writes_.end());
    if (--found->second == 0) pending_writes_.erase(found);
  }

  void write_until_stopped() {
    std::unique_lock lock(mutex_);
    while (true) {
      writes_changed_.wait(lock, [&] { return is_stopping_ || !writes_.empty(); });
      if (writes_.empty()) return;
      auto batch = take_batch();
      lock.unlock();
      write(std::move(batch));
      lock.lock();
    }
  }

  void read_until_stopped(Executor& reader) {
    std::unique_lock lock(mutex_);
    while (true) {
      reads_changed_.wait(lock, [&] { return is_stopping_ || !reads_.empty(); });
      if (reads_.empty()) return;
      auto operation = take_read();
      lock.unlock();
      read(reader, std::move(operation));
      lock.lock();
    }
  }

  const StorageOptions options_;
  Executor writer_;
  std::vector<std::unique_ptr<Executor>> readers_;

  std::mutex mutex_;  // guards what follows, up to the threads
  std::condition_variable writes_changed_;
  std::condition_variable reads_changed_;
  std::deque<std::unique_ptr<Operation>> writes_;  // and reads of keys with pending writes
  std::deque<std::unique_ptr<Operation>> reads_;
  std::unordered_map<std::string, std::size_t> pending_writes_;
  bool is_stopping_ = false;

  std::vector<std::thread> threads_;
};

StorageResult<std::unique_ptr<SqlStorage>> SqlStorage::open(StorageOptions options) {
  const std::string path = options.path;
  try {
    auto impl = std::make_unique<Impl>(std::move(options));
    impl->start_threads();
    return std::unique_ptr<SqlStorage>(new SqlStorage(std::move(impl)));
  } catch (...) {
    StorageError error = sql::translate_current_exception();
    error.text = "cannot open the database '" + path + "': " + error.text;
    if (error.code == StorageErrorCode::unavailable) {
      error.text += " (its directory must exist and be writable for xmppd)";
    } else if (error.code == StorageErrorCode::busy) {
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
std::size_t SqlStorage::depth() const {
  return impl_->depth();
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
