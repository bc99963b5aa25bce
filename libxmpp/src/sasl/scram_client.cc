// The client's half of SCRAM (RFC 5802 5, 9) and the cache of salted passwords.
#include <map>
#include <mutex>
#include <utility>

#include "sasl/scram_message.h"
#include "xmpp/base/assert.h"
#include "xmpp/base/encoding.h"
#include "xmpp/sasl/digest.h"
#include "xmpp/sasl/scram.h"

namespace xmpp::sasl {
namespace {

class ScramClient final : public ClientMechanism {
 public:
  ScramClient(const ClientChoice& choice, ClientCredentials credentials,
              const ChannelBindings& bindings, std::string nonce)
      : ClientMechanism(choice.id),
        credentials_(std::move(credentials)),
        hash_(*scram_hash(choice.id)),
        nonce_(std::move(nonce)) {
    switch (choice.flag) {
      case Gs2Flag::none:
        gs2_header_ = "n,";
        break;
      case Gs2Flag::mismatch:
        gs2_header_ = "y,";
        break;
      case Gs2Flag::bound:
        gs2_header_.append("p=").append(to_string(choice.binding)).append(",");
        binding_data_ = bindings.find(choice.binding);
        break;
    }
    if (!credentials_.authzid.empty()) {
      gs2_header_.append("a=").append(scram::escape_name(credentials_.authzid));
    }
    gs2_header_ += ',';
  }

  Result<std::string, ClientError> start() override {
    const auto username = prepare_username(credentials_.username);
    auto password = prepare_password(credentials_.password.reveal());
    if (!username || !password) return fail(ClientErrorCode::bad_credentials);
    credentials_.password = std::move(*password);
    client_first_bare_ = "n=" + scram::escape_name(*username) + ",r=" + nonce_;
    state_ = State::server_first;
    return gs2_header_ + client_first_bare_;
  }

  Result<std::string, ClientError> receive(std::string_view challenge) override {
    if (state_ == State::server_first) {
      if (challenge.empty() && !repeated_) {
        // The server ignored the initial response and asks for it (RFC 4422 3).
        repeated_ = true;
        return gs2_header_ + client_first_bare_;
      }
      return receive_first(challenge);
    }
    if (state_ == State::server_final) {
      const auto verified = verify(challenge);
      if (!verified) return Err(verified.error());
      return std::string();
    }
    return fail(ClientErrorCode::unexpected_challenge);
  }

  Result<void, ClientError> finish(std::optional<std::string_view> additional_data) override {
    if (state_ == State::server_final && additional_data) return verify(*additional_data);
    if (state_ == State::verified && (!additional_data || additional_data->empty())) return {};
    if (state_ == State::server_final) return fail(ClientErrorCode::bad_server_signature);
    return fail(ClientErrorCode::unexpected_challenge);
  }

 private:
  enum class State : std::uint8_t { fresh, server_first, server_final, verified, failed };

  Err<ClientError> fail(ClientErrorCode code, std::string text = {}) {
    state_ = State::failed;
    return Err(ClientError{code, std::move(text)});
  }

  Result<std::string, ClientError> receive_first(std::string_view challenge) {
    const auto first = scram::parse_server_first(challenge);
    if (!first) return fail(ClientErrorCode::malformed_challenge);
    if (!first->nonce.starts_with(nonce_) || first->nonce.size() == nonce_.size()) {
      return fail(ClientErrorCode::bad_nonce);
    }
    if (first->iterations < credentials_.iterations_min ||
        first->iterations > credentials_.iterations_max || first->iterations > kMaxIterations) {
      return fail(ClientErrorCode::iterations_out_of_bounds, std::to_string(first->iterations));
    }
    const Secret salted = get_salted(first->salt, static_cast<std::uint32_t>(first->iterations));
    std::string client_key = hmac(hash_, salted.reveal(), "Client Key");

    std::string final = "c=" + base64_encode(gs2_header_ + binding_data_) + ",r=";
    final += first->nonce;
    std::string auth_message = client_first_bare_;
    auth_message.append(",").append(challenge).append(",").append(final);
    const std::string signature = hmac(hash_, digest(hash_, client_key), auth_message);
    server_signature_ = hmac(hash_, hmac(hash_, salted.reveal(), "Server Key"), auth_message);
    final += ",p=" + base64_encode(xor_bytes(client_key, signature));
    wipe(client_key);
    state_ = State::server_final;
    return final;
  }

  Secret get_salted(std::string_view salt, std::uint32_t iterations) const {
    const SaltedPasswordCache::Key key{hash_, credentials_.password.reveal(), salt, iterations};
    if (credentials_.cache != nullptr) {
      if (auto known = credentials_.cache->find(key)) return std::move(*known);
    }
    Secret salted = salted_password(hash_, credentials_.password, salt, iterations);
    if (credentials_.cache != nullptr) credentials_.cache->store(key, salted);
    return salted;
  }

  Result<void, ClientError> verify(std::string_view message) {
    const auto final = scram::parse_server_final(message);
    if (!final) return fail(ClientErrorCode::malformed_challenge);
    if (!final->error.empty()) {
      return fail(ClientErrorCode::server_refused, std::string(final->error));
    }
    if (!equal_constant_time(final->signature, server_signature_)) {
      return fail(ClientErrorCode::bad_server_signature);
    }
    state_ = State::verified;
    return {};
  }

  ClientCredentials credentials_;
  ScramHash hash_;
  State state_ = State::fresh;
  bool repeated_ = false;
  std::string nonce_;
  std::string gs2_header_;
  std::string binding_data_;
  std::string client_first_bare_;
  std::string server_signature_;
};

// Looked up by a digest, so that no password is kept.
class MemoryCache final : public SaltedPasswordCache {
 public:
  explicit MemoryCache(std::size_t entries_max) : entries_max_(entries_max) {}

  std::optional<Secret> find(const Key& key) override {
    const std::string name = name_of(key);
    const std::scoped_lock lock(mutex_);
    const auto found = entries_.find(name);
    if (found == entries_.end()) return std::nullopt;
    return found->second;
  }

  void store(const Key& key, const Secret& salted) override {
    const std::string name = name_of(key);
    const std::scoped_lock lock(mutex_);
    if (entries_.size() >= entries_max_) entries_.clear();
    if (entries_max_ > 0) entries_.insert_or_assign(name, salted);
  }

 private:
  // Every field with its length before it, so that no two keys spell the same text.
  static std::string name_of(const Key& key) {
    std::string text(to_string(key.hash));
    text += ' ' + std::to_string(key.iterations) + ' ' + std::to_string(key.salt.size()) + ' ';
    text.append(key.salt).append(key.password);
    std::string name = digest(ScramHash::sha256, text);
    wipe(text);
    return name;
  }

  std::size_t entries_max_;
  std::mutex mutex_;
  std::map<std::string, Secret> entries_;
};

}  // namespace

std::unique_ptr<SaltedPasswordCache> make_salted_password_cache(std::size_t entries_max) {
  return std::make_unique<MemoryCache>(entries_max);
}

std::unique_ptr<ClientMechanism> make_scram_client(const ClientChoice& choice,
                                                   ClientCredentials credentials,
                                                   const ChannelBindings& bindings,
                                                   std::string nonce) {
  XMPP_ASSERT(scram_hash(choice.id).has_value());
  XMPP_ASSERT(is_plus(choice.id) == (choice.flag == Gs2Flag::bound));
  XMPP_ASSERT(choice.flag != Gs2Flag::bound || bindings.has(choice.binding));
  return std::make_unique<ScramClient>(choice, std::move(credentials), bindings, std::move(nonce));
}

}  // namespace xmpp::sasl
