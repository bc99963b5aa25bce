// Acknowledged delivery without I/O: Queue is the sending half (numbers, keeps what the peer has
// not acknowledged), Window the receiving half (how much has been dealt with). A client stream uses
// one of each, and so may any other link that numbers what it sends.
//
//   queue.push(stanza, now); send it        window.receive() for each stanza that came
//   queue.acknowledge(h) when <a h=''/> came  answer <a h='window.handled()'/>
//
// Counters are modulo 2^32 on both sides.
//
// Thread-safety: one thread at a time. Invariants: (1) sent() - acknowledged() is the number of
// stanzas kept. (2) handled() never goes backwards once it was reported. Spec: XEP-0198 4, 5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "xmpp/base/time.h"
#include "xmpp/core/stanza.h"

namespace xmpp::sm {

// A counter modulo 2^32.
using Count = std::uint32_t;

class Queue {
 public:
  struct Entry {
    Stanza stanza;
    Timestamp at;            // when it was pushed
    std::size_t bytes = 0;   // weight_of(stanza)
    std::uint32_t mark = 0;  // the owner's own
  };

  // What the peer leaves unacknowledged may be this much.
  Queue(std::size_t stanzas_max, std::size_t bytes_max) noexcept
      : stanzas_max_(stanzas_max), bytes_max_(bytes_max) {}

  // Gives the stanza the next number and keeps it. False: that was more than the limits allow; it
  // is kept all the same, the owner decides what becomes of the peer.
  bool push(Stanza stanza, Timestamp at, std::uint32_t mark = 0);

  enum class Outcome : std::uint8_t { ok, stale, too_high };
  // The peer has dealt with everything up to `h`: lets go of it. stale: it said so before.
  Outcome acknowledge(Count h);

  // The number of the last stanza pushed.
  [[nodiscard]] Count sent() const noexcept { return acknowledged_ + static_cast<Count>(size()); }
  [[nodiscard]] Count acknowledged() const noexcept { return acknowledged_; }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size() - head_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] bool is_empty() const noexcept { return size() == 0; }
  // Oldest first; REQUIRES: index < size().
  [[nodiscard]] const Entry& operator[](std::size_t index) const noexcept {
    return entries_[head_ + index];
  }
  [[nodiscard]] Entry& operator[](std::size_t index) noexcept { return entries_[head_ + index]; }
  // Everything unacknowledged, oldest first; the queue is empty then.
  [[nodiscard]] std::vector<Entry> take();
  // So much was acknowledged, as is known from elsewhere; what is kept is numbered after it.
  void start_at(Count acknowledged) noexcept { acknowledged_ = acknowledged; }

 private:
  std::vector<Entry> entries_;  // from head_
  std::size_t head_ = 0;
  std::size_t bytes_ = 0;
  std::size_t stanzas_max_;
  std::size_t bytes_max_;
  Count acknowledged_ = 0;
};

// About what a stanza costs in memory and on the wire.
[[nodiscard]] std::size_t weight_of(const Stanza& stanza) noexcept;

// Which received stanzas have been dealt with. A stanza counts when it is confirmed (it and all
// before it have reached those responsible for them) and nobody holds it (a write is under way).
class Window {
 public:
  // A stanza came: its number.
  Count receive() noexcept { return ++received_; }
  // Everything up to `number` has reached whoever takes responsibility.
  void confirm(Count number) noexcept;
  // The stanza is not dealt with until settle() was called as often as hold(). Ignored for one that
  // was reported as handled.
  void hold(Count number);
  void settle(Count number) noexcept;

  [[nodiscard]] Count received() const noexcept { return received_; }
  [[nodiscard]] Count confirmed() const noexcept { return confirmed_; }
  // How far everything has been dealt with.
  [[nodiscard]] Count handled() const noexcept;
  // handled(), which from now on is a promise.
  Count report() noexcept { return reported_ = handled(); }
  [[nodiscard]] Count reported() const noexcept { return reported_; }
  [[nodiscard]] bool is_settled() const noexcept { return handled() == received_; }
  // Waits for nothing any more: everything received counts.
  void settle_all() noexcept;
  // Starts at a number that is known from elsewhere.
  void start_at(Count number) noexcept { received_ = confirmed_ = reported_ = number; }

 private:
  struct Held {
    Count number;
    std::uint32_t holds;
  };
  Count received_ = 0;
  Count confirmed_ = 0;
  Count reported_ = 0;
  std::vector<Held> held_;  // few: each is a write under way
};

}  // namespace xmpp::sm
