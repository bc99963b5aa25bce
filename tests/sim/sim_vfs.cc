#include "sim/sim_vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <vector>

#include "xmpp/base/assert.h"

namespace sim {
namespace {

constexpr std::size_t kSector = 512;
constexpr std::size_t kShmLocks = SQLITE_SHM_NLOCK;

}  // namespace

struct SimFile {
  // A write, or a truncation if there are no bytes.
  struct Change {
    std::uint64_t at;
    std::string bytes;
    bool is_truncation;
  };
  std::string synced;   // what a crash leaves for certain
  std::string content;  // what is read
  std::vector<Change> unsynced;
  // Locks of the file (SQLITE_LOCK_*) and of its shared memory.
  int readers = 0;
  bool is_reserved = false;
  bool is_pending = false;
  bool is_exclusive = false;
  std::vector<std::unique_ptr<char[]>> shm;
  std::array<int, kShmLocks> shm_shared{};
  std::array<bool, kShmLocks> shm_exclusive{};
};

namespace {

void apply(std::string& content, const SimFile::Change& change, std::size_t from, std::size_t to) {
  if (change.is_truncation) {
    content.resize(std::min<std::size_t>(content.size(), change.at));
    return;
  }
  if (content.size() < change.at + to) content.resize(change.at + to);
  content.replace(change.at + from, to - from, change.bytes, from, to - from);
}

// SQLite's view of an open file. Made by SQLite as raw memory of szOsFile bytes.
struct OpenFile {
  sqlite3_file base;
  SimDisk* disk;
  std::shared_ptr<SimFile>* file;
  std::string* doomed;  // removed when closed
  int lock;
  unsigned shm_shared;
  unsigned shm_exclusive;
};
OpenFile& of(sqlite3_file* file) {
  return *reinterpret_cast<OpenFile*>(file);
}

int unlock(sqlite3_file* raw, int level) {
  OpenFile& open = of(raw);
  SimFile& file = **open.file;
  if (open.lock >= SQLITE_LOCK_RESERVED && level < SQLITE_LOCK_RESERVED) file.is_reserved = false;
  if (open.lock >= SQLITE_LOCK_PENDING && level < SQLITE_LOCK_PENDING) file.is_pending = false;
  if (open.lock == SQLITE_LOCK_EXCLUSIVE && level < SQLITE_LOCK_EXCLUSIVE) {
    file.is_exclusive = false;
  }
  if (open.lock >= SQLITE_LOCK_SHARED && level == SQLITE_LOCK_NONE) --file.readers;
  open.lock = std::min(open.lock, level);
  return SQLITE_OK;
}

int lock(sqlite3_file* raw, int level) {
  OpenFile& open = of(raw);
  SimFile& file = **open.file;
  if (open.lock >= level) return SQLITE_OK;
  if (level == SQLITE_LOCK_SHARED) {
    if (file.is_pending || file.is_exclusive) return SQLITE_BUSY;
    ++file.readers;
  } else {
    if (open.lock < SQLITE_LOCK_RESERVED) {
      if (file.is_reserved) return SQLITE_BUSY;
      file.is_reserved = true;
      open.lock = SQLITE_LOCK_RESERVED;
    }
    if (level == SQLITE_LOCK_EXCLUSIVE) {
      file.is_pending = true;
      open.lock = SQLITE_LOCK_PENDING;
      if (file.readers > 1) return SQLITE_BUSY;
      file.is_exclusive = true;
    }
  }
  open.lock = level;
  return SQLITE_OK;
}

int check_reserved(sqlite3_file* raw, int* out) {
  *out = (*of(raw).file)->is_reserved ? 1 : 0;
  return SQLITE_OK;
}

int shm_lock(sqlite3_file* raw, int offset, int count, int flags) {
  OpenFile& open = of(raw);
  SimFile& file = **open.file;
  const bool is_shared = (flags & SQLITE_SHM_SHARED) != 0;
  unsigned& held = is_shared ? open.shm_shared : open.shm_exclusive;
  for (int i = offset; i < offset + count; ++i) {
    if ((flags & SQLITE_SHM_UNLOCK) != 0) continue;
    if ((held >> static_cast<unsigned>(i) & 1U) != 0) continue;
    const auto slot = static_cast<std::size_t>(i);
    const int own = static_cast<int>(open.shm_shared >> static_cast<unsigned>(i) & 1U);
    if (file.shm_exclusive[slot] || (!is_shared && file.shm_shared[slot] > own)) return SQLITE_BUSY;
  }
  for (int i = offset; i < offset + count; ++i) {
    const auto slot = static_cast<std::size_t>(i);
    const unsigned bit = 1U << static_cast<unsigned>(i);
    const bool is_lock = (flags & SQLITE_SHM_LOCK) != 0;
    if (((held & bit) != 0) == is_lock) continue;
    held ^= bit;
    if (is_shared) {
      file.shm_shared[slot] += is_lock ? 1 : -1;
    } else {
      file.shm_exclusive[slot] = is_lock;
    }
  }
  return SQLITE_OK;
}

int shm_map(sqlite3_file* raw, int region, int size, int extend, void volatile** out) {
  SimFile& file = **of(raw).file;
  const auto wanted = static_cast<std::size_t>(region) + 1;
  *out = nullptr;
  if (file.shm.size() < wanted && extend == 0) return SQLITE_OK;
  while (file.shm.size() < wanted) {
    file.shm.push_back(std::make_unique<char[]>(static_cast<std::size_t>(size)));
  }
  *out = file.shm[wanted - 1].get();
  return SQLITE_OK;
}

void shm_barrier(sqlite3_file*) {}

int shm_unmap(sqlite3_file* raw, int remove) {
  shm_lock(raw, 0, kShmLocks, SQLITE_SHM_UNLOCK | SQLITE_SHM_SHARED);
  shm_lock(raw, 0, kShmLocks, SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE);
  if (remove != 0) (*of(raw).file)->shm.clear();
  return SQLITE_OK;
}

int close(sqlite3_file* raw) {
  OpenFile& open = of(raw);
  shm_unmap(raw, 0);
  unlock(raw, SQLITE_LOCK_NONE);
  if (open.doomed != nullptr) open.disk->remove(*open.doomed);
  delete open.doomed;
  delete open.file;
  return SQLITE_OK;
}

int read(sqlite3_file* raw, void* out, int size, sqlite3_int64 at) {
  if (of(raw).disk->has_crashed()) return SQLITE_IOERR_READ;
  const std::string& content = (*of(raw).file)->content;
  const auto from = static_cast<std::size_t>(at);
  const auto wanted = static_cast<std::size_t>(size);
  const std::size_t there = from < content.size() ? std::min(wanted, content.size() - from) : 0;
  std::memcpy(out, content.data() + std::min(from, content.size()), there);
  if (there == wanted) return SQLITE_OK;
  std::memset(static_cast<char*>(out) + there, 0, wanted - there);
  return SQLITE_IOERR_SHORT_READ;
}

int write(sqlite3_file* raw, const void* data, int size, sqlite3_int64 at) {
  OpenFile& open = of(raw);
  SimFile& file = **open.file;
  if (open.disk->next_fault() != SimDisk::Fault::none) return SQLITE_IOERR_WRITE;
  const auto end = static_cast<std::size_t>(at) + static_cast<std::size_t>(size);
  if (end > file.content.size() && !open.disk->has_room(end - file.content.size())) {
    return SQLITE_FULL;
  }
  file.unsynced.push_back(
      {static_cast<std::uint64_t>(at),
       std::string(static_cast<const char*>(data), static_cast<std::size_t>(size)), false});
  apply(file.content, file.unsynced.back(), 0, static_cast<std::size_t>(size));
  return SQLITE_OK;
}

int truncate(sqlite3_file* raw, sqlite3_int64 size) {
  OpenFile& open = of(raw);
  SimFile& file = **open.file;
  if (open.disk->next_fault() != SimDisk::Fault::none) return SQLITE_IOERR_TRUNCATE;
  file.unsynced.push_back({static_cast<std::uint64_t>(size), {}, true});
  apply(file.content, file.unsynced.back(), 0, 0);
  return SQLITE_OK;
}

int sync(sqlite3_file* raw, int) {
  OpenFile& open = of(raw);
  SimFile& file = **open.file;
  if (open.disk->next_fault() != SimDisk::Fault::none) return SQLITE_IOERR_FSYNC;
  file.synced = file.content;
  file.unsynced.clear();
  return SQLITE_OK;
}

int file_size(sqlite3_file* raw, sqlite3_int64* out) {
  *out = static_cast<sqlite3_int64>((*of(raw).file)->content.size());
  return SQLITE_OK;
}

int file_control(sqlite3_file*, int, void*) {
  return SQLITE_NOTFOUND;
}
int sector_size(sqlite3_file*) {
  return kSector;
}
int characteristics(sqlite3_file*) {
  return 0;
}

constexpr sqlite3_io_methods kMethods = {2,
                                         close,
                                         read,
                                         write,
                                         truncate,
                                         sync,
                                         file_size,
                                         lock,
                                         unlock,
                                         check_reserved,
                                         file_control,
                                         sector_size,
                                         characteristics,
                                         shm_map,
                                         shm_lock,
                                         shm_barrier,
                                         shm_unmap,
                                         nullptr,
                                         nullptr};

SimDisk& disk_of(sqlite3_vfs* vfs) {
  return *static_cast<SimDisk*>(vfs->pAppData);
}

int open_file(sqlite3_vfs* vfs, const char* path, sqlite3_file* raw, int flags, int* out_flags) {
  SimDisk& disk = disk_of(vfs);
  raw->pMethods = nullptr;
  const std::string name = path == nullptr ? "temporary" : path;
  auto file = disk.open(name, (flags & SQLITE_OPEN_CREATE) != 0);
  if (!file) return SQLITE_CANTOPEN;
  auto* open = new (raw) OpenFile{};
  open->base.pMethods = &kMethods;
  open->disk = &disk;
  open->file = new std::shared_ptr<SimFile>(std::move(file));
  if ((flags & SQLITE_OPEN_DELETEONCLOSE) != 0) open->doomed = new std::string(name);
  if (out_flags != nullptr) *out_flags = flags;
  return SQLITE_OK;
}

int delete_file(sqlite3_vfs* vfs, const char* path, int) {
  if (disk_of(vfs).has_crashed()) return SQLITE_IOERR_DELETE;
  disk_of(vfs).remove(path);
  return SQLITE_OK;
}

int access_file(sqlite3_vfs* vfs, const char* path, int, int* out) {
  *out = disk_of(vfs).exists(path) ? 1 : 0;
  return SQLITE_OK;
}

int full_path(sqlite3_vfs*, const char* path, int size, char* out) {
  sqlite3_snprintf(size, out, "%s", path);
  return SQLITE_OK;
}

int randomness(sqlite3_vfs* vfs, int size, char* out) {
  disk_of(vfs).rng().fill(std::as_writable_bytes(std::span(out, static_cast<std::size_t>(size))));
  return size;
}

int sleep_for(sqlite3_vfs*, int microseconds) {
  return microseconds;  // nobody else runs meanwhile
}

int current_time(sqlite3_vfs*, double* out) {
  *out = 2'460'000.5;
  return SQLITE_OK;
}

}  // namespace

struct SimDisk::Vfs {
  sqlite3_vfs vfs{};
};

SimDisk::SimDisk(std::string name, std::uint64_t seed)
    : name_(std::move(name)), rng_(seed), vfs_(std::make_unique<Vfs>()) {
  sqlite3_vfs& vfs = vfs_->vfs;
  vfs.iVersion = 1;
  vfs.szOsFile = sizeof(OpenFile);
  vfs.mxPathname = 512;
  vfs.zName = name_.c_str();
  vfs.pAppData = this;
  vfs.xOpen = open_file;
  vfs.xDelete = delete_file;
  vfs.xAccess = access_file;
  vfs.xFullPathname = full_path;
  vfs.xRandomness = randomness;
  vfs.xSleep = sleep_for;
  vfs.xCurrentTime = current_time;
  XMPP_ASSERT(sqlite3_vfs_register(&vfs, 0) == SQLITE_OK);
}

SimDisk::~SimDisk() {
  sqlite3_vfs_unregister(&vfs_->vfs);
}

SimDisk::Fault SimDisk::next_fault() {
  if (has_crashed_) return Fault::crashed;
  ++operations_;
  if (crash_after_ != 0 && --crash_after_ == 0) {
    has_crashed_ = true;
    return Fault::crashed;
  }
  return fail_one_in_ != 0 && rng_.below(fail_one_in_) == 0 ? Fault::error : Fault::none;
}

bool SimDisk::has_room(std::uint64_t more) const {
  if (size_ == 0) return true;
  std::uint64_t used = 0;
  for (const auto& [path, file] : files_) used += file->content.size();
  return used + more <= size_;
}

std::shared_ptr<SimFile> SimDisk::open(const std::string& path, bool create) {
  auto found = files_.find(path);
  if (found != files_.end()) return found->second;
  if (!create || has_crashed_) return nullptr;
  return files_[path] = std::make_shared<SimFile>();
}

void SimDisk::recover() {
  for (auto& [path, file] : files_) {
    XMPP_ASSERT(file.use_count() == 1);
    std::string content = file->synced;
    for (const auto& change : file->unsynced) {
      const std::size_t sectors = (change.bytes.size() + kSector - 1) / kSector;
      switch (rng_.below(3)) {
        case 0:  // never reached the disk
          break;
        case 1:
          apply(content, change, 0, change.bytes.size());
          break;
        default:  // torn: each sector for itself
          for (std::size_t i = 0; i < sectors; ++i) {
            if (rng_.below(2) == 0) continue;
            apply(content, change, i * kSector, std::min(change.bytes.size(), (i + 1) * kSector));
          }
      }
    }
    *file = SimFile();
    file->content = content;
    file->synced = std::move(content);
  }
  has_crashed_ = false;
  crash_after_ = 0;
  fail_one_in_ = 0;
}

void SimDisk::reconnect() {
  for (auto& [path, file] : files_) {
    XMPP_ASSERT(file.use_count() == 1);
    SimFile fresh;  // without locks and shared memory
    fresh.synced = std::move(file->synced);
    fresh.content = std::move(file->content);
    fresh.unsynced = std::move(file->unsynced);
    *file = std::move(fresh);
  }
  has_crashed_ = false;
}

}  // namespace sim
