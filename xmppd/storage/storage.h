// SqlStorage: the Storage of the server over SQLite; one writer with group commit, readers beside
// it.
//
// The writer takes what is queued (at most 1,000), never waits for more: BEGIN IMMEDIATE, the
// closures, COMMIT, then every outcome is delivered. On any error: ROLLBACK, then each closure once
// in a transaction of its own. A COMMIT of unknown outcome is reported unavailable and not
// repeated. Reads run on readers, each with a connection of its own, unless their key has writes
// pending: then they queue behind those at the writer. ":memory:" has one connection, so all reads
// run at the writer.
//
// Without threads (simulator, tests) somebody calls run_one().
//
// Thread-safety: any thread; without threads one thread.
// Invariants: (1) an accepted operation is delivered exactly once, also by stop(). (2)
// pending_writes_ counts, per key, writes accepted and not yet committed or failed.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

#include "xmppd/storage.h"

namespace xmppd {

struct StorageOptions {
  std::string path = ":memory:";  // a file, or ":memory:"
  std::string vfs;                // SQLite VFS; empty: the system's
  bool is_synchronous_full = true;
  bool has_threads = true;
  unsigned readers = 2;
  std::size_t queue = 20'000;  // operations that wait, reads and writes together
  std::size_t batch = 1'000;
  int busy_timeout_ms = 5'000;
};

class SqlStorage final : public Storage {
 public:
  // Opens or makes the database and brings its schema up to date. The error's text names the file
  // and the remedy.
  [[nodiscard]] static StorageResult<std::unique_ptr<SqlStorage>> open(StorageOptions options);
  // stop()s.
  ~SqlStorage() override;

  // Runs what is queued, then ends the threads; later operations are refused. Call it before the
  // reactors of pending operations die.
  void stop();

  // Without threads: runs one pending read, else one pending batch; false if nothing waits.
  bool run_one();
  bool run_read();
  bool run_batch();
  // Operations that wait.
  [[nodiscard]] std::size_t depth() const;

 private:
  class Impl;
  explicit SqlStorage(std::unique_ptr<Impl> impl);
  std::optional<StorageError> submit(
      std::unique_ptr<storage_detail::Operation>& operation) override;
  void drive() override;

  std::unique_ptr<Impl> impl_;
};

}  // namespace xmppd
