// Drivers of streams for tests: one per role, which answer every event at once and keep a log of
// them; a link between two; and the texts that the tests share.
//
// Every chunk of input is a heap block of its own that is freed as soon as the stream may no longer
// read it, and the stream is moved at every pause, so that a sanitizer sees what is kept too long.
#pragma once

#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "xmpp/core/namespaces.h"
#include "xmpp/stream/stream.h"

namespace xmpp::test {

inline constexpr std::size_t kWhole = static_cast<std::size_t>(-1);
inline constexpr Instant kStart{std::chrono::hours(1)};

inline TlsFacts tls_facts() {
  return {.tls_exporter = "exporter-of-this-connection",
          .tls_server_end_point = "certificate-hash"};
}

// A client's stream header, and how it begins without the attributes in question.
inline std::string client_header(std::string_view attributes = "to='localhost' version='1.0'",
                                 std::string_view content_ns = "jabber:client",
                                 std::string_view streams = "http://etherx.jabber.org/streams") {
  std::string header = "<?xml version='1.0'?><stream:stream ";
  header += attributes;
  header += " xmlns='";
  header += content_ns;
  header += "' xmlns:stream='";
  header += streams;
  return header + "'>";
}

// Replaces the value of every id attribute of a stream header by '#'.
inline std::string mask_ids(std::string text) {
  for (std::size_t at = 0; (at = text.find("<stream:stream", at)) != std::string::npos; ++at) {
    const std::size_t id = text.find(" id='", at);
    const std::size_t end = text.find('>', at);
    if (id == std::string::npos || id > end) continue;
    const std::size_t from = id + 5;
    text.replace(from, text.find('\'', from) - from, "#");
  }
  return text;
}

inline std::string server_header(std::string_view from = "localhost", std::string_view to = {}) {
  std::string header = "<?xml version='1.0'?><stream:stream from='";
  header.append(from) += '\'';
  if (!to.empty()) header.append(" to='").append(to) += '\'';
  return header +
         " id='#' version='1.0' xml:lang='en' xmlns='jabber:client' "
         "xmlns:stream='http://etherx.jabber.org/streams'>";
}

inline std::string stream_error(std::string_view condition, std::string_view text = {}) {
  std::string error = "<stream:error><";
  error.append(condition) += " xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>";
  if (!text.empty()) {
    error += "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>";
    error.append(text) += "</text>";
  }
  return error + "</stream:error></stream:stream>";
}

inline std::string sasl_failure(std::string_view condition, std::string_view text = {}) {
  std::string failure = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><";
  failure.append(condition) += "/>";
  if (!text.empty()) failure.append("<text xml:lang='en'>").append(text) += "</text>";
  return failure + "</failure>";
}

// What both drivers have in common.
class Driver {
 public:
  virtual ~Driver() = default;
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  // Feeds bytes in chunks; returns what the stream sent.
  std::string feed(std::string_view bytes, std::size_t chunk = kWhole) {
    while (!bytes.empty()) {
      const std::size_t size = std::min(chunk, bytes.size());
      chunk_ = std::make_unique<char[]>(size);
      std::memcpy(chunk_.get(), bytes.data(), size);
      stream.receive({chunk_.get(), size});
      pump();
      bytes.remove_prefix(size);
    }
    return take_output();
  }
  // Handles events until there are none.
  void pump() {
    for (;;) {
      Event event = stream.next();
      if (is<NeedBytes>(event)) break;
      handle(event);
    }
    chunk_.reset();
  }
  std::string take_output() {
    std::string out = stream.output().str();
    stream.output().clear();
    return out;
  }
  [[nodiscard]] bool has_logged(std::string_view text) const {
    for (const std::string& line : log) {
      if (line == text) return true;
    }
    return false;
  }
  [[nodiscard]] std::string last_log() const { return log.empty() ? std::string() : log.back(); }

  Stream stream;
  std::vector<std::string> log;
  std::vector<ParsedStanza> stanzas;
  bool answers = true;  // else questions stay open, the test answers

 protected:
  explicit Driver(Stream its_stream) : stream(std::move(its_stream)) {}
  virtual void handle(Event& event) = 0;
  // A question was asked: the chunk may go, the stream may move.
  void at_pause() {
    chunk_.reset();
    Stream elsewhere = std::move(stream);
    stream = std::move(elsewhere);
  }
  bool handle_common(Event& event) {
    if (auto* stanza = std::get_if<StanzaReceived>(&event)) {
      log.push_back("stanza " + stanza->parsed.stanza.id());
      stanzas.push_back(std::move(stanza->parsed));
    } else if (auto* nonza = std::get_if<NonzaReceived>(&event)) {
      log.push_back("nonza " + std::string(nonza->document.root().name()));
    } else if (auto* failed = std::get_if<StreamFailed>(&event)) {
      log.push_back("failed " + std::string(to_string(failed->error.condition)));
      failure = std::move(*failed);
    } else if (is<Closed>(event)) {
      log.emplace_back("closed");
    } else {
      return false;
    }
    return true;
  }

 public:
  std::optional<StreamFailed> failure;

 private:
  std::unique_ptr<char[]> chunk_;
};

// Randomness of a driver's own, so that equal input gives equal output.
struct DriverRng {
  SeededRng rng{7};
};

// Serves localhost with the account alice, password "secret".
class ReceiverDriver final : private DriverRng, public Driver {
 public:
  explicit ReceiverDriver(StreamOffer its_offer, StreamPolicy policy = {}, bool direct_tls = false)
      : Driver(Stream(Role::receiver, std::make_shared<const StreamPolicy>(std::move(policy)), rng,
                      kStart)),
        offer(std::move(its_offer)) {
    if (direct_tls) stream.assume_tls(tls_facts());
  }

  StreamOffer offer;

 private:
  void handle(Event& event) override {
    if (handle_common(event)) return;
    if (auto* failed = std::get_if<AuthenticationFailed>(&event)) {
      log.push_back("auth-failed " + failed->username + " " +
                    std::string(to_string(failed->condition)));
      return;
    }
    if (auto* acked = std::get_if<Acked>(&event)) {
      log.push_back("acked " + std::to_string(acked->handled));
      return;
    }
    if (is<CloseRequested>(event)) {
      log.emplace_back("close?");
      if (answers) stream.close();
      return;
    }
    if (is<AckRequested>(event)) {
      log.emplace_back("ack?");
      stream.send_ack(static_cast<std::uint32_t>(stanzas.size()));
      return;
    }
    at_pause();
    if (auto* header = std::get_if<HeaderReceived>(&event)) {
      log.push_back("header " + header->to);
      if (!answers) return;
      if (header->to == "localhost") {
        stream.accept(offer);
      } else {
        stream.fail({StreamCondition::host_unknown, {}});
      }
    } else if (is<StartTls>(event)) {
      log.emplace_back("tls");
      if (answers) stream.tls_started(tls_facts());
    } else if (auto* wanted = std::get_if<CredentialsWanted>(&event)) {
      log.push_back("keys " + wanted->username);
      if (answers) provide(wanted->username, wanted->hash);
    } else if (auto* password = std::get_if<PasswordOffered>(&event)) {
      log.push_back("password " + password->username);
      if (answers) {
        stream.password_verified(password->username == "alice" &&
                                 password->password.reveal() == "secret");
      }
    } else if (auto* identity = std::get_if<IdentityWanted>(&event)) {
      log.push_back("identity " + identity->authzid);
      if (answers) stream.provide_identity(sasl::Lookup::found, "alice");
    } else if (auto* authenticated = std::get_if<Authenticated>(&event)) {
      log.push_back("authenticated " + authenticated->mechanism);
      if (answers) stream.continue_authenticated(authenticated->jid);
    } else if (auto* enable = std::get_if<EnableRequested>(&event)) {
      log.push_back(std::string("enable ") + (enable->resume ? "resume " : "") +
                    std::to_string(enable->max_seconds.value_or(0)));
      if (answers) stream.enabled(enable->resume ? "i'd" : "", std::chrono::seconds(60));
    } else if (auto* resume = std::get_if<ResumeRequested>(&event)) {
      log.push_back("resume " + resume->id + " " + std::to_string(resume->handled));
      if (!answers) return;
      if (resume->id == "known") {
        stream.resumed(*stream.jid().with_resource("old"), resume->id, 5);
      } else {
        stream.refuse_sm(StanzaCondition::item_not_found, 7);
      }
    } else if (auto* bind = std::get_if<BindRequested>(&event)) {
      log.push_back("bind " + bind->resource);
      if (!answers) return;
      if (bind->resource == "taken") {
        stream.refuse_bind(StanzaError(StanzaCondition::conflict));
      } else {
        stream.bound(*stream.jid().with_resource(bind->resource.empty() ? "r1" : bind->resource));
      }
    }
  }
  void provide(const std::string& username, sasl::ScramHash hash) {
    static std::map<sasl::ScramHash, sasl::ScramKeys> keys;
    if (username != "alice") return stream.provide_keys(sasl::Lookup::unknown);
    if (!keys.contains(hash)) {
      keys[hash] = sasl::derive_scram_keys(hash, Secret("secret"), "0123456789abcdef", 4096);
    }
    stream.provide_keys(keys[hash]);
  }
};

class InitiatorDriver final : private DriverRng, public Driver {
 public:
  explicit InitiatorDriver(StreamPolicy policy, bool direct_tls = false)
      : Driver(Stream(Role::initiator, std::make_shared<const StreamPolicy>(std::move(policy)), rng,
                      kStart)) {
    if (direct_tls) {
      stream.open(tls_facts());
    } else {
      stream.open();
    }
  }

 private:
  void handle(Event& event) override {
    if (handle_common(event)) return;
    if (is<StartTls>(event)) {
      log.emplace_back("tls");
      at_pause();
      if (answers) stream.tls_started(tls_facts());
    } else if (auto* authenticated = std::get_if<Authenticated>(&event)) {
      log.push_back("authenticated " + authenticated->mechanism);
    } else if (auto* resumed = std::get_if<Resumed>(&event)) {
      log.push_back("resumed " + std::to_string(resumed->handled));
    } else if (auto* refused = std::get_if<ResumptionFailed>(&event)) {
      log.push_back("not resumed " + std::to_string(refused->handled.value_or(0)));
    } else if (is<ReadyToAuthenticate>(event)) {
      log.emplace_back("ready");
    } else if (auto* bound = std::get_if<Bound>(&event)) {
      log.push_back("bound " + std::string(bound->jid.str()));
    }
  }
};

inline StreamOffer make_offer(std::vector<sasl::MechanismId> mechanisms = {
                                  sasl::MechanismId::scram_sha_1, sasl::MechanismId::plain}) {
  StreamOffer offer;
  offer.domain = "localhost";
  offer.mechanisms = std::move(mechanisms);
  offer.binding_types = {sasl::ChannelBindingType::tls_exporter,
                         sasl::ChannelBindingType::tls_server_end_point};
  offer.scram_secret = Secret("server secret");
  offer.scram_iterations = 4096;
  return offer;
}

inline StreamPolicy make_policy(std::string_view password = "secret") {
  StreamPolicy policy;
  policy.domain = "localhost";
  policy.jid = *Jid::parse("alice@localhost");
  policy.password = Secret(std::string(password));
  policy.resource = "desk";
  static const std::unique_ptr<sasl::SaltedPasswordCache> cache =
      sasl::make_salted_password_cache(16);
  policy.password_cache = cache.get();
  return policy;
}

// Carries bytes between the two until both are silent.
inline void converse(InitiatorDriver& client, ReceiverDriver& server, std::size_t chunk = kWhole) {
  client.pump();
  server.pump();
  for (;;) {
    const std::string up = client.take_output();
    const std::string down = server.take_output();
    if (up.empty() && down.empty()) return;
    if (!up.empty()) {
      const std::string answer = server.feed(up, chunk);
      server.stream.output().append(answer);
    }
    if (!down.empty()) {
      const std::string answer = client.feed(down, chunk);
      client.stream.output().append(answer);
    }
  }
}

}  // namespace xmpp::test
