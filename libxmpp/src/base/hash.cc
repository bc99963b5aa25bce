// See xmpp/base/hash.h. SipHash-2-4 as described by Aumasson and Bernstein (2012).
#include "xmpp/base/hash.h"

#include <bit>
#include <cstring>

#include "xmpp/base/random.h"

namespace xmpp {
namespace {

static_assert(std::endian::native == std::endian::little, "words are loaded as they stand");

struct SipState {
  std::uint64_t v0, v1, v2, v3;

  void round() noexcept {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void absorb(std::uint64_t word) noexcept {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
};

HashKey make_process_key() noexcept {
  OsRng rng;
  return {rng.next_u64(), rng.next_u64()};
}

HashKey& process_key() noexcept {
  static HashKey key = make_process_key();
  return key;
}

}  // namespace

std::uint64_t siphash64(const HashKey& key, std::string_view bytes) noexcept {
  SipState state{key.k0 ^ 0x736f6d6570736575, key.k1 ^ 0x646f72616e646f6d,
                 key.k0 ^ 0x6c7967656e657261, key.k1 ^ 0x7465646279746573};
  const char* at = bytes.data();
  const std::size_t tail = bytes.size() & 7;
  for (const char* end = at + (bytes.size() - tail); at != end; at += 8) {
    std::uint64_t word;
    std::memcpy(&word, at, sizeof word);
    state.absorb(word);
  }
  std::uint64_t last = static_cast<std::uint64_t>(bytes.size()) << 56;
  for (std::size_t i = 0; i < tail; ++i) {
    last |= static_cast<std::uint64_t>(static_cast<unsigned char>(at[i])) << (8 * i);
  }
  state.absorb(last);
  state.v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

const HashKey& process_hash_key() noexcept {
  return process_key();
}

void seed_process_hash(std::uint64_t seed) noexcept {
  SeededRng rng(seed);
  process_key() = {rng.next_u64(), rng.next_u64()};
}

}  // namespace xmpp
