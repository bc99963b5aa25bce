// Audit: what arrived of the numbered messages of one directed pair: exactly how many were lost,
// duplicated and reordered. Tag: the numbers that travel in each message's body.
//
// Thread-safety: one thread. Invariants: (1) for any range of numbers, sent = received once + lost.
// (2) missing_ holds disjoint ranges below next_, in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "xmpp/base/time.h"

namespace xmppbench {

class Audit {
 public:
  enum class Arrival : std::uint8_t {
    in_order,
    reordered,   // for the first time, but after a later one
    duplicated,  // had arrived before
  };
  // Message `number` (from 0 on) arrived.
  Arrival on_arrival(std::uint64_t number);
  // How many of the messages [first, sent) have not arrived.
  [[nodiscard]] std::uint64_t lost(std::uint64_t first, std::uint64_t sent) const noexcept;

 private:
  struct Range {
    std::uint64_t begin;
    std::uint64_t end;
  };
  std::uint64_t next_ = 0;  // one above the highest that arrived
  std::vector<Range> missing_;
};

// What a message's body begins with, in hexadecimal digits at fixed places.
struct Tag {
  std::uint32_t run = 0;     // tells the messages of this run from what others left behind
  std::uint32_t sender = 0;  // the pair follows from it: odd and even neighbours
  std::uint32_t number = 0;  // counted per sender
  xmpp::Instant at{};        // when it was meant to be sent

  static constexpr std::size_t kBytes = 44;
  // Overwrites the first kBytes at `out`.
  void write(char* out) const noexcept;
  // nullopt: not one of ours.
  [[nodiscard]] static std::optional<Tag> parse(std::string_view body) noexcept;
};

}  // namespace xmppbench
