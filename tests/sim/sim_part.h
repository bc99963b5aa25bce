// Part: what a few clients with accounts of their own do beside the crowd of a simulation, and what
// must hold of that. One file per part.
//
// Thread-safety: one thread.
#pragma once

#include <charconv>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "sim/sim_limits.h"
#include "sim/sim_user.h"
#include "sim/sim_world.h"

namespace sim {

// What a part works with.
struct Stage {
  SimWorld& world;
  Transcript& transcript;
  xmpp::Rng& rng;
  std::function<void(std::string)> fail;
  std::function<LinkQuality()> random_quality;
  TightLimits limits;       // what the server is configured with
  bool has_faults = false;  // the disk fails now and then: errors are allowed answers

  [[nodiscard]] std::size_t pick(std::size_t bound) const {
    return static_cast<std::size_t>(rng.below(bound));
  }
};

class Part {
 public:
  Part() = default;
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;
  virtual ~Part() = default;

  // Does one thing.
  virtual void act() = 0;
  // The server's process or its machine has failed and is back; all connections are broken.
  virtual void on_crash() = 0;
  // Everybody is to be there; then time passes.
  virtual void gather() = 0;
  // Nothing is under way: everything that had to arrive is there.
  virtual void check() = 0;
  // All leave, in order.
  virtual void leave() = 0;
};

// The number behind a prefix; 0: none.
[[nodiscard]] inline std::uint64_t number_after(std::string_view text, std::string_view prefix) {
  std::uint64_t number = 0;
  if (!text.starts_with(prefix)) return 0;
  text.remove_prefix(prefix.size());
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() ? number : 0;
}

}  // namespace sim
