// Block, Slice and OutputChain: bytes that are shared, never copied per hop.
//
//   Block        an immutable, reference-counted run of bytes (one allocation: header + bytes).
//   Slice        a view into a Block that keeps it alive.
//   OutputChain  what a link still has to send: small pieces are copied together, large ones
//   referenced.
//
// Thread-safety: reference counts are atomic, so Blocks and Slices may be shared between workers;
// an OutputChain belongs to one thread. Invariants: (1) the bytes of a Block never change after
// make(). (2) An OutputChain never holds an empty segment.
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace xmpp {

class Block {
 public:
  Block() = default;
  // Copies `bytes` into a new block.
  [[nodiscard]] static Block make(std::string_view bytes);
  // A new block of `size` bytes that `fill(char*)` writes before anybody else sees it.
  template <typename Fill>
  [[nodiscard]] static Block make(std::size_t size, Fill&& fill) {
    Block block(allocate(size));
    std::forward<Fill>(fill)(block.writable());
    return block;
  }

  // Another handle to the block whose view() begins at `data`. REQUIRES: a handle to it lives.
  [[nodiscard]] static Block share(const char* data) noexcept {
    Block block(reinterpret_cast<Header*>(const_cast<char*>(data)) - 1);
    block.retain();
    return block;
  }

  Block(const Block& other) noexcept : header_(other.header_) { retain(); }
  Block(Block&& other) noexcept : header_(std::exchange(other.header_, nullptr)) {}
  Block& operator=(Block other) noexcept {
    std::swap(header_, other.header_);
    return *this;
  }
  ~Block() { release(); }

  [[nodiscard]] std::string_view view() const noexcept;
  [[nodiscard]] const char* data() const noexcept { return view().data(); }
  [[nodiscard]] std::size_t size() const noexcept { return header_ ? header_->size : 0; }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  explicit operator bool() const noexcept { return header_ != nullptr; }

 private:
  struct Header {
    std::atomic<std::uint32_t> references;
    std::uint32_t size;
  };
  explicit Block(Header* header) noexcept : header_(header) {}
  static Header* allocate(std::size_t size);
  static void deallocate(Header* header) noexcept;
  [[nodiscard]] char* writable() noexcept { return reinterpret_cast<char*>(header_ + 1); }
  void retain() noexcept {
    if (header_ != nullptr) header_->references.fetch_add(1, std::memory_order_relaxed);
  }
  void release() noexcept {
    if (header_ != nullptr && header_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      deallocate(header_);
    }
  }

  Header* header_ = nullptr;
};

inline std::string_view Block::view() const noexcept {
  if (header_ == nullptr) return {};
  return {reinterpret_cast<const char*>(header_ + 1), header_->size};
}

class Slice {
 public:
  Slice() = default;
  explicit Slice(Block block) noexcept : block_(std::move(block)), view_(block_.view()) {}
  // REQUIRES: `view` lies inside `block`.
  Slice(Block block, std::string_view view) noexcept : block_(std::move(block)), view_(view) {}
  Slice(const Slice&) = default;
  // The source is empty afterwards (its view must not outlive its block).
  Slice(Slice&& other) noexcept
      : block_(std::move(other.block_)), view_(std::exchange(other.view_, {})) {}
  Slice& operator=(Slice other) noexcept {
    block_ = std::move(other.block_);
    view_ = other.view_;
    return *this;
  }
  ~Slice() = default;
  [[nodiscard]] std::string_view view() const noexcept { return view_; }
  [[nodiscard]] std::size_t size() const noexcept { return view_.size(); }
  [[nodiscard]] bool empty() const noexcept { return view_.empty(); }
  [[nodiscard]] const Block& block() const noexcept { return block_; }

 private:
  Block block_;
  std::string_view view_;
};

// Bytes waiting to be written, in order. Costs no memory while empty.
class OutputChain {
 public:
  // Slices of at least this many bytes are referenced, smaller ones are copied.
  static constexpr std::size_t kReferenceFrom = 2048;

  OutputChain() = default;
  // The source is empty afterwards.
  OutputChain(OutputChain&& other) noexcept;
  OutputChain& operator=(OutputChain&& other) noexcept;
  OutputChain(const OutputChain&) = delete;
  OutputChain& operator=(const OutputChain&) = delete;

  void append(std::string_view bytes);
  void append(const Slice& slice);
  // Moves what is long, copies what is short; `other` is empty afterwards.
  void append(OutputChain&& other);
  // Calls append(std::string&) with the tail of the chain, to which it may only append: for writers
  // that produce bytes in place.
  template <typename F>
  void append_with(F&& append) {
    std::string& end = tail();
    const std::size_t before = end.size();
    std::forward<F>(append)(end);
    size_ += end.size() - before;
    if (end.empty()) segments_.pop_back();
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

  // Fills `out` with the first segments; returns how many were filled. They are valid until the
  // chain changes.
  [[nodiscard]] std::size_t gather(std::span<iovec> out) const noexcept;
  // The first contiguous run (empty only if the chain is).
  [[nodiscard]] std::string_view front() const noexcept;
  // Drops `count` bytes from the front. REQUIRES: count <= size().
  void consume(std::size_t count) noexcept;
  void clear() noexcept;
  // All bytes, copied; for tests.
  [[nodiscard]] std::string str() const;

 private:
  struct Segment {
    std::string copied;  // used if `shared` is empty
    Slice shared;
    std::size_t begin = 0;  // already consumed
    [[nodiscard]] std::string_view view() const noexcept {
      return (shared.empty() ? std::string_view(copied) : shared.view()).substr(begin);
    }
  };
  // The copied segment at the end, which is begun if there is none with room.
  [[nodiscard]] std::string& tail();

  std::vector<Segment> segments_;
  std::size_t first_ = 0;  // segments_[0, first_) are spent
  std::size_t size_ = 0;
};

}  // namespace xmpp
