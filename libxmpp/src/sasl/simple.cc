// PLAIN (RFC 4616), EXTERNAL (RFC 4422 A, XEP-0178) and ANONYMOUS (RFC 4505), both sides.
#include <utility>

#include "sasl/mechanisms.h"
#include "xmpp/base/assert.h"
#include "xmpp/base/utf8.h"

namespace xmpp::sasl {
namespace {

SaslFailure make_malformed(const char* text) {
  return make_failure(SaslCondition::malformed_request, text);
}

class PlainServer final : public ServerMechanism {
 public:
  explicit PlainServer(ServerContext context)
      : ServerMechanism(MechanismId::plain), domain_(std::move(context.domain)) {}

  ServerStep respond(std::string_view message) override {
    if (asked_ || message.size() > kMessageBytesMax || !utf8::is_valid(message)) {
      return make_malformed("not a PLAIN message");
    }
    const std::size_t first = message.find('\0');
    const std::size_t second =
        first == std::string_view::npos ? first : message.find('\0', first + 1);
    if (second == std::string_view::npos ||
        message.find('\0', second + 1) != std::string_view::npos) {
      return make_malformed("not a PLAIN message");
    }
    const std::string_view authzid = message.substr(0, first);
    const std::string_view authcid = message.substr(first + 1, second - first - 1);
    const std::string_view password = message.substr(second + 1);
    if (authcid.empty() || password.empty()) return make_malformed("empty user name or password");

    auto username = prepare_username(authcid);
    auto prepared = prepare_password(password);
    if (!username || !prepared) return make_failure(Lookup::unknown);
    if (!authzid.empty() && !is_own_address(authzid, *username, domain_)) {
      return make_failure(SaslCondition::invalid_authzid, "");
    }
    username_ = *username;
    asked_ = true;
    return NeedPassword{std::move(*username), std::move(*prepared)};
  }

  ServerStep give_verdict(Lookup lookup) override {
    XMPP_ASSERT(asked_);
    if (lookup != Lookup::found) return make_failure(lookup);
    return ServerSuccess{std::move(username_), {}, std::nullopt};
  }

 private:
  std::string domain_;
  std::string username_;
  bool asked_ = false;
};

class ExternalServer final : public ServerMechanism {
 public:
  ExternalServer() : ServerMechanism(MechanismId::external) {}

  ServerStep respond(std::string_view message) override {
    if (asked_ || message.size() > kMessageBytesMax || !utf8::is_valid(message) ||
        message.find('\0') != std::string_view::npos) {
      return make_malformed("not an EXTERNAL message");
    }
    asked_ = true;
    return NeedIdentity{std::string(message)};
  }

  ServerStep give_identity(Lookup lookup, std::string identity) override {
    XMPP_ASSERT(asked_);
    if (lookup != Lookup::found) return make_failure(lookup);
    return ServerSuccess{std::move(identity), {}, std::nullopt};
  }

 private:
  bool asked_ = false;
};

class AnonymousServer final : public ServerMechanism {
 public:
  explicit AnonymousServer(const ServerContext& context)
      : ServerMechanism(MechanismId::anonymous), username_(context.rng->hex(16)) {}

  ServerStep respond(std::string_view message) override {
    // The trace (RFC 4505 3) is bounded but otherwise of no interest.
    constexpr std::size_t kTraceMax = 255;
    if (!utf8::is_valid(message) || utf8::count(message) > kTraceMax) {
      return make_malformed("not an ANONYMOUS message");
    }
    return ServerSuccess{username_, {}, std::nullopt};
  }

 private:
  std::string username_;
};

// A client mechanism that says one thing and waits for success.
class OneShotClient : public ClientMechanism {
 public:
  using ClientMechanism::ClientMechanism;
  Result<std::string, ClientError> receive(std::string_view challenge) override {
    // A server that ignored the initial response asks for it with an empty challenge (RFC 4422 3).
    if (!challenge.empty() || repeated_) {
      return Err(ClientError{ClientErrorCode::unexpected_challenge, ""});
    }
    repeated_ = true;
    return start();
  }
  Result<void, ClientError> finish(std::optional<std::string_view> /*additional_data*/) override {
    return {};
  }

 private:
  bool repeated_ = false;
};

class PlainClient final : public OneShotClient {
 public:
  explicit PlainClient(ClientCredentials credentials)
      : OneShotClient(MechanismId::plain), credentials_(std::move(credentials)) {}

  Result<std::string, ClientError> start() override {
    const auto username = prepare_username(credentials_.username);
    const auto password = prepare_password(credentials_.password.reveal());
    if (!username || !password) return Err(ClientError{ClientErrorCode::bad_credentials, ""});
    std::string message = credentials_.authzid;
    message.append(1, '\0').append(*username).append(1, '\0').append(password->reveal());
    return message;
  }

 private:
  ClientCredentials credentials_;
};

class ExternalClient final : public OneShotClient {
 public:
  explicit ExternalClient(ClientCredentials credentials)
      : OneShotClient(MechanismId::external), authzid_(std::move(credentials.authzid)) {}
  Result<std::string, ClientError> start() override { return authzid_; }

 private:
  std::string authzid_;
};

class AnonymousClient final : public OneShotClient {
 public:
  AnonymousClient() : OneShotClient(MechanismId::anonymous) {}
  Result<std::string, ClientError> start() override { return std::string(); }
};

}  // namespace

std::unique_ptr<ServerMechanism> make_plain_server(ServerContext context) {
  return std::make_unique<PlainServer>(std::move(context));
}
std::unique_ptr<ServerMechanism> make_external_server() {
  return std::make_unique<ExternalServer>();
}
std::unique_ptr<ServerMechanism> make_anonymous_server(ServerContext context) {
  return std::make_unique<AnonymousServer>(context);
}
std::unique_ptr<ClientMechanism> make_plain_client(ClientCredentials credentials) {
  return std::make_unique<PlainClient>(std::move(credentials));
}
std::unique_ptr<ClientMechanism> make_external_client(ClientCredentials credentials) {
  return std::make_unique<ExternalClient>(std::move(credentials));
}
std::unique_ptr<ClientMechanism> make_anonymous_client() {
  return std::make_unique<AnonymousClient>();
}

}  // namespace xmpp::sasl
