// SmState: what a session whose stanzas are acknowledged remembers: what its client has not
// acknowledged, how much of the client's stanzas has been dealt with, and on what terms.
//
// Thread-safety: the account owner's worker only.
#pragma once

#include <string>
#include <utility>

#include "xmpp/base/time.h"
#include "xmpp/base/timer_wheel.h"
#include "xmpp/stream/sm.h"
#include "xmppd/session.h"
#include "xmppd/sm.h"

namespace xmppd {

class SmState {
 public:
  SmState(const SmTerms& granted, std::string its_id)
      : terms(granted), id(std::move(its_id)), queue(granted.stanzas_max, granted.bytes_max) {}

  SmTerms terms;
  std::string id;  // by which it is resumed; empty: it is not
  xmpp::sm::Queue queue;
  xmpp::sm::Window window;
  // While detached: the end of the wait, and how the client was connected.
  xmpp::Timer expiry;
  ConnectionInfo last_connection;
  // While there is a link: was an acknowledgement asked for that has not come yet?
  bool is_ack_requested = false;
};

}  // namespace xmppd
