// TicketOffice: a worker's side of acknowledging durably. It knows the sessions of this worker
// whose stanzas are counted, and tells other workers which of theirs are held or settled here.
//
// A stanza is handled where its recipient is, perhaps on another worker. Nothing is reported for
// one that needs no ticket; instead, when a client asks, its session sends a probe after its
// stanzas to the workers that they went to. Mail is FIFO, so the probe's return says that every
// stanza before it was handled, and every ticket taken for one has been announced.
//
// Thread-safety: its worker only. Invariants: (1) what is told to one worker arrives in order. (2)
// It outlives the worker's mail, so that a ticket in undelivered mail can still be settled.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "xmpp/core/stanza.h"
#include "xmppd/ticket.h"

namespace xmppd {

class Session;
class Worker;

class TicketOffice {
 public:
  explicit TicketOffice(Worker& worker);
  ~TicketOffice();
  TicketOffice(const TicketOffice&) = delete;
  TicketOffice& operator=(const TicketOffice&) = delete;

  // A session counts from now on; the result identifies it in Origin::stream. Never 0.
  [[nodiscard]] std::uint64_t enter(Session& session);
  void leave(std::uint64_t stream) noexcept;

  // A ticket for a stanza; for nothing if nobody counts it.
  [[nodiscard]] Ticket hold(const xmpp::Stanza& stanza);
  void settle(const xmpp::Origin& origin) noexcept;
  // Asks a worker to say when it has handled what it was sent before.
  void probe(std::size_t worker, const xmpp::Origin& origin);

  // Sends what has gathered; called at the end of every turn.
  void publish();
  // The worker ends: nobody is told anything any more.
  void close() noexcept { is_open_ = false; }

 private:
  enum class Word : std::uint8_t { hold, settle, probe, through };
  struct Note {
    Word word;
    xmpp::Origin origin;
  };
  struct Letter;
  void note(std::size_t worker, Word word, const xmpp::Origin& origin);
  void read(std::size_t from, const std::vector<Note>& notes);
  [[nodiscard]] Session* find(std::uint64_t stream) noexcept;
  [[nodiscard]] std::size_t worker_of(const xmpp::Origin& origin) const noexcept;

  Worker& worker_;
  std::uint64_t last_stream_ = 0;
  std::unordered_map<std::uint64_t, Session*> sessions_;
  std::vector<std::vector<Note>> notes_;  // by worker
  bool has_notes_ = false;
  bool is_open_ = true;
};

}  // namespace xmppd
