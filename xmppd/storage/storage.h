// SqlStorage: the Storage of the server over SQLite or PostgreSQL; writers with group commit,
// readers beside them.
//
// SQLite has one writer, PostgreSQL several: a key belongs to the writer hash(key) % writers, so
// that a key's operations stay in order. A writer takes what is queued (at most 1,000), never waits
// for more: BEGIN, the closures, COMMIT, then every outcome is delivered. On any error: ROLLBACK,
// then the same with each half, down to one closure in a transaction of its own. A COMMIT of
// unknown outcome is reported unavailable and not repeated, but for reads. Reads run on readers,
// each with a connection of its own, unless their key has writes pending: then they queue behind
// those at its writer. ":memory:" has one connection, so all reads run at the writer.
//
// Without threads (simulator, tests) somebody calls run_one().
//
// Thread-safety: any thread; without threads one thread.
// Invariants: (1) an accepted operation is delivered exactly once, also by stop(). (2)
// pending_writes_ counts, per key, writes accepted and not yet committed or failed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "storage/driver.h"
#include "xmppd/storage.h"

namespace xmppd {

struct StorageOptions {
  sql::DriverKind driver = sql::DriverKind::sqlite;
  std::string path = ":memory:";  // SQLite: a file, or ":memory:"
  std::string vfs;                // SQLite VFS; empty: the system's
  xmpp::Secret connection;        // PostgreSQL: a connection string
  bool is_synchronous_full = true;
  bool has_threads = true;
  unsigned writers = 4;  // PostgreSQL only
  unsigned readers = 2;
  std::size_t queue = 20'000;  // operations that wait, reads and writes together
  std::size_t batch = 1'000;
  // How long a lock or the server is waited for. With threads an operation that waited twice as
  // long for its turn is "busy".
  std::chrono::milliseconds timeout{5'000};
  // What makes connections; tests inject failures here.
  sql::DriverFactory make_driver = &sql::make_driver;
};

// How a storage is, for operators.
struct StorageStatus {
  std::string database;  // never a password
  bool is_reachable = false;
  std::string error;  // why not
  std::size_t schema = 0;
  std::size_t schema_known = 0;
  std::size_t waiting = 0;
  // Since start:
  std::uint64_t commits = 0;
  std::uint64_t operations = 0;
  std::uint64_t failures = 0;
};

class SqlStorage final : public Storage {
 public:
  // Opens or makes the database and brings its schema up to date. The error's text names the
  // database and the remedy, never a password.
  [[nodiscard]] static StorageResult<std::unique_ptr<SqlStorage>> open(StorageOptions options);
  // stop()s.
  ~SqlStorage() override;

  // Runs what is queued, then ends the threads; later operations are refused. Call it before the
  // reactors of pending operations die.
  void stop();

  // The next three use a connection of their own and wait for it: never on a worker.
  [[nodiscard]] StorageStatus status() const;
  // What is wrong with the database, see sql::check_integrity(); empty: nothing.
  [[nodiscard]] StorageResult<std::vector<std::string>> check() const;
  // Makes the migrations that are missing; how many.
  [[nodiscard]] StorageResult<std::size_t> migrate();

  // Without threads: runs one pending read, else one pending batch; false if nothing waits.
  bool run_one();
  bool run_read();
  bool run_batch();
  // Operations that wait. Any thread.
  [[nodiscard]] std::size_t depth() const noexcept;

 private:
  class Impl;
  explicit SqlStorage(std::unique_ptr<Impl> impl);
  std::optional<StorageError> submit(
      std::unique_ptr<storage_detail::Operation>& operation) override;
  void drive() override;

  std::unique_ptr<Impl> impl_;
};

}  // namespace xmppd
