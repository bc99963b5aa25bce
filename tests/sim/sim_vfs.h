// SimDisk: a disk in memory that SQLite sees as a VFS, and that fails when it is told to: writes
// and syncs that return errors, a full disk, and a crash at any operation. After a crash only what
// was synced is certain to be there; every later write is there, gone or torn at a sector's bounds.
//
// Thread-safety: one thread. Invariant: the same seed and the same operations give the same disk.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "xmpp/base/random.h"

namespace sim {

struct SimFile;

class SimDisk {
 public:
  // Registers the VFS under this name, which nobody else uses, until the disk dies.
  SimDisk(std::string name, std::uint64_t seed);
  ~SimDisk();
  SimDisk(const SimDisk&) = delete;
  SimDisk& operator=(const SimDisk&) = delete;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  // The power goes after so many more writes and syncs; 0: never. From then on everything fails.
  void crash_after(std::uint64_t operations) noexcept { crash_after_ = operations; }
  // Now.
  void crash() noexcept { has_crashed_ = true; }
  [[nodiscard]] bool has_crashed() const noexcept { return has_crashed_; }
  // One write or sync in `one_in` fails; 0: none.
  void fail(std::uint64_t one_in) noexcept { fail_one_in_ = one_in; }
  // Files grow to this many bytes together at most; 0: for ever.
  void set_size(std::uint64_t bytes) noexcept { size_ = bytes; }
  // The power returns. REQUIRES: nobody has a file open.
  void recover();
  // It was only the process that went, and with it what it had not yet written. REQUIRES: the same.
  void reconnect();
  // Writes and syncs so far.
  [[nodiscard]] std::uint64_t operations() const noexcept { return operations_; }

  // For the VFS:
  enum class Fault { none, error, crashed };
  // What happens to the next write or sync.
  [[nodiscard]] Fault next_fault();
  [[nodiscard]] bool has_room(std::uint64_t more) const;
  [[nodiscard]] std::shared_ptr<SimFile> open(const std::string& path, bool create);
  [[nodiscard]] bool exists(const std::string& path) const { return files_.contains(path); }
  void remove(const std::string& path) { files_.erase(path); }
  [[nodiscard]] xmpp::Rng& rng() noexcept { return rng_; }

 private:
  struct Vfs;
  std::string name_;
  xmpp::SeededRng rng_;
  std::map<std::string, std::shared_ptr<SimFile>> files_;
  std::uint64_t operations_ = 0;
  std::uint64_t crash_after_ = 0;
  std::uint64_t fail_one_in_ = 0;
  std::uint64_t size_ = 0;
  bool has_crashed_ = false;
  std::unique_ptr<Vfs> vfs_;
};

}  // namespace sim
