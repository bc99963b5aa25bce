// The names of conditions, mechanisms, hashes and channel bindings.
#include <array>
#include <utility>

#include "xmpp/sasl/channel_binding.h"
#include "xmpp/sasl/credentials.h"
#include "xmpp/sasl/failure.h"
#include "xmpp/sasl/mechanism.h"

namespace xmpp::sasl {
namespace {

// A table of names whose index is the enumerator.
template <typename Enum, std::size_t N>
std::optional<Enum> find_name(const std::array<std::string_view, N>& names,
                              std::string_view text) noexcept {
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] == text) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

constexpr std::array<std::string_view, 11> kConditions = {"aborted",
                                                          "account-disabled",
                                                          "credentials-expired",
                                                          "encryption-required",
                                                          "incorrect-encoding",
                                                          "invalid-authzid",
                                                          "invalid-mechanism",
                                                          "malformed-request",
                                                          "mechanism-too-weak",
                                                          "not-authorized",
                                                          "temporary-auth-failure"};
constexpr std::array<std::string_view, 9> kMechanisms = {
    "EXTERNAL",      "SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-512", "SCRAM-SHA-256",      "SCRAM-SHA-1",        "PLAIN",
    "ANONYMOUS"};
constexpr std::array<std::string_view, 2> kBindings = {"tls-exporter", "tls-server-end-point"};
constexpr std::array<std::string_view, 3> kHashes = {"SHA-1", "SHA-256", "SHA-512"};
constexpr std::array<std::string_view, 7> kClientErrors = {
    "bad credentials",          "malformed challenge",   "bad nonce",
    "iterations out of bounds", "refused by the server", "bad server signature",
    "unexpected challenge"};
constexpr std::array<std::string_view, 5> kChooseErrors = {
    "no mechanism in common", "the mechanism was not offered",
    "only PLAIN is left and the connection is not encrypted", "no channel binding in common",
    "mechanisms and channel bindings do not fit: the offer may have been tampered with"};

static_assert(kConditions.size() ==
              static_cast<std::size_t>(SaslCondition::temporary_auth_failure) + 1);
static_assert(kMechanisms.size() == static_cast<std::size_t>(MechanismId::anonymous) + 1);

}  // namespace

std::string_view to_string(SaslCondition condition) noexcept {
  return kConditions[static_cast<std::size_t>(condition)];
}
std::optional<SaslCondition> parse_sasl_condition(std::string_view text) noexcept {
  return find_name<SaslCondition>(kConditions, text);
}

std::string_view to_string(ChannelBindingType type) noexcept {
  return kBindings[static_cast<std::size_t>(type)];
}
std::optional<ChannelBindingType> parse_channel_binding_type(std::string_view text) noexcept {
  return find_name<ChannelBindingType>(kBindings, text);
}
std::vector<ChannelBindingType> ChannelBindings::types() const {
  std::vector<ChannelBindingType> types;
  for (const ChannelBindingType type : kChannelBindingTypes) {
    if (has(type)) types.push_back(type);
  }
  return types;
}

std::string_view to_string(ScramHash hash) noexcept {
  return kHashes[static_cast<std::size_t>(hash)];
}

std::string_view to_string(MechanismId id) noexcept {
  return kMechanisms[static_cast<std::size_t>(id)];
}
std::optional<MechanismId> parse_mechanism(std::string_view name) noexcept {
  return find_name<MechanismId>(kMechanisms, name);
}
bool is_plus(MechanismId id) noexcept {
  return id >= MechanismId::scram_sha_512_plus && id <= MechanismId::scram_sha_1_plus;
}
std::optional<ScramHash> scram_hash(MechanismId id) noexcept {
  switch (id) {
    case MechanismId::scram_sha_512_plus:
    case MechanismId::scram_sha_512:
      return ScramHash::sha512;
    case MechanismId::scram_sha_256_plus:
    case MechanismId::scram_sha_256:
      return ScramHash::sha256;
    case MechanismId::scram_sha_1_plus:
    case MechanismId::scram_sha_1:
      return ScramHash::sha1;
    case MechanismId::external:
    case MechanismId::plain:
    case MechanismId::anonymous:
      break;
  }
  return std::nullopt;
}

std::string_view to_string(ClientErrorCode code) noexcept {
  return kClientErrors[static_cast<std::size_t>(code)];
}
std::string_view to_string(ChooseError error) noexcept {
  return kChooseErrors[static_cast<std::size_t>(error)];
}

}  // namespace xmpp::sasl
