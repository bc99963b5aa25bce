// Stream: one XMPP stream as a machine without I/O, either role. Bytes and time in, events and
// bytes out.
//
//   stream.receive(bytes);
//   for (Event event = stream.next(); !is<NeedBytes>(event); event = stream.next()) handle(event);
//   send stream.output() to the peer, then output().consume(n)
//
// The machine pauses at each event that asks a question (HeaderReceived, StartTls,
// CredentialsWanted, PasswordOffered, IdentityWanted, Authenticated on the receiver,
// BindRequested, EnableRequested, ResumeRequested, CloseRequested): next() gives NeedBytes until
// the answer came, received bytes wait inside, and in a pause the machine may be moved to another
// worker.
// ReadyToAuthenticate asks too, but iqs go on. An answer that comes after the stream has died is
// ignored, so that a driver need not cancel its look-ups. Negotiation is one loop over a table of
// features (features.h) for both roles; the tables do not know which side we are.
//
// Thread-safety: one thread at a time; movable.
// Invariants: (1) after StreamFailed or Closed nothing more is delivered. (2) No stanza is
// delivered before stanzas_allowed(), except an iq that the offer admits before authentication, and
// the answers to it on the other side. (3) What was learnt before TLS does not count after it. (4)
// Nothing allocated for negotiation outlives it. Spec: RFC 6120 4-7, RFC 7590, XEP-0368, XEP-0440,
// XEP-0478.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "xmpp/base/bytes.h"
#include "xmpp/base/random.h"
#include "xmpp/base/secret.h"
#include "xmpp/base/time.h"
#include "xmpp/core/jid.h"
#include "xmpp/core/stanza.h"
#include "xmpp/core/stream_error.h"
#include "xmpp/sasl/channel_binding.h"
#include "xmpp/sasl/credentials.h"
#include "xmpp/sasl/failure.h"
#include "xmpp/sasl/mechanism.h"
#include "xmpp/stream/features.h"
#include "xmpp/xml/tokenizer.h"

namespace xmpp {

class StreamMachine;  // src/stream/machine.h

enum class Role : std::uint8_t { initiator, receiver };

// What TLS means to the stream: TlsEngine::channel_bindings().
using TlsFacts = sasl::ChannelBindings;

// Events
// ------------------------------------------------------------------------------------------------

// Nothing to report until more bytes, an answer or tick().
struct NeedBytes {};

// Receiver: a stream header arrived (also after TLS and after SASL). Answer: accept(offer) or
// fail(). What else is wrong with it is told once the domain has been accepted.
struct HeaderReceived {
  std::string to;  // prepared domain
  Jid from;        // may be empty
  std::string lang;
};

// Output holds <proceed/> (receiver) or <proceed/> arrived (initiator): flush, start TLS,
// tls_started(). Bytes that were pipelined behind the element have been refused already.
struct StartTls {};

// Receiver: SCRAM needs the keys of an account. Answer: provide_keys() or refuse().
struct CredentialsWanted {
  std::string username;  // prepared localpart
  sasl::ScramHash hash;
};

// Receiver: PLAIN. Verify off the worker. Answer: password_verified() or refuse().
struct PasswordOffered {
  std::string username;  // prepared localpart
  Secret password;       // prepared
};

// Receiver: EXTERNAL. Whom does the peer's certificate stand for? Answer: provide_identity() or
// refuse().
struct IdentityWanted {
  std::string authzid;  // whom the peer asks to be; empty: the driver derives it
};

// Receiver: the identity is proved, <success/> is not sent yet. Answer: continue_authenticated()
// (maybe on another worker). Initiator: the server said success; no answer wanted.
struct Authenticated {
  // Bare JID. For ANONYMOUS the receiver gets a random localpart, which it may replace in its
  // answer; the initiator gets an empty one and learns its address from Bound.
  Jid jid;
  std::string mechanism;  // e.g. "SCRAM-SHA-256-PLUS"
};

// Receiver: SASL failed once more (the failure has been written already). For throttling and logs.
struct AuthenticationFailed {
  std::string username;  // may be empty
  std::string mechanism;
  sasl::SaslCondition condition = sasl::SaslCondition::not_authorized;
  // Was a password (or proof) wrong? Only then should it bring anybody nearer to a lock-out.
  bool counts_as_failed_password = true;
};

// Receiver: a resource is wanted. Answer: bound() or refuse_bind().
struct BindRequested {
  std::string resource;  // as requested, not prepared; empty: the server chooses
};

// Receiver with StreamPolicy::sm: the peer wants its stanzas acknowledged (XEP-0198), perhaps also
// to resume. Answer: enabled() or refuse_sm().
struct EnableRequested {
  bool resume = false;
  std::optional<std::uint32_t> max_seconds;  // as long as it would like to be waited for
};
// Receiver, instead of BindRequested: the peer wants an earlier stream back. Answer: resumed() or
// refuse_sm(), after which it may bind.
struct ResumeRequested {
  std::string id;             // of the earlier stream
  std::uint32_t handled = 0;  // how many stanzas the peer has dealt with
};
// Receiver: <r/>; send_ack() when it suits.
struct AckRequested {};
// Receiver: the peer has dealt with so many stanzas.
struct Acked {
  std::uint32_t handled = 0;
};

// Receiver that counts stanzas: the peer has closed its stream and still listens. Answer: the last
// send_ack(), if any, and close(); Closed follows.
struct CloseRequested {};

// Initiator with StreamPolicy::resumption: the earlier stream goes on; Bound follows. Stanzas after
// `handled` have to be sent again.
struct Resumed {
  std::uint32_t handled = 0;
};
// The same, but the server does not know it any more; a resource is bound instead.
struct ResumptionFailed {
  std::optional<std::uint32_t> handled;
};

// Initiator: the stream is usable under this full JID.
struct Bound {
  Jid jid;
};

// Initiator with pause_before_authentication: TLS is done as far as it goes, mechanisms are known.
// Iqs may be exchanged (in-band registration). Answer: start_authentication().
struct ReadyToAuthenticate {};

struct StanzaReceived {
  ParsedStanza parsed;
};

// A first-level element that is no stanza, on a usable stream: StreamPolicy::nonzas.
struct NonzaReceived {
  xml::Document document;
};

// The stream is dead; if it was our decision (fail() included) the error is in the output. Flush
// and close the connection. For see-other-host error.text is the host.
struct StreamFailed {
  StreamError error;
  bool by_peer = false;
  // Initiator: why login failed, where SASL or bind was the reason.
  std::optional<sasl::SaslCondition> sasl_failure;
  std::optional<StanzaError> bind_failure;
};

// Both sides have closed properly. Flush and close the connection.
struct Closed {};

using Event = std::variant<NeedBytes, StanzaReceived, NonzaReceived, HeaderReceived, StartTls,
                           CredentialsWanted, PasswordOffered, IdentityWanted, Authenticated,
                           AuthenticationFailed, BindRequested, EnableRequested, ResumeRequested,
                           AckRequested, Acked, CloseRequested, Resumed, ResumptionFailed, Bound,
                           ReadyToAuthenticate, StreamFailed, Closed>;

// Is `event` a T?
template <typename T>
[[nodiscard]] bool is(const Event& event) noexcept {
  return std::holds_alternative<T>(event);
}

// Parameters
// ---------------------------------------------------------------------------------------------

// What the receiver offers to the peer of one stream, decided per host after the header.
struct StreamOffer {
  std::string domain;          // our `from`
  bool tls_available = false;  // STARTTLS is offered
  bool tls_required = false;   // nothing but STARTTLS before TLS
  // In the order of the offer, filtered by policy: sasl::offered_mechanisms(). -PLUS needs a
  // binding type.
  std::vector<sasl::MechanismId> mechanisms;
  // XEP-0440; those that this connection has no data for are left out.
  std::vector<sasl::ChannelBindingType> binding_types;
  // For Lookup::unknown: fake keys that cannot be told from real ones.
  Secret scram_secret;
  std::uint32_t scram_iterations = 10'000;
  // Namespaces of iq payloads that are admitted before authentication (XEP-0077).
  std::vector<std::string_view> preauth_iq;
  // Advertised features beyond the machine's own, as markup with its own xmlns.
  std::vector<std::string> before_auth_features;
  std::vector<std::string> after_auth_features;
};

struct StreamPolicy {
  std::string_view content_ns = "jabber:client";
  xml::Limits limits;  // after authentication
  xml::Limits limits_unauthenticated{.stanza_bytes = 16'384, .depth = 16};
  Duration unauthenticated_timeout = std::chrono::seconds(30);  // until bound; zero: none
  int auth_failures_max = 3;             // then policy-violation (RFC 6120 6.4.5: 2 to 5)
  std::uint32_t idle_seconds = 0;        // XEP-0478: advertised if not zero
  std::vector<std::string_view> nonzas;  // namespaces whose first-level elements are reported
  bool reports_all_nonzas = false;       // so are those of every namespace that no feature owns
  bool sm = false;                       // receiver: understands stream management (XEP-0198)
  std::string lang = "en";               // xml:lang of our header
  // Initiator only:
  std::string domain;  // `to`
  Jid jid;             // whom to log in as (bare); without localpart: ANONYMOUS
  Secret password;
  bool external = false;  // a client certificate was shown: EXTERNAL may be used
  sasl::SaltedPasswordCache* password_cache = nullptr;  // must outlive the streams
  std::string resource;                                 // empty: the server chooses
  // An earlier stream that is asked for instead of binding a resource.
  struct Resumption {
    std::string id;
    std::uint32_t handled = 0;
    Jid jid;  // full
  };
  std::optional<Resumption> resumption;
  enum class Tls : std::uint8_t { required, optional, none } tls = Tls::required;
  std::string mechanism = "auto";  // or exactly one, e.g. "SCRAM-SHA-1"
  bool plain_without_tls = false;  // PLAIN on a link without TLS
  bool channel_binding = true;
  bool pause_before_authentication = false;
};

class Stream {
 public:
  // `rng` makes stream ids and nonces; it must outlive the stream's negotiation.
  Stream(Role role, std::shared_ptr<const StreamPolicy> policy, Rng& rng, Instant now);
  ~Stream();
  Stream(Stream&&) noexcept;
  Stream& operator=(Stream&&) noexcept;

  // Initiator: writes the stream header. `secure`: direct TLS is up (facts as in tls_started).
  void open(std::optional<TlsFacts> secure = std::nullopt);
  // Receiver on a direct TLS port, before the first receive().
  void assume_tls(TlsFacts facts);

  // Offers bytes. REQUIRES: the last next() gave NeedBytes (or none was called). `bytes` must stay
  // readable until next() gives NeedBytes or an event that pauses; in a pause the rest is copied
  // inside. While StartTls waits for its answer the driver keeps received bytes for TLS; passing
  // them here is taken for command injection.
  void receive(std::string_view bytes);
  // Copies what is unread inside: for a driver that stops between events (budget, back-pressure).
  // After that receive() is allowed too; its bytes queue.
  void hold();
  [[nodiscard]] Event next();

  // What is to be sent to the peer.
  [[nodiscard]] OutputChain& output() noexcept;

  // REQUIRES: stanzas_allowed(), or an iq in a pre-authentication exchange.
  void send(const Stanza& stanza);
  // A stream-level element, complete with its xmlns.
  void send_nonza(std::string_view markup);
  // White-space keepalive (RFC 6120 4.6.1).
  void send_keepalive();

  // Answers. Each REQUIRES that the event it answers was the last one.
  void accept(StreamOffer offer);
  void tls_started(TlsFacts facts);
  void provide_keys(const sasl::ScramKeys& keys) { provide_keys(sasl::Lookup::found, keys); }
  // `keys` counts for found and disabled; for unknown they are faked from
  // StreamOffer::scram_secret, with the iteration count of `keys` unless that is 0.
  void provide_keys(sasl::Lookup lookup, const sasl::ScramKeys& keys = {});
  void password_verified(bool ok) {
    password_verified(ok ? sasl::Lookup::found : sasl::Lookup::unknown);
  }
  void password_verified(sasl::Lookup verdict);
  // `identity`: a localpart of the domain, or a whole bare JID.
  void provide_identity(sasl::Lookup lookup, std::string identity = {});
  // SASL goes no further: e.g. temporary-auth-failure, account-disabled, not-authorized. Not in
  // BindRequested.
  void refuse(sasl::SaslCondition condition, std::string_view text = {});
  // `jid`: the bare JID that the stream now belongs to, usually that of the event.
  void continue_authenticated(const Jid& jid);
  void bound(const Jid& full_jid);
  void refuse_bind(const StanzaError& error);
  void start_authentication();
  // Stanzas are counted from now on. `id`: by which the stream may be resumed within `max`; empty:
  // it may not.
  void enabled(std::string_view id, std::optional<Duration> max);
  // The earlier stream goes on under `full_jid`; of what the peer sent `handled` were dealt with.
  void resumed(const Jid& full_jid, std::string_view id, std::uint32_t handled);
  // Answers both; `handled`: what is known of a stream that cannot be resumed.
  void refuse_sm(StanzaCondition condition, std::optional<std::uint32_t> handled = std::nullopt);

  // <a/> and <r/>. REQUIRES: enabled() or resumed() was called.
  void send_ack(std::uint32_t handled);
  void request_ack();
  // The peer acknowledged what was never sent.
  void fail_too_high(std::uint32_t handled, std::uint32_t sent);

  // Ends the stream with an error (our header first if none was sent); next() reports StreamFailed.
  void fail(StreamError error);
  // Ends it properly: </stream:stream> goes out, stanzas still arrive, Closed follows when the peer
  // has closed too. The driver limits how long it waits.
  void close();

  // Time: the unauthenticated timeout. deadline() is kNever when nothing is awaited.
  void tick(Instant now);
  [[nodiscard]] Instant deadline() const noexcept;

  // A stream that moves to another worker uses that worker's source of randomness.
  void set_rng(Rng& rng) noexcept;

  [[nodiscard]] Role role() const noexcept;
  [[nodiscard]] bool stanzas_allowed() const noexcept;
  [[nodiscard]] bool is_secure() const noexcept;  // TLS is up
  [[nodiscard]] bool is_authenticated() const noexcept;
  [[nodiscard]] bool is_closed()
      const noexcept;  // failed or closed by both sides: nothing more to do
  [[nodiscard]] const Jid& jid() const noexcept;  // bare after authentication, full after bind
  [[nodiscard]] const std::string& id() const noexcept;         // stream id
  [[nodiscard]] const std::string& mechanism() const noexcept;  // that authenticated this stream
  [[nodiscard]] StreamBits bits() const noexcept;
  // The channel bindings of this connection; empty after negotiation and without TLS.
  [[nodiscard]] const TlsFacts& tls_facts() const noexcept;
  // Bytes that wait inside in a pause.
  [[nodiscard]] std::size_t held_bytes() const noexcept;
  // Initiator, while bound: the last <stream:features/> (for feature discovery); may be empty.
  [[nodiscard]] const xml::Document& features() const noexcept;

 private:
  std::unique_ptr<StreamMachine> machine_;
};

}  // namespace xmpp
