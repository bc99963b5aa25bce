// The public face of the stream machine: state questions, the driver's answers, and what it sends.
// An answer that comes too late, after the stream has ended, is ignored. See xmpp/stream/stream.h.
#include "xmpp/stream/stream.h"

#include <utility>

#include "stream/machine.h"
#include "stream/sasl1.h"
#include "xmpp/base/assert.h"
#include "xmpp/base/encoding.h"
#include "xmpp/core/namespaces.h"
#include "xmpp/xml/writer.h"

namespace xmpp {
namespace {

// Takes the answer to `question`; false: the stream has ended meanwhile.
bool take_answer(StreamMachine& machine, Awaiting question) {
  if (has_any(machine.bits, StreamBits::closing | StreamBits::closed)) return false;
  XMPP_ASSERT(machine.awaiting == question);
  machine.awaiting = Awaiting::nothing;
  return true;
}

// TLS is up: nothing that was learnt before counts, but the domain that was asked for must be the
// same.
void begin_secure(StreamMachine& machine, TlsFacts facts) {
  Setup& setup = *machine.setup;
  setup.tls = std::move(facts);
  setup.peer = Jid();
  setup.offer = {};
  setup.refused.clear();
  setup.failure.reset();
  machine.mechanism.reset();
}

}  // namespace

Stream::Stream(Role role, std::shared_ptr<const StreamPolicy> policy, Rng& rng, Instant now)
    : machine_(std::make_unique<StreamMachine>(role, std::move(policy), rng, now)) {}
Stream::~Stream() = default;
Stream::Stream(Stream&&) noexcept = default;
Stream& Stream::operator=(Stream&&) noexcept = default;

void Stream::open(std::optional<TlsFacts> secure) {
  XMPP_ASSERT(role() == Role::initiator);
  if (machine_->is_dead()) return;
  XMPP_ASSERT(!has_any(machine_->bits, StreamBits::header_sent));
  if (secure) {
    begin_secure(*machine_, std::move(*secure));
    machine_->gain(StreamBits::secure | StreamBits::tls_settled);
  }
  machine_->write_header();
}

void Stream::assume_tls(TlsFacts facts) {
  XMPP_ASSERT(role() == Role::receiver && machine_->setup != nullptr);
  XMPP_ASSERT(!has_any(machine_->bits, StreamBits::header_received));
  begin_secure(*machine_, std::move(facts));
  machine_->gain(StreamBits::secure | StreamBits::tls_settled);
}

void Stream::receive(std::string_view bytes) {
  machine_->receive(bytes);
}
void Stream::hold() {
  machine_->hold();
}
Event Stream::next() {
  return machine_->next();
}
OutputChain& Stream::output() noexcept {
  return machine_->output;
}

void Stream::send(const Stanza& stanza) {
  XMPP_ASSERT(stanza.is_iq() || machine_->is_usable() || machine_->is_dead());
  machine_->write(stanza);
}

void Stream::send_nonza(std::string_view markup) {
  machine_->write(markup);
}

void Stream::send_keepalive() {
  // Not where something else must come next: behind <starttls/> and <proceed/> nothing may stand.
  if (machine_->is_usable()) machine_->write(" ");
}

void Stream::accept(StreamOffer offer) {
  if (!take_answer(*machine_, Awaiting::accept)) return;
  machine_->setup->offer = std::move(offer);
  machine_->setup->domain = std::move(machine_->setup->asked);
  if (machine_->setup->header_error) {
    machine_->fail(std::move(*machine_->setup->header_error));
    return;
  }
  if (!machine_->setup->offer.tls_required) machine_->gain(StreamBits::tls_settled);
  machine_->write_header();
  machine_->offer_features();
  machine_->finish();  // a stream without binding is usable once authenticated
}

void Stream::tls_started(TlsFacts facts) {
  if (!take_answer(*machine_, Awaiting::tls)) return;
  machine_->lose(StreamBits::tls_settled);
  begin_secure(*machine_, std::move(facts));
  machine_->apply(
      {Step::Progress::done, StreamBits::secure | StreamBits::tls_settled, /*restart=*/true});
}

void Stream::provide_keys(sasl::Lookup lookup, const sasl::ScramKeys& keys) {
  if (!take_answer(*machine_, Awaiting::keys)) return;
  machine_->apply(
      stream::handle_sasl_step(*machine_, machine_->setup->server->give_scram_keys(lookup, keys)));
}

void Stream::password_verified(sasl::Lookup verdict) {
  if (!take_answer(*machine_, Awaiting::verdict)) return;
  machine_->apply(
      stream::handle_sasl_step(*machine_, machine_->setup->server->give_verdict(verdict)));
}

void Stream::provide_identity(sasl::Lookup lookup, std::string identity) {
  if (!take_answer(*machine_, Awaiting::identity)) return;
  machine_->apply(stream::handle_sasl_step(
      *machine_, machine_->setup->server->give_identity(lookup, std::move(identity))));
}

void Stream::refuse(sasl::SaslCondition condition, std::string_view text) {
  const Awaiting question = machine_->awaiting;
  if (!take_answer(*machine_, question)) return;
  XMPP_ASSERT(question == Awaiting::keys || question == Awaiting::verdict ||
              question == Awaiting::identity || question == Awaiting::authenticated);
  const bool counts = condition == sasl::SaslCondition::not_authorized;
  stream::fail_sasl(*machine_, {condition, std::string(text), counts});
}

void Stream::continue_authenticated(const Jid& jid) {
  if (!take_answer(*machine_, Awaiting::authenticated)) return;
  XMPP_ASSERT(!jid.is_empty() && jid.is_bare());
  Setup& setup = *machine_->setup;
  stream::write_sasl(*machine_, "success", base64_encode(setup.additional_data));
  setup.server.reset();
  setup.additional_data.clear();
  machine_->jid = jid;
  machine_->parser.set_limits(machine_->policy->limits);
  machine_->apply({Step::Progress::done, StreamBits::authenticated, /*restart=*/true});
}

void Stream::bound(const Jid& full_jid) {
  if (!take_answer(*machine_, Awaiting::bind)) return;
  XMPP_ASSERT(full_jid.is_full());
  machine_->jid = full_jid;
  machine_->write_with([&](std::string& out) {
    out += "<iq type='result' id='";
    xml::escape_attr(out, machine_->setup->request_id);
    out += "'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>";
    xml::escape_text(out, full_jid.str());
    out += "</jid></bind></iq>";
  });
  machine_->apply({Step::Progress::done, StreamBits::bound});
  if (machine_->setup->events.empty()) machine_->setup.reset();
}

void Stream::refuse_bind(const StanzaError& error) {
  if (!take_answer(*machine_, Awaiting::bind)) return;
  Stanza request = Stanza::iq(StanzaType::set, {}, machine_->setup->request_id);
  stream::refuse_bind(*machine_, make_error(request, error));
}

void Stream::enabled(std::string_view id, std::optional<Duration> max) {
  if (!take_answer(*machine_, Awaiting::enable)) return;
  machine_->sm_enabled = true;
  machine_->write_with([&](std::string& out) {
    out += "<enabled xmlns='urn:xmpp:sm:3'";
    if (!id.empty()) {
      out += " id='";
      xml::escape_attr(out, id);
      out += "' resume='true'";
      if (max) {
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(*max).count();
        out += " max='" + std::to_string(seconds) + '\'';
      }
    }
    out += "/>";
  });
}

void Stream::resumed(const Jid& full_jid, std::string_view id, std::uint32_t handled) {
  if (!take_answer(*machine_, Awaiting::resume)) return;
  XMPP_ASSERT(full_jid.is_full());
  machine_->jid = full_jid;
  machine_->sm_enabled = true;
  machine_->write_with([&](std::string& out) {
    out += "<resumed xmlns='urn:xmpp:sm:3' h='" + std::to_string(handled) + "' previd='";
    xml::escape_attr(out, id);
    out += "'/>";
  });
  machine_->apply({Step::Progress::done, StreamBits::bound});
  if (machine_->setup->events.empty()) machine_->setup.reset();
}

void Stream::refuse_sm(StanzaCondition condition, std::optional<std::uint32_t> handled) {
  const Awaiting question = machine_->awaiting;
  if (!take_answer(*machine_, question)) return;
  XMPP_ASSERT(question == Awaiting::enable || question == Awaiting::resume);
  stream::refuse_sm(*machine_, condition, handled);
}

void Stream::send_ack(std::uint32_t handled) {
  machine_->write_with([&](std::string& out) {
    out += "<a xmlns='urn:xmpp:sm:3' h='" + std::to_string(handled) + "'/>";
  });
}

void Stream::request_ack() {
  machine_->write("<r xmlns='urn:xmpp:sm:3'/>");
}

void Stream::fail_too_high(std::uint32_t handled, std::uint32_t sent) {
  if (machine_->is_dead()) return;
  const std::string h = std::to_string(handled);
  const std::string count = std::to_string(sent);
  machine_->end({.error = {StreamCondition::undefined_condition, "handled-count-too-high"}},
                "<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
                "<handled-count-too-high xmlns='urn:xmpp:sm:3' h='" +
                    h + "' send-count='" + count +
                    "'/><text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>"
                    "You acknowledged " +
                    h + " stanzas, but I only sent you " + count +
                    " so far.</text></stream:error>");
}

void Stream::start_authentication() {
  if (has_any(machine_->bits, StreamBits::closing | StreamBits::closed)) return;
  Setup* setup = machine_->setup.get();
  XMPP_ASSERT(setup != nullptr && setup->active != nullptr && !setup->authentication_started);
  setup->authentication_started = true;
  setup->active = nullptr;
  machine_->negotiate();
}

void Stream::fail(StreamError error) {
  machine_->fail(std::move(error));
}
void Stream::close() {
  machine_->close();
}

void Stream::tick(Instant now) {
  if (now < deadline()) return;
  machine_->setup->deadline = kNever;
  machine_->fail({StreamCondition::connection_timeout, {}});
}

Instant Stream::deadline() const noexcept {
  const bool waits = machine_->setup != nullptr && !machine_->setup->finished &&
                     !has_any(machine_->bits, StreamBits::closing | StreamBits::closed);
  return waits ? machine_->setup->deadline : kNever;
}

void Stream::set_rng(Rng& rng) noexcept {
  if (machine_->setup != nullptr) machine_->setup->rng = &rng;
}

Role Stream::role() const noexcept {
  return machine_->role;
}
bool Stream::stanzas_allowed() const noexcept {
  return machine_->is_usable() &&
         !has_any(machine_->bits, StreamBits::closing | StreamBits::closed);
}
bool Stream::is_secure() const noexcept {
  return has_any(machine_->bits, StreamBits::secure);
}
bool Stream::is_authenticated() const noexcept {
  return has_any(machine_->bits, StreamBits::authenticated);
}
bool Stream::is_closed() const noexcept {
  return machine_->is_dead();
}
const Jid& Stream::jid() const noexcept {
  return machine_->jid;
}
const std::string& Stream::id() const noexcept {
  return machine_->id;
}
const std::string& Stream::mechanism() const noexcept {
  return machine_->mechanism_name();
}
StreamBits Stream::bits() const noexcept {
  return machine_->bits;
}
std::size_t Stream::held_bytes() const noexcept {
  return machine_->held_bytes();
}
const xml::Document& Stream::features() const noexcept {
  return machine_->features;
}

const TlsFacts& Stream::tls_facts() const noexcept {
  static const TlsFacts kNone;
  return machine_->setup == nullptr ? kNone : machine_->setup->tls;
}

}  // namespace xmpp
