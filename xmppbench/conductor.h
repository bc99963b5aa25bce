// Conductor: one run from the first login to the report: phases, samples of CPU and memory at their
// borders, progress, SIGINT.
//
// Thread-safety: the main thread. Invariants: SIGINT and SIGTERM are blocked before any other
// thread exists, so that only the conductor sees them.
#pragma once

#include "options.h"
#include "report.h"
#include "xmpp/base/result.h"

namespace xmppbench {

// Blocks until the run is over. An error means that there is nothing to report.
[[nodiscard]] xmpp::Result<RunResult, Failure> conduct(const Options& options);

}  // namespace xmppbench
