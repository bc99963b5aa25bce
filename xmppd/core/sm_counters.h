// SmCounters: how many stanzas of each resumable session were dealt with, in memory that survives a
// killed process: a mapped file of small slots. An acknowledgement must not be taken back after a
// crash, and it cannot wait for a disk; the kernel keeps what a dead process wrote, so a plain
// store does. After a crash of the machine the file says nothing (its header names the boot), and
// the sessions that it counted for are not resumed.
//
// Thread-safety: acquire() and release() any thread; a slot is written by its session's worker.
// Invariant: a slot belongs to at most one session.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

namespace xmppd {

class SmCounters {
 public:
  static constexpr std::size_t kSlots = 65'536;

  // `path`: empty for memory that nothing survives. What cannot be mapped is replaced by that.
  explicit SmCounters(const std::filesystem::path& path);
  ~SmCounters();
  SmCounters(const SmCounters&) = delete;
  SmCounters& operator=(const SmCounters&) = delete;

  struct Slot {
    std::atomic<std::uint64_t> session;  // hash of its id; 0: free
    std::atomic<std::uint32_t> handled;
    // What is stored of the session is older than what its client was told: not 0.
    std::atomic<std::uint32_t> is_stale;
  };
  // nullptr: all are taken; the session will not survive a crash.
  [[nodiscard]] Slot* acquire(std::string_view id);
  void release(Slot& slot) noexcept;
  // The slot of a session of an earlier process of this boot; it is acquired then.
  [[nodiscard]] Slot* find(std::string_view id) noexcept;
  // Everything that find() has not claimed is free from now on.
  void forget_rest();

 private:
  struct Header;
  bool map(const std::filesystem::path& path);

  std::mutex mutex_;
  void* memory_ = nullptr;
  bool is_mapped_ = false;
  Slot* slots_ = nullptr;
  std::vector<std::uint32_t> free_;
  std::vector<bool> claimed_;
};

}  // namespace xmppd
