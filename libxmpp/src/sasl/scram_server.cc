// The server's half of SCRAM (RFC 5802 5, 6, 9).
#include <utility>

#include "sasl/mechanisms.h"
#include "sasl/scram_message.h"
#include "xmpp/base/assert.h"
#include "xmpp/base/encoding.h"
#include "xmpp/sasl/digest.h"
#include "xmpp/sasl/scram.h"

namespace xmpp::sasl {
namespace {

class ScramServer final : public ServerMechanism {
 public:
  ScramServer(MechanismId id, ServerContext context, std::string nonce)
      : ServerMechanism(id),
        context_(std::move(context)),
        hash_(*scram_hash(id)),
        nonce_(std::move(nonce)) {}

  ServerStep respond(std::string_view message) override {
    if (message.size() <= kMessageBytesMax) {
      if (state_ == State::client_first) return receive_first(message);
      if (state_ == State::client_final) return receive_final(message);
    }
    return fail(SaslCondition::malformed_request);
  }

  ServerStep give_scram_keys(Lookup lookup, const ScramKeys& keys) override {
    XMPP_ASSERT(state_ == State::keys);
    if (lookup == Lookup::failed) return fail(SaslCondition::temporary_auth_failure, false);
    lookup_ = lookup;
    if (lookup == Lookup::unknown) {
      keys_ = fake_scram_keys(context_.server_secret, username_, hash_,
                              keys.iterations != 0 ? keys.iterations : context_.iterations);
    } else if (keys.hash == hash_ && keys.stored_key.size() == digest_size(hash_) &&
               keys.server_key.size() == digest_size(hash_) && !keys.salt.empty() &&
               keys.iterations > 0) {
      keys_ = keys;
    } else {  // a damaged row: nobody can log in with it, but it is our fault
      return fail(SaslCondition::temporary_auth_failure, false);
    }
    server_first_ = "r=" + nonce_ + ",s=" + base64_encode(keys_.salt) +
                    ",i=" + std::to_string(keys_.iterations);
    state_ = State::client_final;
    return Challenge{server_first_};
  }

 private:
  enum class State : std::uint8_t { client_first, keys, client_final, over };

  ServerStep fail(SaslCondition condition, bool counts = true, const char* text = "") {
    state_ = State::over;
    return make_failure(condition, text, counts);
  }

  // RFC 5802 6: nullopt if the GS2 flag fits this mechanism and this connection.
  std::optional<ServerStep> check_binding(const scram::ClientFirst& first) {
    if (is_plus(id()) != (first.flag == 'p')) return fail(SaslCondition::malformed_request);
    if (first.flag == 'y' && context_.plus_offered) {
      return fail(SaslCondition::not_authorized, false, "channel binding was offered");
    }
    if (first.flag != 'p') return std::nullopt;
    const auto type = parse_channel_binding_type(first.binding);
    if (!type || !context_.channel_bindings.has(*type)) {
      return fail(SaslCondition::not_authorized, false, "unsupported channel binding type");
    }
    binding_ = *type;
    return std::nullopt;
  }

  ServerStep receive_first(std::string_view message) {
    const auto first = scram::parse_client_first(message);
    if (!first) return fail(SaslCondition::malformed_request);
    if (auto refused = check_binding(*first)) return std::move(*refused);
    auto username = prepare_username(first->username);
    if (!username) return fail(SaslCondition::not_authorized);
    if (!first->authzid.empty() && !is_own_address(first->authzid, *username, context_.domain)) {
      return fail(SaslCondition::invalid_authzid);
    }
    username_ = std::move(*username);
    gs2_header_ = first->gs2_header;
    client_first_bare_ = first->bare;
    nonce_.insert(0, first->nonce);
    state_ = State::keys;
    return NeedScramKeys{username_, hash_};
  }

  ServerStep receive_final(std::string_view message) {
    const auto final = scram::parse_client_final(message);
    if (!final) return fail(SaslCondition::malformed_request);

    std::string expected_binding = gs2_header_;
    if (binding_) expected_binding += context_.channel_bindings.find(*binding_);
    const bool binding_ok = equal_constant_time(final->channel_binding, expected_binding);
    const bool nonce_ok = equal_constant_time(final->nonce, nonce_);

    std::string auth_message = client_first_bare_;
    auth_message.append(",").append(server_first_).append(",").append(final->without_proof);
    const bool proof_ok = has_right_proof(auth_message, final->proof);
    if (!binding_ok || !nonce_ok || !proof_ok || lookup_ == Lookup::unknown) {
      return fail(SaslCondition::not_authorized);
    }
    if (lookup_ == Lookup::disabled) return fail(SaslCondition::account_disabled, false);
    state_ = State::over;
    return ServerSuccess{
        username_, "v=" + base64_encode(hmac(hash_, keys_.server_key, auth_message)), binding_};
  }

  [[nodiscard]] bool has_right_proof(std::string_view auth_message, std::string_view proof) const {
    if (proof.size() != digest_size(hash_)) return false;
    std::string client_key = xor_bytes(proof, hmac(hash_, keys_.stored_key, auth_message));
    const bool right = equal_constant_time(digest(hash_, client_key), keys_.stored_key);
    wipe(client_key);
    return right;
  }

  ServerContext context_;
  ScramHash hash_;
  State state_ = State::client_first;
  Lookup lookup_ = Lookup::unknown;
  std::optional<ChannelBindingType> binding_;
  std::string nonce_;  // ours; the client's is put before it
  std::string username_;
  std::string gs2_header_;
  std::string client_first_bare_;
  std::string server_first_;
  ScramKeys keys_;
};

}  // namespace

std::unique_ptr<ServerMechanism> make_scram_server(MechanismId id, ServerContext context,
                                                   std::string nonce) {
  XMPP_ASSERT(scram_hash(id).has_value());
  return std::make_unique<ScramServer>(id, std::move(context), std::move(nonce));
}

}  // namespace xmpp::sasl
