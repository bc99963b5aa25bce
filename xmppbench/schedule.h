// OpenLoop: when the messages of one reactor are meant to be sent. The times follow from the rate
// alone, never from answers: whatever makes a message late counts as its latency, so that a stall
// of the server (or of ourselves: slip) cannot hide behind the messages that it kept us from
// sending.
//
// Thread-safety: one thread. Invariants: intended(k) does not depend on when anybody asked.
#pragma once

#include <cmath>
#include <cstdint>

#include "xmpp/base/time.h"

namespace xmppbench {

class OpenLoop {
 public:
  // `rate` per second over all reactors; this one takes every `stride`-th message from `first` on.
  OpenLoop(xmpp::Instant start, double rate, std::uint64_t first = 0, std::uint64_t stride = 1)
      : start_(start), interval_us_(1e6 / rate), at_(first), stride_(stride) {}

  // When message `k` of all is meant to leave.
  [[nodiscard]] xmpp::Instant intended(std::uint64_t k) const noexcept {
    const double offset = std::floor(static_cast<double>(k) * interval_us_);
    return start_ + xmpp::Duration(static_cast<xmpp::Duration::rep>(offset));
  }
  // When the next one of ours is.
  [[nodiscard]] xmpp::Instant next() const noexcept { return intended(at_); }
  void advance() noexcept { at_ += stride_; }

 private:
  xmpp::Instant start_;
  double interval_us_;
  std::uint64_t at_;
  std::uint64_t stride_;
};

}  // namespace xmppbench
