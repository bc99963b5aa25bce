#include "core/sm_store.h"

#include <utility>

#include "core/ownership.h"
#include "core/server.h"
#include "core/sm_counters.h"
#include "core/sm_state.h"
#include "core/worker.h"
#include "xmpp/core/namespaces.h"
#include "xmpp/xml/value_codec.h"
#include "xmppd/hooks.h"
#include "xmppd/stored_stanza.h"

namespace xmppd {

using xmpp::log::kv;

namespace {

const xmpp::log::Context kLog{.component = "sm"};

void note_outcome(const StorageResult<void>& outcome) {
  if (outcome) return;
  xmpp::log::warn(kLog, "a session to be resumed is not stored: check the database",
                  {kv("error", outcome.error().text)});
}

SmStanza stanza_of(const xmpp::sm::Queue::Entry& entry, std::uint64_t place) {
  return {.place = place, .at = entry.at, .stanza = to_xml(entry.stanza, xmpp::ns::client)};
}

}  // namespace

SmSessionRecord SmStore::record_of(Session& session) {
  SmState& sm = *session.sm_;
  SmSessionRecord record;
  record.id = sm.id;
  record.jid = session.jid();
  record.window = sm.terms.window;
  record.handled = sm.window.handled();
  // The stored stanzas are numbered from here on.
  record.acknowledged = sm.stored_after.value_or(sm.queue.acknowledged());
  if (session.is_detached()) {
    record.detached_at = session.account_.host_.worker_.reactor().wall();
  }
  record.slots = to_bytes(session.save_slots());
  if (session.is_available()) record.presence = to_xml(*session.presence(), xmpp::ns::client);
  return record;
}

Session* SmStore::find(Worker& worker, const xmpp::Jid& jid, std::uint64_t stream) {
  Account* account = worker.accounts().find(jid);
  if (account == nullptr) return nullptr;
  for (Session* one : account->sessions()) {
    if (one->sm_ && one->sm_->stream == stream) return one;
  }
  return nullptr;
}

void SmStore::put(Session& session) {
  Worker& worker = session.account_.host_.worker_;
  SmState& sm = *session.sm_;
  sm.note_change();
  // Records may be large: a client must not fill the storage's queue with what it has superseded.
  sm.is_put_due = sm.is_being_put;
  if (sm.is_being_put) return;
  sm.is_being_put = true;
  SmSessionRecord record = record_of(session);
  if (sm.is_attaching) record.detached_at = {};
  if (record.detached_at != xmpp::Timestamp()) sm.is_stored_detached = true;
  worker.server().storage().write_then(
      worker.reactor(), session.jid(),
      [&worker, jid = session.jid(), stream = sm.stream,
       facts = sm.facts](const StorageResult<void>& outcome) {
        note_outcome(outcome);
        Session* found = find(worker, jid, stream);
        if (found == nullptr) return;
        if (outcome) found->sm_->note_stored(facts);
        found->sm_->is_being_put = false;
        if (found->sm_->is_put_due && found->is_stored()) put(*found);
      },
      [](Tx& tx, const SmSessionRecord& its_record) { return tx.sm_queues().put(its_record); },
      std::move(record));
}

void SmStore::put_queue(Session& session) {
  Account& account = session.account_;
  Worker& worker = account.host_.worker_;
  SmState& sm = *session.sm_;
  sm.stored_after = sm.queue.acknowledged();
  sm.is_stored_detached = true;
  sm.is_attaching = sm.is_put_due = false;
  ++sm.times_detached;
  std::vector<SmStanza> stanzas;
  std::vector<Ticket> tickets;
  for (std::size_t i = 0; i < sm.queue.size(); ++i) {
    stanzas.push_back(stanza_of(sm.queue[i], ++sm.last_place));
    if (auto ticket = account.hold(sm.queue[i].stanza); ticket.is_held()) {
      tickets.push_back(std::move(ticket));
    }
  }
  worker.server().storage().write_then(
      worker.reactor(), session.jid(),
      [&worker, jid = session.jid(), stream = sm.stream, facts = sm.facts,
       tickets = std::move(tickets)](const StorageResult<void>& outcome) {
        note_outcome(outcome);
        Session* found = find(worker, jid, stream);
        if (found != nullptr && outcome) found->sm_->note_stored(facts);
      },
      [](Tx& tx, const SmSessionRecord& record,
         const std::vector<SmStanza>& queue) -> StorageResult<void> {
        if (auto done = tx.sm_queues().put(record); !done) return done;
        if (auto done = tx.sm_queues().remove_stanzas(record.id); !done) return done;
        return tx.sm_queues().append(record.id, queue);
      },
      record_of(session), std::move(stanzas));
}

void SmStore::put_attached(Session& session) {
  Worker& worker = session.account_.host_.worker_;
  SmSessionRecord record = record_of(session);
  record.detached_at = {};
  session.sm_->is_attaching = true;
  worker.server().storage().write_then(
      worker.reactor(), session.jid(),
      [&worker, jid = session.jid(), stream = session.sm_->stream,
       detached = session.sm_->times_detached](const StorageResult<void>& outcome) {
        note_outcome(outcome);
        Session* found = find(worker, jid, stream);
        if (found == nullptr || found->sm_->times_detached != detached) return;
        found->sm_->is_stored_detached = false;
      },
      [](Tx& tx, const SmSessionRecord& its_record) { return tx.sm_queues().put(its_record); },
      std::move(record));
}

void SmStore::append(Session& session) {
  Account& account = session.account_;
  Worker& worker = account.host_.worker_;
  SmState& sm = *session.sm_;
  const auto& entry = sm.queue[sm.queue.size() - 1];
  worker.server().storage().write_then(
      worker.reactor(), session.jid(),
      [ticket = account.hold(entry.stanza)](const StorageResult<void>& outcome) {
        note_outcome(outcome);
      },
      [](Tx& tx, const std::string& id, const std::vector<SmStanza>& stanzas) {
        return tx.sm_queues().append(id, stanzas);
      },
      sm.id, std::vector<SmStanza>{stanza_of(entry, ++sm.last_place)});
}

void SmStore::remove_queue(Session& session) {
  session.sm_->stored_after.reset();
  Worker& worker = session.account_.host_.worker_;
  worker.server().storage().write_then(
      worker.reactor(), session.jid(), note_outcome,
      [](Tx& tx, const SmSessionRecord& record) -> StorageResult<void> {
        if (auto done = tx.sm_queues().put(record); !done) return done;
        return tx.sm_queues().remove_stanzas(record.id);
      },
      record_of(session));
}

void SmStore::remove(Session& session) {
  Worker& worker = session.account_.host_.worker_;
  worker.server().storage().write_then(
      worker.reactor(), session.jid(), note_outcome,
      [](Tx& tx, const std::string& id) { return tx.sm_queues().remove(id); }, session.sm_->id);
}

// At the start
// ------------------------------------------------------------------------------------------------

void SmStore::restore_all(Server& server) {
  auto all = server.storage().read_blocking("server", [](Tx& tx) { return tx.sm_queues().load(); });
  if (!all) {
    xmpp::log::warn(kLog, "stored sessions cannot be read: check the database",
                    {kv("error", all.error().text)});
    all = std::vector<SmStored>();
  }
  std::size_t restored = 0;
  for (const SmStored& stored : *all) {
    if (!stored.session.jid.is_full()) continue;  // a damaged row; it goes with its account
    Worker& owner = server.worker(owner_of(stored.session.jid, server.worker_count()));
    Host* host = owner.find_host(stored.session.jid.domain());
    if (host != nullptr && restore(owner, *host, stored)) {
      ++restored;
      continue;
    }
    auto removed = server.storage().write_blocking(
        stored.session.jid, [](Tx& tx, const std::string& id) { return tx.sm_queues().remove(id); },
        stored.session.id);
    note_outcome(removed);
  }
  server.sm_counters().forget_rest();
  if (!all->empty()) {
    xmpp::log::info(kLog, "sessions wait to be resumed",
                    {kv("restored", restored), kv("stored", all->size())});
  }
}

bool SmStore::restore(Worker& worker, Host& host, const SmStored& stored) {
  const SmSessionRecord& record = stored.session;
  const bool had_link = record.detached_at == xmpp::Timestamp();
  auto* counter = worker.server().sm_counters().find(record.id);
  if (counter != nullptr && had_link && counter->is_stale.load() != 0) {
    worker.server().sm_counters().release(*counter);
    counter = nullptr;
  }
  // What such a session has dealt with since it was stored only the counter knows. What waits for
  // it was promised to be delivered all the same.
  const bool is_over = had_link && counter == nullptr;
  if (is_over && stored.stanzas.empty()) return false;
  Account& account = worker.accounts().get_or_make(record.jid, host);
  auto session = std::make_unique<Session>(account, record.jid, nullptr);
  SmRequested hook{
      .session = *session, .wants_resumption = true, .wanted_window = record.window, .terms = {}};
  const bool granted =
      host.profile_.hooks().fire(hook) == Verdict::handled && hook.terms.is_resumable;
  if (!granted || account.find_session(record.jid.resource()) != nullptr) {
    session.reset();
    if (counter != nullptr) worker.server().sm_counters().release(*counter);
    worker.accounts().drop_if_idle(account);
    return false;
  }
  session->start_sm(hook.terms, record.id);
  SmState& sm = *session->sm_;
  sm.counter = counter;
  sm.is_stored = true;
  sm.is_over = is_over;
  sm.is_stored_detached = !had_link;
  sm.stored_after = record.acknowledged;
  sm.queue.start_at(record.acknowledged);
  const bool is_ahead =
      counter != nullptr && static_cast<std::int32_t>(counter->handled.load() - record.handled) > 0;
  sm.window.start_at(is_ahead ? counter->handled.load() : record.handled);
  for (const SmStanza& one : stored.stanzas) {
    sm.last_place = one.place;
    auto stanza = parse_stored_stanza(one.stanza);
    if (stanza) (void)sm.queue.push(std::move(*stanza), one.at);
  }
  sm.restored = sm.queue.size();
  restore_presence(*session, record.presence);
  if (auto slots = parse_saved_slots(record.slots)) session->hold_slots(std::move(*slots));
  sm.last_connection.connected_at = worker.reactor().now();
  account.sessions_.push_back(session.get());
  worker.count_session(1);
  auto left = record.window;
  if (!had_link) left -= worker.reactor().wall() - record.detached_at;
  if (is_over) left = xmpp::Duration::zero();
  Session::wait(std::move(session), left);
  return true;
}

void SmStore::restore_presence(Session& session, const std::string& presence) {
  if (presence.empty()) return;
  session.presence_ = parse_stored_stanza(presence);
  session.is_available_ = session.presence_.has_value();
  if (!session.is_available_) return;
  // As the client wrote it: there may be white space, and a plus sign.
  const auto priority = session.presence_->child_text("priority").value_or("0");
  session.priority_ = xmpp::xml::ValueCodec<std::int8_t>::decode(priority).value_or(0);
}

}  // namespace xmppd
