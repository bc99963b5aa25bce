// See xmpp/base/random.h. The seeded generator is xoshiro256** (Blackman and Vigna), its state
// filled by splitmix64.
#include "xmpp/base/random.h"

#include <pthread.h>
#include <string.h>
#include <sys/random.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>

#include "xmpp/base/assert.h"
#include "xmpp/base/encoding.h"

namespace xmpp {
namespace {

constexpr std::size_t kBuffer = 256;
// Larger requests do not pass through the buffer.
constexpr std::size_t kBufferedUpTo = 64;

// Counts the forks behind us, so that a child does not repeat the buffered bytes of its parent.
std::atomic<unsigned> forks{0};

void fill_from_kernel(void* out, std::size_t size) noexcept {
  auto* at = static_cast<unsigned char*>(out);
  while (size > 0) {
    const ssize_t got = getrandom(at, size, 0);
    if (got < 0) {
      XMPP_ASSERT(errno == EINTR);
      continue;
    }
    at += got;
    size -= static_cast<std::size_t>(got);
  }
}

struct Buffer {
  unsigned char bytes[kBuffer];
  std::size_t left = 0;
  unsigned forks_seen = 0;
};

std::uint64_t splitmix(std::uint64_t& state) noexcept {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

std::uint64_t Rng::next_u64() noexcept {
  std::uint64_t value = 0;
  fill(std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

std::uint64_t Rng::below(std::uint64_t bound) noexcept {
  XMPP_ASSERT(bound > 0);
  // 2^64 is not a multiple of most bounds: the values of the incomplete round are drawn again.
  const std::uint64_t incomplete = (0 - bound) % bound;
  std::uint64_t value = next_u64();
  while (value < incomplete) value = next_u64();
  return value % bound;
}

std::string Rng::hex(std::size_t bytes) {
  std::string raw(bytes, '\0');
  fill(std::as_writable_bytes(std::span(raw.data(), raw.size())));
  return hex_encode(raw);
}

void OsRng::fill(std::span<std::byte> out) noexcept {
  if (out.size() > kBufferedUpTo) {
    fill_from_kernel(out.data(), out.size());
    return;
  }
  [[maybe_unused]] static const int registered =
      pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });
  thread_local Buffer buffer;
  const unsigned now = forks.load(std::memory_order_relaxed);
  if (buffer.left < out.size() || buffer.forks_seen != now) {
    fill_from_kernel(buffer.bytes, kBuffer);
    buffer.left = kBuffer;
    buffer.forks_seen = now;
  }
  unsigned char* taken = buffer.bytes + (buffer.left - out.size());
  if (!out.empty()) memcpy(out.data(), taken, out.size());
  explicit_bzero(taken, out.size());  // what was handed out once must not be found again
  buffer.left -= out.size();
}

SeededRng::SeededRng(std::uint64_t seed) noexcept {
  for (std::uint64_t& word : state_) word = splitmix(seed);
}

void SeededRng::fill(std::span<std::byte> out) noexcept {
  while (!out.empty()) {
    const std::uint64_t value = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    const std::size_t count = std::min(out.size(), sizeof value);
    memcpy(out.data(), &value, count);
    out = out.subspan(count);
  }
}

}  // namespace xmpp
