#include "xmpp/sasl/mechanism.h"

#include <algorithm>

#include "sasl/mechanisms.h"
#include "xmpp/base/assert.h"
#include "xmpp/base/encoding.h"
#include "xmpp/core/jid.h"
#include "xmpp/sasl/scram.h"

namespace xmpp::sasl {
namespace {

// 144 bits, and base64 has no comma.
std::string make_nonce(Rng& rng) {
  std::string bytes(18, '\0');
  rng.fill(std::as_writable_bytes(std::span(bytes.data(), bytes.size())));
  return base64_encode(bytes);
}

constexpr MechanismId kAllMechanisms[] = {
    MechanismId::external,           MechanismId::scram_sha_512_plus,
    MechanismId::scram_sha_256_plus, MechanismId::scram_sha_1_plus,
    MechanismId::scram_sha_512,      MechanismId::scram_sha_256,
    MechanismId::scram_sha_1,        MechanismId::plain,
    MechanismId::anonymous};

bool is_offered(MechanismId id, const OfferPolicy& policy) {
  if (!policy.tls && !policy.allow_without_tls) return false;
  switch (id) {
    case MechanismId::external:
      return policy.external && policy.tls;
    case MechanismId::anonymous:
      return policy.anonymous;
    case MechanismId::plain:
      return policy.plain && !policy.hashes.is_empty();
    default:
      break;
  }
  if (!policy.hashes.has(*scram_hash(id))) return false;
  return !is_plus(id) ||
         (policy.tls && policy.offer_channel_binding && !policy.channel_bindings.is_empty());
}

}  // namespace

bool is_own_address(std::string_view authzid, std::string_view username, std::string_view domain) {
  const auto wanted = Jid::parse(authzid);
  const auto own = Jid::make(username, domain);
  return wanted && own && *wanted == *own;
}

SaslFailure make_failure(Lookup lookup) {
  switch (lookup) {
    case Lookup::failed:
      return make_failure(SaslCondition::temporary_auth_failure, "", false);
    case Lookup::disabled:
      return make_failure(SaslCondition::account_disabled, "", false);
    case Lookup::found:
    case Lookup::unknown:
      break;
  }
  return make_failure(SaslCondition::not_authorized, "");
}

ServerStep ServerMechanism::start(std::optional<std::string_view> initial_response) {
  if (initial_response) return respond(*initial_response);
  return Challenge{};  // RFC 4422 5.1: all mechanisms here let the client speak first
}
// An answer to a question that this mechanism never asks is a mistake of the program.
ServerStep ServerMechanism::give_scram_keys(Lookup /*lookup*/, const ScramKeys& /*keys*/) {
  XMPP_ASSERT(!"the mechanism did not ask for keys");
}
ServerStep ServerMechanism::give_verdict(Lookup /*lookup*/) {
  XMPP_ASSERT(!"the mechanism did not ask for a verdict");
}
ServerStep ServerMechanism::give_identity(Lookup /*lookup*/, std::string /*identity*/) {
  XMPP_ASSERT(!"the mechanism did not ask for an identity");
}

std::unique_ptr<ServerMechanism> make_server_mechanism(MechanismId id, ServerContext context) {
  XMPP_ASSERT(context.rng != nullptr);
  switch (id) {
    case MechanismId::external:
      return make_external_server();
    case MechanismId::plain:
      return make_plain_server(std::move(context));
    case MechanismId::anonymous:
      return make_anonymous_server(std::move(context));
    default:
      break;
  }
  std::string nonce = make_nonce(*context.rng);
  return make_scram_server(id, std::move(context), std::move(nonce));
}

std::vector<MechanismId> offered_mechanisms(const OfferPolicy& policy) {
  std::vector<MechanismId> offered;
  for (const MechanismId id : kAllMechanisms) {
    if (is_offered(id, policy)) offered.push_back(id);
  }
  return offered;
}

namespace {

// The preferred binding type that both sides have. Without XEP-0440 the server's are unknown, and
// mostly it is one that has tls-unique only: bound is what was asked for by name, or what cannot be
// had otherwise but by giving the password away, and by RFC 9266's default.
std::optional<ChannelBindingType> find_binding(
    const std::optional<std::vector<ChannelBindingType>>& advertised,
    const std::vector<MechanismId>& common, const ClientPolicy& policy) {
  if (!policy.tls || !policy.use_channel_binding) return std::nullopt;
  const bool can_go_without = std::ranges::any_of(
      common, [](MechanismId id) { return scram_hash(id).has_value() && !is_plus(id); });
  if (!advertised && !policy.only && can_go_without) return std::nullopt;
  for (const ChannelBindingType type : policy.channel_bindings.types()) {
    if (!advertised || std::ranges::find(*advertised, type) != advertised->end()) return type;
  }
  return std::nullopt;
}

// XEP-0440 3: every server has tls-server-end-point, and names types only with a mechanism that
// uses them. Offers that say otherwise were cut on the way, so that we log in without a binding.
// Servers that can check nothing but PLAIN name types nevertheless: they have no -PLUS to cut.
bool is_cut(const std::optional<std::vector<ChannelBindingType>>& advertised, bool plus_offered,
            bool scram_offered, const ClientPolicy& policy) {
  if (!advertised || policy.only || !policy.tls || !policy.use_channel_binding ||
      policy.channel_bindings.is_empty() || !policy.has_password || policy.anonymous) {
    return false;
  }
  if (!plus_offered) return scram_offered;
  return std::ranges::none_of(*advertised, [&](ChannelBindingType type) {
    return type == ChannelBindingType::tls_server_end_point || policy.channel_bindings.has(type);
  });
}

// May the client use this mechanism at all?
bool is_usable(MechanismId id, const ClientPolicy& policy, bool can_bind) {
  switch (id) {
    case MechanismId::external:
      return policy.external && policy.tls;
    case MechanismId::anonymous:
      return policy.anonymous;
    case MechanismId::plain:
      return policy.has_password && !policy.anonymous &&
             (policy.tls || policy.allow_plain_without_tls);
    default:
      return policy.has_password && !policy.anonymous && (!is_plus(id) || can_bind);
  }
}

ChooseError explain(const std::vector<MechanismId>& common, const ClientPolicy& policy) {
  if (policy.only && is_plus(*policy.only)) return ChooseError::no_channel_binding;
  const bool has_plain = std::ranges::find(common, MechanismId::plain) != common.end();
  if (has_plain && policy.has_password && !policy.tls) return ChooseError::plain_without_tls;
  return ChooseError::none_in_common;
}

}  // namespace

Result<ClientChoice, ChooseError> choose_mechanism(
    std::span<const std::string> offered,
    const std::optional<std::vector<ChannelBindingType>>& advertised, const ClientPolicy& policy) {
  std::vector<MechanismId> common;
  bool plus_offered = false;
  bool scram_offered = false;
  for (const std::string& name : offered) {
    plus_offered = plus_offered || name.ends_with("-PLUS");
    scram_offered = scram_offered || name.starts_with("SCRAM-");
    const auto id = parse_mechanism(name);
    if (!id || (policy.only && *policy.only != *id)) continue;
    if (std::ranges::find(policy.refused, *id) == policy.refused.end()) common.push_back(*id);
  }
  if (policy.only && common.empty()) return Err(ChooseError::not_offered);
  if (is_cut(advertised, plus_offered, scram_offered, policy))
    return Err(ChooseError::odd_bindings);
  std::ranges::sort(common);
  const auto binding = find_binding(advertised, common, policy);
  for (const MechanismId id : common) {
    if (!is_usable(id, policy, binding.has_value())) continue;
    ClientChoice choice{id, Gs2Flag::none, ChannelBindingType::tls_exporter};
    if (is_plus(id)) {
      choice.flag = Gs2Flag::bound;
      choice.binding = *binding;
    } else if (!plus_offered && policy.tls && policy.use_channel_binding &&
               !policy.channel_bindings.is_empty()) {
      // Tells the server that its -PLUS offer, if it made one, was cut out on the way. If it was
      // seen but not used (no common type, or told not to), only "n" is true.
      choice.flag = Gs2Flag::mismatch;
    }
    return choice;
  }
  return Err(explain(common, policy));
}

std::unique_ptr<ClientMechanism> make_client_mechanism(const ClientChoice& choice,
                                                       ClientCredentials credentials,
                                                       const ChannelBindings& bindings, Rng& rng) {
  switch (choice.id) {
    case MechanismId::external:
      return make_external_client(std::move(credentials));
    case MechanismId::plain:
      return make_plain_client(std::move(credentials));
    case MechanismId::anonymous:
      return make_anonymous_client();
    default:
      break;
  }
  return make_scram_client(choice, std::move(credentials), bindings, make_nonce(rng));
}

}  // namespace xmpp::sasl
