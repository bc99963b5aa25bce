#include "core/ticket_office.h"

#include <memory>

#include "core/server.h"
#include "core/sm_state.h"
#include "core/worker.h"

namespace xmppd {
namespace {

// Origin::stream is the worker above, a running number below.
constexpr unsigned kWorkerShift = 48;

}  // namespace

struct TicketOffice::Letter final : xmpp::net::Mail {
  Letter(Worker& destination, std::size_t sender, std::vector<Note> what)
      : Mail(&deliver), worker(destination), from(sender), notes(std::move(what)) {}
  static void deliver(Mail* mail, bool run) {
    std::unique_ptr<Letter> self(static_cast<Letter*>(mail));
    if (run) self->worker.tickets().read(self->from, self->notes);
  }
  Worker& worker;
  std::size_t from;
  std::vector<Note> notes;
};

void Ticket::settle() noexcept {
  if (auto* office = std::exchange(office_, nullptr)) office->settle(origin_);
}

TicketOffice::TicketOffice(Worker& worker)
    : worker_(worker), notes_(worker.server().worker_count()) {}

TicketOffice::~TicketOffice() = default;

std::uint64_t TicketOffice::enter(Session& session) {
  const auto stream =
      (static_cast<std::uint64_t>(worker_.index()) << kWorkerShift) | ++last_stream_;
  sessions_[stream] = &session;
  return stream;
}

void TicketOffice::leave(std::uint64_t stream) noexcept {
  sessions_.erase(stream);
}

Session* TicketOffice::find(std::uint64_t stream) noexcept {
  auto found = sessions_.find(stream);
  return found == sessions_.end() ? nullptr : found->second;
}

std::size_t TicketOffice::worker_of(const xmpp::Origin& origin) const noexcept {
  return static_cast<std::size_t>(origin.stream >> kWorkerShift);
}

Ticket TicketOffice::hold(const xmpp::Stanza& stanza) {
  const auto& origin = stanza.origin();
  if (origin.stream == 0 || !is_open_) return {};
  const auto worker = worker_of(origin);
  if (worker == worker_.index()) {
    Session* session = find(origin.stream);
    if (session == nullptr) return {};
    session->sm_->window.hold(origin.number);
  } else {
    note(worker, Word::hold, origin);
  }
  return {*this, origin};
}

void TicketOffice::settle(const xmpp::Origin& origin) noexcept {
  if (!is_open_) return;
  const auto worker = worker_of(origin);
  if (worker != worker_.index()) {
    note(worker, Word::settle, origin);
  } else if (Session* session = find(origin.stream)) {
    session->sm_->window.settle(origin.number);
    session->acknowledge_more();
  }
}

void TicketOffice::probe(std::size_t worker, const xmpp::Origin& origin) {
  note(worker, Word::probe, origin);
}

void TicketOffice::note(std::size_t worker, Word word, const xmpp::Origin& origin) {
  notes_[worker].push_back({word, origin});
  has_notes_ = true;
}

void TicketOffice::publish() {
  if (!has_notes_) return;
  has_notes_ = false;
  for (std::size_t to = 0; to < notes_.size(); ++to) {
    if (notes_[to].empty()) continue;
    worker_.send_mail(to, new Letter(worker_.server().worker(to), worker_.index(),
                                     std::exchange(notes_[to], {})));
  }
}

void TicketOffice::read(std::size_t from, const std::vector<Note>& notes) {
  std::vector<std::uint64_t> changed;
  for (const Note& one : notes) {
    if (one.word == Word::probe) {
      // Everything that came before it has been handled.
      note(from, Word::through, one.origin);
      continue;
    }
    Session* session = find(one.origin.stream);
    if (session == nullptr) continue;
    SmState& sm = *session->sm_;
    if (one.word == Word::hold) {
      sm.window.hold(one.origin.number);
      continue;
    }
    if (one.word == Word::settle) {
      sm.window.settle(one.origin.number);
    } else {
      sm.note_through(one.origin.number);
    }
    changed.push_back(one.origin.stream);
  }
  for (const auto stream : changed) {
    if (Session* session = find(stream)) session->acknowledge_more();
  }
}

}  // namespace xmppd
