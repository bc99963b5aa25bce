// SmTerms: what a session whose stanzas are acknowledged is granted.
//
// Thread-safety: plain data.
#pragma once

#include <cstddef>
#include <cstdint>

#include "xmpp/base/time.h"

namespace xmppd {

struct SmTerms {
  bool is_resumable = false;
  xmpp::Duration window = std::chrono::seconds(300);  // how long a detached session waits
  // What the client may leave unacknowledged, before and after its link died.
  std::size_t stanzas_max = 10'000;
  std::size_t bytes_max = 16'777'216;
  std::size_t detached_max = 10;  // detached sessions of an account
  // The client is asked to acknowledge after so many stanzas, or after so long, and is given up if
  // it does not answer for `answer_timeout` (zero: never).
  std::uint32_t request_every = 5;
  xmpp::Duration request_delay = std::chrono::seconds(1);
  xmpp::Duration answer_timeout = std::chrono::seconds(60);
  // Are stanzas acknowledged when what they cause is stored, or when they were received?
  bool waits_for_stores = true;
};

}  // namespace xmppd
