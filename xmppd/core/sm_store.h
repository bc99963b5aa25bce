// SmStore: what is stored of sessions that may be resumed, and how they come back when the server
// starts. A row from the agreement on, what the client has not acknowledged from the death of its
// link on, both gone when the session ends.
//
// Thread-safety: the account owner's worker; restore_all() while no worker runs.
#pragma once

#include <cstdint>
#include <vector>

#include "xmppd/storage.h"

namespace xmppd {

class Account;
class Host;
class Server;
class Session;
class Worker;

class SmStore {
 public:
  // The session's facts have changed; one at a time is on its way, then what holds by then.
  // REQUIRES of all: session.sm_.
  static void put(Session& session);
  // Its link is gone: its stanzas are stored, and acknowledged to their senders then.
  static void put_queue(Session& session);
  // It is about to have a link again; clears is_stored_detached when that is stored, or cannot be.
  static void put_attached(Session& session);
  // One more came; it is the last of the queue.
  static void append(Session& session);
  // Its client has what was stored: what is not acknowledged came after that.
  static void remove_queue(Session& session);
  static void remove(Session& session);

  // Brings the stored sessions back, detached.
  static void restore_all(Server& server);

 private:
  static SmSessionRecord record_of(Session& session);
  // nullptr: it has ended.
  static Session* find(Worker& worker, const xmpp::Jid& jid, std::uint64_t stream);
  static bool restore(Worker& worker, Host& host, const SmStored& stored);
  static void restore_presence(Session& session, const std::string& presence);
};

}  // namespace xmppd
