// SmState: what a session whose stanzas are acknowledged remembers: what its client has not
// acknowledged, how much of the client's stanzas has been dealt with, and on what terms.
//
// Thread-safety: the account owner's worker only.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/sm_counters.h"
#include "xmpp/base/time.h"
#include "xmpp/base/timer_wheel.h"
#include "xmpp/stream/sm.h"
#include "xmppd/session.h"
#include "xmppd/sm.h"

namespace xmppd {

// How long a resumption, and the last acknowledgement, wait for what the client sent to be stored.
inline constexpr xmpp::Duration kSettleTimeout = std::chrono::seconds(5);

class SmState {
 public:
  SmState(const SmTerms& granted, std::string its_id)
      : terms(granted), id(std::move(its_id)), queue(granted.stanzas_max, granted.bytes_max) {}

  SmTerms terms;
  std::string id;  // by which it is resumed; empty: it is not
  xmpp::sm::Queue queue;
  xmpp::sm::Window window;
  // What of it survives a restart; see SmStore.
  bool is_stored = false;
  // Came back without its count: its client cannot resume it, but what waited for it goes on.
  bool is_over = false;
  SmCounters::Slot* counter = nullptr;
  std::uint64_t last_place = 0;  // of the last stanza stored
  // Came back with the server: so many of `queue` were stored. What was sent after that, before the
  // server died, only the client knows.
  std::optional<std::size_t> restored;
  // The stored queue begins behind the first number, ends with the second, which is known while
  // there is a link, and goes when the client has it all.
  std::optional<xmpp::sm::Count> stored_after;
  std::optional<xmpp::sm::Count> stored_until;
  // Until it is stored that it has a link again, nothing that is promised over that link would
  // survive a failure of the machine.
  bool is_stored_detached = false;
  bool is_attaching = false;  // that is being stored, or was since the last link
  std::uint32_t times_detached = 0;
  bool is_being_put = false;  // its facts are on their way to the database,
  bool is_put_due = false;    // and have changed since
  // Counts these changes: what is acknowledged is not waited for, so a server that is killed before
  // they are stored cannot go on with the session.
  std::uint32_t facts = 0;
  void note_change() noexcept {
    ++facts;
    if (counter != nullptr) counter->is_stale.store(1, std::memory_order_relaxed);
  }
  void note_stored(std::uint32_t its_facts) noexcept {
    if (counter != nullptr && its_facts == facts) {
      counter->is_stale.store(0, std::memory_order_relaxed);
    }
  }
  // The client says how much it has got, for the first time after the server died.
  // True: more than the server knew of, so what is stored is numbered wrongly.
  bool reconcile(xmpp::sm::Count handled);
  // handled() has changed.
  void save_count() noexcept {
    if (counter != nullptr) counter->handled.store(window.handled(), std::memory_order_relaxed);
  }

  // While detached: the end of the wait, and how the client was connected.
  xmpp::Timer expiry;
  ConnectionInfo last_connection;

  // Which of the client's stanzas have been handled; see TicketOffice.
  struct Probe {
    xmpp::sm::Count number;      // handled when it is through everywhere
    std::size_t missing;         // workers that have not answered
    std::uint32_t requests = 0;  // of the client's, that wait for it
  };
  // What has been received so far has been handled, if no other worker has a part in it.
  void confirm() noexcept;
  // A probe has come back from a worker.
  void note_through(xmpp::sm::Count number) noexcept;
  std::uint64_t stream = 0;   // Origin::stream of the client's stanzas
  std::vector<bool> visited;  // workers that stanzas went to since the last probe
  bool has_visited = false;
  std::vector<Probe> probes;      // oldest first
  std::uint32_t answers_due = 0;  // <r/> that are to be answered now
  bool owes_ack = false;          // one was answered short

  // While there is a link: was an acknowledgement asked for that has not come yet?
  bool is_ack_requested = false;
};

}  // namespace xmppd
