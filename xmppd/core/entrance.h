// Entrance: one [[listen]] entry as its connections see it.
//
// Thread-safety: constant data, shared by all workers.
#pragma once

#include <string>

#include "core/config.h"

namespace xmppd {

struct Entrance {
  Service service = Service::c2s;
  TlsMode tls = TlsMode::required;
  bool is_loopback = false;  // bound to a loopback address
};

}  // namespace xmppd
