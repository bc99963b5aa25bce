// Random numbers as a parameter: the operating system's in programs, a seeded source in tests and
// in the simulator.
//
// Thread-safety: OsRng any thread; SeededRng one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace xmpp {

class Rng {
 public:
  Rng() = default;
  Rng(const Rng&) = delete;
  Rng& operator=(const Rng&) = delete;
  virtual ~Rng() = default;
  virtual void fill(std::span<std::byte> out) noexcept = 0;

  [[nodiscard]] std::uint64_t next_u64() noexcept;
  // Uniform in [0, bound). REQUIRES: bound > 0.
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) noexcept;
  // `bytes` random bytes as lower-case hexadecimal digits (two per byte).
  [[nodiscard]] std::string hex(std::size_t bytes);
};

// getrandom(2), small requests buffered per thread (never across a fork); suitable for secrets.
class OsRng final : public Rng {
 public:
  void fill(std::span<std::byte> out) noexcept override;
};

// xoshiro256**; never for secrets outside tests.
class SeededRng final : public Rng {
 public:
  explicit SeededRng(std::uint64_t seed) noexcept;
  void fill(std::span<std::byte> out) noexcept override;

 private:
  std::uint64_t state_[4];
};

}  // namespace xmpp
