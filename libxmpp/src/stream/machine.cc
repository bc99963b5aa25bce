// The stream machine's loop: the parser's events in, our events out; errors and the end of the
// stream. See stream/machine.h.
#include "stream/machine.h"

#include <algorithm>
#include <utility>

#include "stream/tables.h"
#include "xmpp/core/namespaces.h"
#include "xmpp/xml/writer.h"

namespace xmpp {
namespace {

// What may wait in a pause: a driver that reads on regardless must not fill the memory.
constexpr std::size_t kQueueLimit = 1'048'576;
constexpr xml::Name kBindPayload{ns::bind, "bind"};

// A client's stanza may state no sender, its bare JID or its full JID (RFC 6120 8.1.2.1).
bool is_own_address(const Jid& from, const Jid& own) noexcept {
  return from.is_empty() || from == own || (from.is_bare() && from.bare_equals(own));
}

// Shall the driver be told of an element in this namespace that is no stanza?
bool is_nonza(const StreamPolicy& policy, std::string_view ns) {
  if (std::ranges::find(policy.nonzas, ns) != policy.nonzas.end()) return true;
  return policy.reports_all_nonzas && !stream::is_content_ns(ns) &&
         stream::find_feature(ns) == nullptr;
}

}  // namespace

StreamMachine::StreamMachine(Role its_role, std::shared_ptr<const StreamPolicy> its_policy,
                             Rng& rng, Instant now)
    : role(its_role),
      usable_bits(its_policy->content_ns == ns::client
                      ? StreamBits::authenticated | StreamBits::bound | kHeaders
                      : StreamBits::authenticated | kHeaders),
      policy(std::move(its_policy)),
      parser(policy->limits_unauthenticated),
      setup(std::make_unique<Setup>()) {
  setup->rng = &rng;
  if (policy->unauthenticated_timeout.count() > 0) {
    setup->deadline = now + policy->unauthenticated_timeout;
  }
}

void StreamMachine::receive(std::string_view bytes) {
  if (bytes.empty() || is_dead()) return;
  if (awaiting == Awaiting::tls) {
    // These bytes are not part of the TLS handshake: somebody injected them in the clear.
    end({.error = {StreamCondition::policy_violation, "data behind the start of TLS"}});
    return;
  }
  if (parser_hungry_ && awaiting == Awaiting::nothing && queue_ == nullptr) {
    parser_hungry_ = false;
    parser.feed(bytes);
    return;
  }
  if (queue_ == nullptr) queue_ = std::make_unique<Queue>();
  if (queue_->waiting.size() + bytes.size() > queue_limit()) {
    fail({StreamCondition::policy_violation, "too much data while a step of the login is pending"});
    return;
  }
  queue_->waiting += bytes;
}

// A stranger gets no more memory than a login needs: twice its largest element.
std::size_t StreamMachine::queue_limit() const noexcept {
  if (has_any(bits, StreamBits::authenticated)) return kQueueLimit;
  return std::min(kQueueLimit, 2 * policy->limits_unauthenticated.stanza_bytes);
}

void StreamMachine::hold() {
  if (!parser_hungry_ && !is_dead()) parser.hold();
}

// The parser wants more: gives it what has queued. False: there is nothing.
bool StreamMachine::feed_queue() {
  parser_hungry_ = true;
  if (queue_ == nullptr) return false;
  if (queue_->waiting.empty()) {
    queue_.reset();
    return false;
  }
  queue_->feeding = std::exchange(queue_->waiting, {});
  parser_hungry_ = false;
  parser.feed(queue_->feeding);
  return true;
}

std::size_t StreamMachine::held_bytes() const noexcept {
  return (parser_hungry_ ? 0 : parser.unread_bytes()) +
         (queue_ == nullptr ? 0 : queue_->waiting.size());
}

bool StreamMachine::has_pipelined_bytes() const noexcept {
  return held_bytes() != 0;
}

// The oldest event that is ready without any input.
bool StreamMachine::take_event(Event& event) {
  if (setup != nullptr) {
    if (!setup->events.empty()) {
      event = std::move(setup->events.front());
      setup->events.erase(setup->events.begin());
      if (awaiting != Awaiting::nothing) hold();
      return true;
    }
    if (setup->finished || is_dead()) setup.reset();
  }
  if (report_of_death != nullptr) {
    event.emplace<StreamFailed>(std::move(*report_of_death));
    report_of_death.reset();
    return true;
  }
  if (std::exchange(closed_unreported, false)) {
    event.emplace<Closed>();
    return true;
  }
  return awaiting != Awaiting::nothing || is_dead();
}

Event StreamMachine::next() {
  Event event(std::in_place_type<NeedBytes>);
  while (!advance(event)) {
  }
  return event;
}

// One event of the parser. REQUIRES: `event` is NeedBytes.
bool StreamMachine::advance(Event& event) {
  using ParserEvent = xml::StreamParser::Event;
  if (take_event(event)) return true;
  if (parser_hungry_ && !feed_queue()) return true;
  switch (parser.next()) {
    case ParserEvent::need_bytes:
      return !feed_queue();
    case ParserEvent::open:
      on_header(parser.take_document());
      return false;
    case ParserEvent::element:
      return on_stanza(parser.take_document(), event);
    case ParserEvent::text:
      return false;
    case ParserEvent::close:
      return on_close(event);
    case ParserEvent::error:
      fail({stream::condition_of(parser.error()), {}});
      return false;
  }
  return false;
}

// The path of every stanza once the stream is usable; false: it was dealt with here.
bool StreamMachine::on_stanza(const xml::Document& document, Event& event) {
  // RFC 6120 4.8.5: elements of the content namespace have no prefix.
  if (is_receiver() && document.root().has_prefix() && document.root().ns() == policy->content_ns) {
    fail({StreamCondition::bad_namespace_prefix, {}});
    return false;
  }
  if (is_receiver() && policy->sm && document.root().ns() == ns::sm &&
      has_all(bits, kHeaders | StreamBits::tls_settled)) {
    std::optional<Event> read = stream::read_sm(*this, document);
    if (!read) return false;
    if (awaiting != Awaiting::nothing) hold();
    event = std::move(*read);
    return true;
  }
  if (!is_usable() || (setup != nullptr && setup->active != nullptr)) {
    on_element(document);
    return false;
  }
  ParsedStanza& parsed = event.emplace<StanzaReceived>().parsed;
  parsed.stanza.envelope().to = last_to;
  if (!parse_stanza(document, policy->content_ns, parsed)) {
    event.emplace<NeedBytes>();
    if (is_nonza(*policy, document.root().ns())) {
      event.emplace<NonzaReceived>(document);
      return true;
    }
    on_element(document);
    return false;
  }
  if (parsed.stanza.to() != last_to) last_to = parsed.stanza.to();
  if (is_receiver() && !admit(document, parsed)) {
    event.emplace<NeedBytes>();
    return false;
  }
  return true;
}

// What a receiver looks at in a stanza; false: it was dealt with here.
bool StreamMachine::admit(const xml::Document& document, ParsedStanza& parsed) {
  Stanza& stanza = parsed.stanza;
  if (has_any(bits, StreamBits::bound)) {
    if (!is_own_address(stanza.from(), jid)) {
      fail({StreamCondition::invalid_from, {}});
      return false;
    }
    if (stanza.is_iq() && stanza.type() == StanzaType::set && stanza.has(kBindPayload)) {
      if (!sm_enabled) {
        on_element(document);
        return false;
      }
      // The driver counts what comes and goes, so it answers too.
      parsed.problem = StanzaError(StanzaCondition::not_allowed);
    }
  }
  // RFC 6120 8.1.5: the stream's language is that of its stanzas.
  if (stanza.envelope().lang.empty() && !lang.empty()) stanza.envelope().lang = lang;
  return true;
}

const std::string& StreamMachine::mechanism_name() const noexcept {
  // An idle stream should not pay for a string that has nine values.
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    for (int i = 0; i <= static_cast<int>(sasl::MechanismId::anonymous); ++i) {
      names.emplace_back(to_string(static_cast<sasl::MechanismId>(i)));
    }
    return names;
  }();
  static const std::string kNone;
  return mechanism ? kNames[static_cast<std::size_t>(*mechanism)] : kNone;
}

void StreamMachine::report(Event event, Awaiting question) {
  if (is_dead()) return;
  setup->events.push_back(std::move(event));
  awaiting = question;
}

void StreamMachine::end(StreamFailed report, std::string_view last_words) {
  if (is_dead()) return;
  if (has_any(bits, StreamBits::header_sent)) {
    write(last_words);
    write("</stream:stream>");
  }
  gain(StreamBits::closing | StreamBits::closed);
  awaiting = Awaiting::nothing;
  queue_.reset();
  report_of_death = std::make_unique<StreamFailed>(std::move(report));
}

void StreamMachine::fail(StreamError error) {
  if (is_dead()) return;
  // An error during set-up follows our own header. An initiator that never opened says nothing.
  if (!has_any(bits, StreamBits::header_sent) && is_receiver()) write_header();
  std::string markup = "<stream:error><";
  markup += to_string(error.condition);
  markup += " xmlns='";
  markup += ns::stream_errors;
  if (error.condition == StreamCondition::see_other_host && !error.text.empty()) {
    markup += "'>";
    xml::escape_text(markup, error.text);
    markup += "</see-other-host>";
  } else {
    markup += "'/>";
    if (!error.text.empty()) {
      markup += "<text xmlns='";
      markup += ns::stream_errors;
      markup += "' xml:lang='en'>";
      xml::escape_text(markup, error.text);
      markup += "</text>";
    }
  }
  markup += "</stream:error>";
  end({.error = std::move(error)}, markup);
}

void StreamMachine::close() {
  if (has_any(bits, StreamBits::closing | StreamBits::closed)) return;
  if (!has_any(bits, StreamBits::header_sent)) {
    gain(StreamBits::closing | StreamBits::closed);
    closed_unreported = true;
    return;
  }
  write("</stream:stream>");
  gain(StreamBits::closing);
  if (awaiting == Awaiting::close) {
    // The peer has closed before.
    gain(StreamBits::closed);
    closed_unreported = true;
  }
  awaiting = Awaiting::nothing;
}

bool StreamMachine::on_close(Event& event) {
  if (sm_enabled && !has_any(bits, StreamBits::closing)) {
    awaiting = Awaiting::close;
    event.emplace<CloseRequested>();
    return true;
  }
  if (has_any(bits, StreamBits::header_sent)) write("</stream:stream>");
  gain(StreamBits::closing | StreamBits::closed);
  closed_unreported = true;
  return false;
}

}  // namespace xmpp
