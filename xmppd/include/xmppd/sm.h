// SmTerms: what a session whose stanzas are acknowledged is granted. SmPolicy: what is granted at
// all.
//
// Thread-safety: plain data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

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

// Offered by the module that says on what terms: what clients are told who ask for a session that
// is not there.
class SmPolicy {
 public:
  static constexpr std::string_view kServiceName = "sm";
  // May sessions be resumed at all?
  [[nodiscard]] virtual bool offers_resumption() const noexcept = 0;

 protected:
  ~SmPolicy() = default;
};

}  // namespace xmppd
