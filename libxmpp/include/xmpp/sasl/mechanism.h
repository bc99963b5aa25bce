// SASL mechanisms as pure machines: bytes in, one outcome out. Base64 and XML are the stream's
// affair.
//
// A ServerMechanism answers each message of the client with exactly one ServerStep. Steps whose
// name begins with Need are questions: the machine waits until the owner answers with the function
// of that name (at once or much later), which yields the next step.
//
//     auto mechanism = make_server_mechanism(id, context);
//     ServerStep step = mechanism->start(initial_response);    // nullopt: <auth/> without one
//     // Challenge      -> send, then respond() with what the client answers
//     // NeedScramKeys  -> look up, then give_scram_keys()
//     // NeedPassword   -> verify_password() on an offload thread, then give_verdict()
//     // NeedIdentity   -> decide by the peer's certificate, then give_identity()
//     // ServerSuccess, SaslFailure -> over; the machine must not be called again
//
// A ClientMechanism is its mirror: start(), receive() per challenge, finish() on <success/>.
//
// Specs: RFC 4422, RFC 6120 6, RFC 4616 (PLAIN), RFC 4505 (ANONYMOUS), RFC 5802 and RFC 7677
// (SCRAM). Thread-safety: one thread at a time; may move between threads between calls. Invariants:
// (1) after a final step no function may be called. (2) No I/O, no clock; randomness is a
// parameter.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "xmpp/base/random.h"
#include "xmpp/base/result.h"
#include "xmpp/base/secret.h"
#include "xmpp/sasl/channel_binding.h"
#include "xmpp/sasl/credentials.h"
#include "xmpp/sasl/failure.h"

namespace xmpp::sasl {

// Strongest first: the order of offers and of the client's choice.
enum class MechanismId : std::uint8_t {
  external,
  scram_sha_512_plus,
  scram_sha_256_plus,
  scram_sha_1_plus,
  scram_sha_512,
  scram_sha_256,
  scram_sha_1,
  plain,
  anonymous,
};
[[nodiscard]] std::string_view to_string(MechanismId id) noexcept;  // "SCRAM-SHA-1-PLUS", ...
[[nodiscard]] std::optional<MechanismId> parse_mechanism(std::string_view name) noexcept;
[[nodiscard]] bool is_plus(MechanismId id) noexcept;
// The hash of a SCRAM mechanism; nullopt for the others.
[[nodiscard]] std::optional<ScramHash> scram_hash(MechanismId id) noexcept;

// ---- server
// ----------------------------------------------------------------------------------------

struct Challenge {
  std::string data;  // may be empty
};
// "Which keys has this user for this hash?" -> give_scram_keys().
struct NeedScramKeys {
  std::string username;  // prepared
  ScramHash hash = ScramHash::sha256;
};
// "Is this the password?" -> give_verdict(). Unknown users: verify against fake keys, then unknown.
struct NeedPassword {
  std::string username;  // prepared
  Secret password;       // prepared
};
// "Whom does the peer's certificate stand for?" -> give_identity().
struct NeedIdentity {
  std::string authzid;  // what the peer asks to be; empty: the owner derives it
};
struct ServerSuccess {
  std::string username;         // the localpart; EXTERNAL: the identity that was given
  std::string additional_data;  // goes into <success/>; empty: none
  // The binding that the proof covered; nullopt without -PLUS.
  std::optional<ChannelBindingType> channel_binding;
};
using ServerStep =
    std::variant<Challenge, NeedScramKeys, NeedPassword, NeedIdentity, ServerSuccess, SaslFailure>;

// The owner's answer to a question about an account.
enum class Lookup : std::uint8_t {
  found,     // keys follow; the password is right; the identity may be taken
  unknown,   // no such user; wrong password; no such identity: all become not-authorized
  disabled,  // known (keys follow), but may not log in: account-disabled, told only to who knows
             // the password
  failed,    // storage failed: temporary-auth-failure
};

struct ServerContext {
  std::string domain;                 // the host that is logged in to, prepared
  ChannelBindings channel_bindings;   // of this connection
  bool plus_offered = false;          // was any -PLUS mechanism offered on this stream?
  Secret server_secret;               // for fake_scram_keys()
  std::uint32_t iterations = 10'000;  // of the fake keys: what new accounts get
  Rng* rng = nullptr;                 // REQUIRED; must outlive the mechanism
};

class ServerMechanism {
 public:
  ServerMechanism(const ServerMechanism&) = delete;
  ServerMechanism& operator=(const ServerMechanism&) = delete;
  virtual ~ServerMechanism() = default;

  [[nodiscard]] MechanismId id() const noexcept { return id_; }
  // <auth/>: nullopt if it had no initial response ("=" is an empty one); then an empty challenge
  // follows.
  [[nodiscard]] ServerStep start(std::optional<std::string_view> initial_response);
  // <response/>. REQUIRES: the last step was a Challenge.
  [[nodiscard]] virtual ServerStep respond(std::string_view message) = 0;
  // REQUIRES: the last step was NeedScramKeys. `keys` counts for found and disabled only and must
  // be of the hash that was asked for.
  [[nodiscard]] virtual ServerStep give_scram_keys(Lookup lookup, const ScramKeys& keys = {});
  // REQUIRES: the last step was NeedPassword.
  [[nodiscard]] virtual ServerStep give_verdict(Lookup lookup);
  // REQUIRES: the last step was NeedIdentity.
  [[nodiscard]] virtual ServerStep give_identity(Lookup lookup, std::string identity = {});

 protected:
  explicit ServerMechanism(MechanismId id) noexcept : id_(id) {}

 private:
  MechanismId id_;
};

// REQUIRES: context.rng. Offering a mechanism or not is decided before (offered_mechanisms()).
[[nodiscard]] std::unique_ptr<ServerMechanism> make_server_mechanism(MechanismId id,
                                                                     ServerContext context);

struct OfferPolicy {
  ScramHashSet hashes;  // every enabled account of the host has keys for these
  bool tls = false;     // is the link encrypted?
  ChannelBindings channel_bindings;
  bool offer_channel_binding = true;  // option channel_binding = "offer"
  bool allow_without_tls =
      false;  // option plain_without_tls: SCRAM and PLAIN on a link without TLS
  bool plain = true;
  bool external = false;  // the peer showed a certificate that may stand for somebody
  bool anonymous = false;
};
// What to offer, strongest first; empty if nothing may be (without TLS: encryption-required).
[[nodiscard]] std::vector<MechanismId> offered_mechanisms(const OfferPolicy& policy);

// ---- client
// ----------------------------------------------------------------------------------------

// Remembers PBKDF2 results: a client that reconnects often, or a swarm with one password.
class SaltedPasswordCache {
 public:
  struct Key {
    ScramHash hash;
    std::string_view password;  // prepared
    std::string_view salt;
    std::uint32_t iterations;
  };
  virtual ~SaltedPasswordCache() = default;
  [[nodiscard]] virtual std::optional<Secret> find(const Key& key) = 0;
  virtual void store(const Key& key, const Secret& salted) = 0;
};
// One in memory, of at most `entries_max` entries (then it starts anew). Any thread.
[[nodiscard]] std::unique_ptr<SaltedPasswordCache> make_salted_password_cache(
    std::size_t entries_max);

struct ClientCredentials {
  std::string username;  // localpart; unused by EXTERNAL and ANONYMOUS
  Secret password;
  std::string authzid;                   // empty: the server derives it
  SaltedPasswordCache* cache = nullptr;  // may be null; must outlive the mechanism
  std::uint32_t iterations_min = kMinIterations;
  // A server that asks for more would keep our thread busy: about a second at a million.
  std::uint32_t iterations_max = 1'000'000;
};

enum class ClientErrorCode : std::uint8_t {
  bad_credentials,      // user name or password cannot be prepared
  malformed_challenge,  // unparsable, or a mandatory extension
  bad_nonce,            // the server's nonce does not extend ours
  iterations_out_of_bounds,
  server_refused,        // e= in the final message
  bad_server_signature,  // wrong or missing: the server does not know the password
  unexpected_challenge,  // more steps than the mechanism has, or success too early
};
[[nodiscard]] std::string_view to_string(ClientErrorCode code) noexcept;
struct ClientError {
  ClientErrorCode code = ClientErrorCode::malformed_challenge;
  std::string text;
};

class ClientMechanism {
 public:
  ClientMechanism(const ClientMechanism&) = delete;
  ClientMechanism& operator=(const ClientMechanism&) = delete;
  virtual ~ClientMechanism() = default;

  [[nodiscard]] MechanismId id() const noexcept { return id_; }
  // The initial response, to be sent in <auth/> (an empty one as "=").
  [[nodiscard]] virtual Result<std::string, ClientError> start() = 0;
  // <challenge/> -> what to send in <response/>. On an error send <abort/> and give up. SCRAM runs
  // PBKDF2 here unless the cache knows the answer.
  [[nodiscard]] virtual Result<std::string, ClientError> receive(std::string_view challenge) = 0;
  // <success/>, nullopt without additional data. An error means: do not trust this server,
  // disconnect.
  [[nodiscard]] virtual Result<void, ClientError> finish(
      std::optional<std::string_view> additional_data) = 0;

 protected:
  explicit ClientMechanism(MechanismId id) noexcept : id_(id) {}

 private:
  MechanismId id_;
};

// What the client says about channel binding in its GS2 header (RFC 5802 7).
enum class Gs2Flag : std::uint8_t {
  none,      // "n": this client cannot bind
  mismatch,  // "y": could bind, the server offered no -PLUS
  bound,     // "p=": -PLUS
};

struct ClientChoice {
  MechanismId id = MechanismId::plain;
  Gs2Flag flag = Gs2Flag::none;
  ChannelBindingType binding = ChannelBindingType::tls_exporter;  // counts with Gs2Flag::bound only
};

struct ClientPolicy {
  bool tls = false;                  // is the link encrypted (and verified, if that was asked for)?
  ChannelBindings channel_bindings;  // of this connection
  bool use_channel_binding = true;
  bool allow_plain_without_tls = false;
  bool has_password = true;          // else only EXTERNAL and ANONYMOUS
  bool external = false;             // a client certificate was shown
  bool anonymous = false;            // log in as nobody
  std::optional<MechanismId> only;   // this one or none
  std::vector<MechanismId> refused;  // offered, but not to be tried again
};

enum class ChooseError : std::uint8_t {
  none_in_common,      // nothing both sides know and the policy allows
  not_offered,         // ClientPolicy::only was not offered
  plain_without_tls,   // only PLAIN would be left, and the link is not encrypted
  no_channel_binding,  // ClientPolicy::only is a -PLUS, but no binding type is common
  odd_bindings,        // what no honest server advertises (XEP-0440 3): somebody sits in between
};
[[nodiscard]] std::string_view to_string(ChooseError error) noexcept;

// Picks the strongest mechanism. `offered` are the names of <mechanisms/>, unknown ones are
// skipped; `advertised` are the types of XEP-0440, unknown ones left out, nullopt if the server
// sent none.
[[nodiscard]] Result<ClientChoice, ChooseError> choose_mechanism(
    std::span<const std::string> offered,
    const std::optional<std::vector<ChannelBindingType>>& advertised, const ClientPolicy& policy);

// REQUIRES: rng outlives the mechanism; `bindings` has choice.binding if the flag says bound.
[[nodiscard]] std::unique_ptr<ClientMechanism> make_client_mechanism(
    const ClientChoice& choice, ClientCredentials credentials, const ChannelBindings& bindings,
    Rng& rng);

}  // namespace xmpp::sasl
