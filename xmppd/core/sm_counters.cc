#include "core/sm_counters.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <string>

#include "xmpp/base/hash.h"
#include "xmpp/base/log.h"

namespace xmppd {

using xmpp::log::kv;

struct SmCounters::Header {
  char magic[16];
  char boot[48];
};

namespace {

constexpr std::string_view kMagic = "xmppd counters 1";
const xmpp::log::Context kLog{.component = "sm"};

// Not the process's key: the next process has to find it again. The ids are random anyway.
std::uint64_t hash_of(std::string_view id) noexcept {
  return xmpp::siphash64({0x736d2d636f756e74, 0x6572732d78313938}, id) | 1U;
}

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  file >> id;
  return id;
}

}  // namespace

SmCounters::SmCounters(const std::filesystem::path& path) : claimed_(kSlots) {
  static_assert(sizeof(Slot) == 16 && std::atomic<std::uint64_t>::is_always_lock_free);
  if (!path.empty() && map(path)) return;
  memory_ = std::calloc(1, sizeof(Header) + kSlots * sizeof(Slot));
  if (memory_ == nullptr) throw std::bad_alloc();
  slots_ = reinterpret_cast<Slot*>(static_cast<char*>(memory_) + sizeof(Header));
}

SmCounters::~SmCounters() {
  if (is_mapped_) {
    ::munmap(memory_, sizeof(Header) + kSlots * sizeof(Slot));
  } else {
    std::free(memory_);
  }
}

bool SmCounters::map(const std::filesystem::path& path) {
  constexpr std::size_t kBytes = sizeof(Header) + kSlots * sizeof(Slot);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  void* memory = MAP_FAILED;
  // Allocated, not sparse: a full disk must not kill us later.
  if (fd >= 0 && ::posix_fallocate(fd, 0, static_cast<off_t>(kBytes)) == 0) {
    memory = ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  }
  if (fd >= 0) ::close(fd);
  if (memory == MAP_FAILED) {
    xmpp::log::warn(kLog, "sessions will not survive a crash: check the disk of data_dir",
                    {kv("file", path.string())});
    return false;
  }
  memory_ = memory;
  is_mapped_ = true;
  auto& header = *static_cast<Header*>(memory);
  slots_ = reinterpret_cast<Slot*>(static_cast<char*>(memory) + sizeof(Header));
  Header expected{};
  std::memcpy(expected.magic, kMagic.data(), kMagic.size());
  const std::string boot = boot_id();
  std::memcpy(expected.boot, boot.data(), std::min(boot.size(), sizeof expected.boot - 1));
  if (boot.empty() || std::memcmp(&header, &expected, sizeof header) != 0) {
    std::memset(memory, 0, kBytes);
    header = expected;
  }
  return true;
}

SmCounters::Slot* SmCounters::acquire(std::string_view id) {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) return nullptr;
  Slot& slot = slots_[free_.back()];
  free_.pop_back();
  slot.handled.store(0, std::memory_order_relaxed);
  slot.is_stale.store(0, std::memory_order_relaxed);
  slot.session.store(hash_of(id), std::memory_order_relaxed);
  return &slot;
}

void SmCounters::release(Slot& slot) noexcept {
  const std::lock_guard lock(mutex_);
  slot.session.store(0, std::memory_order_relaxed);
  free_.push_back(static_cast<std::uint32_t>(&slot - slots_));
}

SmCounters::Slot* SmCounters::find(std::string_view id) noexcept {
  const auto wanted = hash_of(id);
  for (std::size_t i = 0; i < kSlots; ++i) {
    if (slots_[i].session.load(std::memory_order_relaxed) != wanted) continue;
    claimed_[i] = true;
    return &slots_[i];
  }
  return nullptr;
}

void SmCounters::forget_rest() {
  const std::lock_guard lock(mutex_);
  free_.reserve(kSlots);
  for (std::size_t i = kSlots; i-- > 0;) {
    if (claimed_[i]) continue;
    slots_[i].session.store(0, std::memory_order_relaxed);
    free_.push_back(static_cast<std::uint32_t>(i));
  }
  claimed_ = {};
}

}  // namespace xmppd
