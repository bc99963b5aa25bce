// Keyed hashing: siphash-2-4, so that clients cannot aim at one worker or at one bucket.
//
// Thread-safety: any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace xmpp {

struct HashKey {
  std::uint64_t k0 = 0;
  std::uint64_t k1 = 0;
};

[[nodiscard]] std::uint64_t siphash64(const HashKey& key, std::string_view bytes) noexcept;

// The key of this process's own hash tables. Random unless seed_process_hash() was called first.
[[nodiscard]] const HashKey& process_hash_key() noexcept;
// For simulation and tests: makes table order reproducible. Call before anything is hashed.
void seed_process_hash(std::uint64_t seed) noexcept;

// For std::unordered_map<std::string, ..., KeyedHash, std::equal_to<>>: heterogeneous lookup.
struct KeyedHash {
  using is_transparent = void;
  [[nodiscard]] std::size_t operator()(std::string_view text) const noexcept {
    return static_cast<std::size_t>(siphash64(process_hash_key(), text));
  }
};

}  // namespace xmpp
