// StreamMachine: what is behind xmpp::Stream. The features' files (starttls.cc, sasl1_*.cc,
// bind.cc...) work on it; all their state is in Setup, which exists only until the stream is
// usable.
//
//   machine.cc      the loop over the parser's events, errors, the end
//   header.cc       stream headers, theirs and ours
//   negotiation.cc  the loop over the features
//   stream.cc       the public face: the driver's answers, what it sends
//
// Thread-safety: one thread at a time. Invariants: (1) setup is null only if the stream is usable
// or dead. (2) While `awaiting` is not nothing, no input is processed. (3) Nothing is written after
// </stream:stream>.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "xmpp/stream/stream.h"

namespace xmpp {

// The question that the driver has to answer before input goes on.
enum class Awaiting : std::uint8_t {
  nothing,
  accept,         // HeaderReceived
  tls,            // StartTls
  keys,           // CredentialsWanted
  verdict,        // PasswordOffered
  identity,       // IdentityWanted
  authenticated,  // Authenticated
  bind,           // BindRequested
  enable,         // EnableRequested
  resume,         // ResumeRequested
  close,          // CloseRequested
};

// What only negotiation needs.
struct Setup {
  Rng* rng = nullptr;
  Instant deadline = kNever;
  std::vector<Event> events;  // to be reported, oldest first
  std::string domain;         // receiver: `to` of the first header, prepared; once accepted
  std::string asked;          // receiver: `to` of the header that waits to be accepted
  std::optional<StreamError> header_error;  // receiver: what is wrong with that header
  Jid peer;                                 // receiver: `from` of the header
  StreamOffer offer;                        // receiver
  TlsFacts tls;
  const Feature* active = nullptr;  // initiator: the feature that waits
  std::string request_id;           // of the iq that the active feature sent, or has to answer
  bool finished = false;            // usable: to be freed

  // SASL
  std::unique_ptr<sasl::ServerMechanism> server;
  std::unique_ptr<sasl::ClientMechanism> client;
  bool challenged = false;                 // receiver: a <response/> is due
  std::string username;                    // receiver: of the exchange under way, as far as known
  std::string additional_data;             // receiver: for <success/>
  int failures = 0;                        // receiver: failed passwords and broken exchanges
  int attempts = 0;                        // receiver: all failures, and exchanges started anew
  int refused_binds = 0;                   // receiver
  bool resumption_tried = false;           // initiator: <resume/> was sent
  bool authentication_started = false;     // initiator: start_authentication() was called
  std::vector<sasl::MechanismId> refused;  // initiator: mechanisms that failed harmlessly
  std::optional<sasl::SaslCondition> failure;  // initiator: the last <failure/>
};

class StreamMachine {
 public:
  StreamMachine(Role its_role, std::shared_ptr<const StreamPolicy> its_policy, Rng& rng,
                Instant now);

  // ---- machine.cc
  void receive(std::string_view bytes);
  void hold();
  [[nodiscard]] Event next();
  [[nodiscard]] std::size_t held_bytes() const noexcept;
  // Are there bytes behind the element that is being processed?
  [[nodiscard]] bool has_pipelined_bytes() const noexcept;
  void fail(StreamError error);
  // Dies with this report; writes `last_words` and </stream:stream> if that may still be written.
  void end(StreamFailed report, std::string_view last_words = {});
  void close();
  // Reports an event; then, if `question` is one, waits for its answer.
  void report(Event event, Awaiting question = Awaiting::nothing);
  // Calls append(std::string&) with the end of the output, unless we have closed.
  template <typename F>
  void write_with(F&& append) {
    if (!has_any(bits, StreamBits::closing | StreamBits::closed)) {
      output.append_with(std::forward<F>(append));
    }
  }
  void write(std::string_view markup) {
    write_with([markup](std::string& out) { out += markup; });
  }
  void write(const Stanza& stanza) {
    write_with([&](std::string& out) { write_stanza(out, stanza, policy->content_ns); });
  }
  [[nodiscard]] const std::string& mechanism_name() const noexcept;  // empty: none
  [[nodiscard]] bool is_receiver() const noexcept { return role == Role::receiver; }
  [[nodiscard]] bool is_dead() const noexcept { return has_any(bits, StreamBits::closed); }
  // May stanzas flow?
  [[nodiscard]] bool is_usable() const noexcept { return has_all(bits, usable_bits); }
  void gain(StreamBits more) noexcept { bits = bits | more; }
  void lose(StreamBits less) noexcept {
    bits = static_cast<StreamBits>(static_cast<unsigned>(bits) & ~static_cast<unsigned>(less));
  }

  // ---- header.cc
  void on_header(const xml::Document& document);
  void write_header();
  // Did the peer call itself somebody else in a header that nobody could change (RFC 6120 6.4.6)?
  [[nodiscard]] bool names_somebody_else(const Jid& identity) const noexcept;

  // ---- negotiation.cc
  // Receiver: writes <stream:features/>.
  void offer_features();
  // An element before the stream is usable (and afterwards, one that is no stanza).
  void on_element(const xml::Document& document);
  // Brings in what a feature's function did; the initiator goes on with the next feature.
  void apply(Step step);
  // Initiator: walks the features that were offered.
  void negotiate();
  // Is the stream usable? Then reports and frees what was needed to get there.
  void finish();

  Role role;
  Awaiting awaiting = Awaiting::nothing;
  StreamBits bits = StreamBits::none;
  StreamBits usable_bits;
  bool closed_unreported = false;
  bool sm_enabled = false;  // receiver: stanzas are acknowledged
  std::shared_ptr<const StreamPolicy> policy;
  xml::StreamParser parser;
  OutputChain output;
  Jid jid;
  Jid last_to;  // of the stanza before this one: most of a conversation's go to one address
  std::string id;
  std::string lang;  // receiver: xml:lang of the peer's header
  // Of the exchange under way, later that which authenticated the stream.
  std::optional<sasl::MechanismId> mechanism;
  xml::Document features;  // initiator: the last <stream:features/>
  std::unique_ptr<Setup> setup;
  std::unique_ptr<StreamFailed> report_of_death;

 private:
  // Bytes that came while others were still unread.
  struct Queue {
    std::string waiting;
    std::string feeding;  // the parser reads this
  };
  [[nodiscard]] bool feed_queue();
  [[nodiscard]] std::size_t queue_limit() const noexcept;
  // Each makes `event`, or returns false: there is none yet. Events are big and are made where they
  // stay.
  [[nodiscard]] bool advance(Event& event);
  [[nodiscard]] bool take_event(Event& event);
  [[nodiscard]] bool on_stanza(const xml::Document& document, Event& event);
  [[nodiscard]] bool on_close(Event& event);
  [[nodiscard]] bool admit(const xml::Document& document, ParsedStanza& parsed);

  std::unique_ptr<Queue> queue_;
  bool parser_hungry_ = true;  // its next() gave need_bytes
};

namespace stream {
// bind.cc, receiver: writes the error; the peer may try again a few times.
void refuse_bind(StreamMachine& machine, const Stanza& answer);
// sm.cc, receiver: an element of stream management; nullopt: it was dealt with.
[[nodiscard]] std::optional<Event> read_sm(StreamMachine& machine, const xml::Document& document);
void refuse_sm(StreamMachine& machine, StanzaCondition condition,
               std::optional<std::uint32_t> h = std::nullopt);
}  // namespace stream

}  // namespace xmpp
