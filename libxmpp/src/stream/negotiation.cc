// The loop over the features, for both roles: the receiver offers those that fit and answers their
// elements, the initiator takes them up one after the other. See stream/machine.h,
// xmpp/stream/features.h. Spec: RFC 6120 4.3, 4.9.3, 7.1.
#include <algorithm>

#include "stream/machine.h"
#include "stream/tables.h"
#include "xmpp/core/namespaces.h"

namespace xmpp {
namespace {

constexpr xml::Name kFeatures{ns::streams, "features"};
constexpr xml::Name kError{ns::streams, "error"};
constexpr xml::Name kErrorText{ns::stream_errors, "text"};

// RFC 6120 4.9.2: the condition, perhaps a text, perhaps something of the application's.
StreamError parse_error(const xml::Element& error) {
  StreamError parsed;
  for (const xml::Element child : error.children()) {
    if (child.ns() != ns::stream_errors) continue;
    if (child.is(kErrorText)) {
      if (parsed.text.empty()) parsed.text = child.text();
    } else if (const auto condition = parse_stream_condition(child.name())) {
      parsed.condition = *condition;
      if (*condition == StreamCondition::see_other_host) parsed.text = child.text();
    }
  }
  return parsed;
}

bool is_stanza_name(std::string_view name) noexcept {
  return name == "message" || name == "presence" || name == "iq";
}

// The feature that an element belongs to: by its own namespace, or as a request by its payload's,
// or as the answer to the request of the feature under way.
const Feature* find_owner(const StreamMachine& machine, const xml::Element& root) {
  if (root.ns() != machine.policy->content_ns) {
    const Feature* feature = stream::find_feature(root.ns());
    return feature == nullptr || feature->uses_iq ? nullptr : feature;
  }
  if (root.name() != "iq") return nullptr;
  const std::string type = root.attr("type").value_or("");
  if (type == "result" || type == "error") {
    const Setup* setup = machine.setup.get();
    const bool is_answer = setup != nullptr && setup->active != nullptr &&
                           !setup->request_id.empty() &&
                           root.attr("id").value_or("") == setup->request_id;
    return is_answer ? setup->active : nullptr;
  }
  const xml::Element payload = root.first_child();
  const Feature* feature = payload ? stream::find_feature(payload.ns()) : nullptr;
  return feature == nullptr || !feature->uses_iq ? nullptr : feature;
}

// May this stanza pass although the stream is not usable yet?
bool is_admitted(const StreamMachine& machine, const Stanza& stanza) {
  if (machine.is_usable()) return true;
  if (!stanza.is_iq() || machine.setup == nullptr) return false;
  if (!machine.is_receiver()) {
    // Only answers to what the driver asked in its pause. A request would come from nobody: before
    // TLS from whoever sits in between, and even after it from a server that has proved nothing.
    return machine.policy->pause_before_authentication && !stanza.is_request() &&
           has_all(machine.bits, kHeaders | StreamBits::tls_settled);
  }
  if (!has_all(machine.bits, kHeaders | StreamBits::tls_settled) ||
      has_any(machine.bits, StreamBits::authenticated)) {
    return false;
  }
  return stanza.is_request() && !stanza.payloads().empty() &&
         std::ranges::find(machine.setup->offer.preauth_iq, stanza.payloads().front().ns()) !=
             machine.setup->offer.preauth_iq.end();
}

// An element that belongs to no feature.
void on_stranger(StreamMachine& machine, const xml::Document& document) {
  const xml::Element root = document.root();
  if (std::optional<ParsedStanza> parsed = parse_stanza(document, machine.policy->content_ns)) {
    if (!is_admitted(machine, parsed->stanza)) {
      machine.fail({StreamCondition::not_authorized, {}});
      return;
    }
    if (machine.is_receiver()) parsed->stanza.envelope().from = Jid();  // nobody is anybody yet
    machine.report(StanzaReceived{std::move(*parsed)});
    return;
  }
  const bool misplaced = is_stanza_name(root.name()) && stream::is_content_ns(root.ns());
  machine.fail(
      {misplaced ? StreamCondition::invalid_namespace : StreamCondition::unsupported_stanza_type,
       {}});
}

}  // namespace

void StreamMachine::offer_features() {
  write_with([this](std::string& out) {
    out += "<stream:features>";
    for (const Feature* feature : stream::features()) {
      if (feature->offer != nullptr && fits(*feature, bits)) feature->offer(*this, out);
    }
    // Where TLS is required it is all that there is to offer (RFC 6120 5.3.1).
    if (has_any(bits, StreamBits::tls_settled)) {
      const bool authenticated = has_any(bits, StreamBits::authenticated);
      for (const std::string& markup :
           authenticated ? setup->offer.after_auth_features : setup->offer.before_auth_features) {
        out += markup;
      }
    }
    out += "</stream:features>";
  });
}

void StreamMachine::on_element(const xml::Document& document) {
  // Whoever has closed negotiates no more, it only waits for the peer to close.
  if (has_any(bits, StreamBits::closing)) return;
  const xml::Element root = document.root();
  if (root.is(kError)) {
    end({.error = parse_error(root), .by_peer = true});
    return;
  }
  if (!is_receiver() && root.is(kFeatures)) {
    features = document;
    if (setup != nullptr && setup->active == nullptr) negotiate();
    return;
  }
  const Feature* feature = find_owner(*this, root);
  Step (*handler)(StreamMachine&, const xml::Document&) = nullptr;
  if (feature != nullptr && setup != nullptr && fits(*feature, bits) &&
      (is_receiver() || setup->active == feature)) {
    handler = feature->on_element;
  } else if (feature != nullptr && is_receiver()) {
    handler = feature->on_denied;
  }
  if (handler == nullptr) {
    on_stranger(*this, document);
    return;
  }
  apply(handler(*this, document));
}

void StreamMachine::apply(Step step) {
  if (is_dead() || step.progress == Step::Progress::ended) return;
  gain(step.gained);
  if (step.progress != Step::Progress::done) return;
  setup->active = nullptr;
  if (step.restart) {
    lose(kHeaders);
    parser.restart();
    features = xml::Document();
    if (!is_receiver()) write_header();
  } else if (is_receiver()) {
    finish();
  } else {
    negotiate();
  }
}

void StreamMachine::negotiate() {
  for (const Feature* feature : stream::features()) {
    if (feature->on_offered == nullptr || !fits(*feature, bits)) continue;
    const xml::Element offered = features.root().find_child(feature->name);
    const Step step = feature->on_offered(*this, offered);
    if (is_dead()) return;
    gain(step.gained);
    if (step.progress == Step::Progress::declined) continue;
    setup->active = feature;
    return;
  }
  if (is_usable()) {
    finish();
  } else {
    fail({StreamCondition::unsupported_feature, "nothing was offered that leads to a session"});
  }
}

void StreamMachine::finish() {
  if (!is_usable() || setup == nullptr) return;
  if (!is_receiver()) report(Bound{jid});
  setup->finished = true;
}

}  // namespace xmpp
