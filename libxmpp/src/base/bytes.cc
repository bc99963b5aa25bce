// See xmpp/base/bytes.h.
#include "xmpp/base/bytes.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#include "xmpp/base/assert.h"

namespace xmpp {
namespace {

// A copied segment grows up to this size, then the next one begins.
constexpr std::size_t kSegmentLimit = 16 * 1024;
// Spent segments are removed from the vector in batches of at least this many.
constexpr std::size_t kSpentBatch = 16;

}  // namespace

Block Block::make(std::string_view bytes) {
  return make(bytes.size(), [bytes](char* out) {
    if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
  });
}

Block::Header* Block::allocate(std::size_t size) {
  XMPP_ASSERT(size <= std::numeric_limits<std::uint32_t>::max());
  void* memory = ::operator new(sizeof(Header) + size);
  return new (memory) Header{1, static_cast<std::uint32_t>(size)};
}

void Block::deallocate(Header* header) noexcept {
  header->~Header();
  ::operator delete(header);
}

OutputChain::OutputChain(OutputChain&& other) noexcept
    : segments_(std::move(other.segments_)),
      first_(std::exchange(other.first_, 0)),
      size_(std::exchange(other.size_, 0)) {
  other.segments_.clear();
}

OutputChain& OutputChain::operator=(OutputChain&& other) noexcept {
  if (this == &other) return *this;
  clear();
  segments_.swap(other.segments_);
  first_ = std::exchange(other.first_, 0);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

std::string& OutputChain::tail() {
  const bool fits = first_ < segments_.size() && segments_.back().shared.empty() &&
                    segments_.back().copied.size() < kSegmentLimit;
  if (!fits) segments_.emplace_back();
  return segments_.back().copied;
}

void OutputChain::append(std::string_view bytes) {
  while (!bytes.empty()) {
    std::string& copied = tail();
    const std::size_t count = std::min(bytes.size(), kSegmentLimit - copied.size());
    copied.append(bytes.substr(0, count));
    size_ += count;
    bytes.remove_prefix(count);
  }
}

void OutputChain::append(const Slice& slice) {
  if (slice.size() < kReferenceFrom) {
    append(slice.view());
    return;
  }
  segments_.push_back(Segment{{}, slice, 0});
  size_ += slice.size();
}

void OutputChain::append(OutputChain&& other) {
  if (other.empty()) return;
  if (empty()) {
    *this = std::move(other);
    return;
  }
  for (std::size_t i = other.first_; i < other.segments_.size(); ++i) {
    Segment& segment = other.segments_[i];
    const std::string_view view = segment.view();
    if (view.size() < kReferenceFrom) {
      append(view);
    } else {
      size_ += view.size();
      segments_.push_back(std::move(segment));
    }
  }
  other.clear();
}

std::size_t OutputChain::gather(std::span<iovec> out) const noexcept {
  const std::size_t count = std::min(out.size(), segments_.size() - first_);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view view = segments_[first_ + i].view();
    // writev() only reads; its interface predates const.
    out[i] = {const_cast<char*>(view.data()), view.size()};
  }
  return count;
}

std::string_view OutputChain::front() const noexcept {
  return empty() ? std::string_view() : segments_[first_].view();
}

void OutputChain::consume(std::size_t count) noexcept {
  XMPP_ASSERT(count <= size_);
  if (count == size_) {
    clear();
    return;
  }
  size_ -= count;
  while (count > 0) {
    Segment& segment = segments_[first_];
    const std::size_t left = segment.view().size();
    if (count < left) {
      segment.begin += count;
      break;
    }
    count -= left;
    segment = Segment{};  // frees or unreferences the bytes now, not when the batch is removed
    ++first_;
  }
  // Removing at least half of the vector at a time makes a removed segment cost O(1).
  if (first_ >= kSpentBatch && first_ * 2 >= segments_.size()) {
    segments_.erase(segments_.begin(), segments_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
}

void OutputChain::clear() noexcept {
  std::vector<Segment>().swap(segments_);
  first_ = 0;
  size_ = 0;
}

std::string OutputChain::str() const {
  std::string all;
  all.reserve(size_);
  for (std::size_t i = first_; i < segments_.size(); ++i) all += segments_[i].view();
  return all;
}

}  // namespace xmpp
