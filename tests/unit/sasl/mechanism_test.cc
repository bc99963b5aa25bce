#include "xmpp/sasl/mechanism.h"

#include <gtest/gtest.h>

#include "unit/sasl/dialogue.h"

namespace xmpp::sasl {
namespace {

using test::Dialogue;
using test::make_context;
using test::make_credentials;
using test::Outcome;

TEST(SaslNames, RoundTrip) {
  for (int i = 0; i <= static_cast<int>(SaslCondition::temporary_auth_failure); ++i) {
    const auto condition = static_cast<SaslCondition>(i);
    EXPECT_EQ(parse_sasl_condition(to_string(condition)), condition);
  }
  for (int i = 0; i <= static_cast<int>(MechanismId::anonymous); ++i) {
    const auto id = static_cast<MechanismId>(i);
    EXPECT_EQ(parse_mechanism(to_string(id)), id);
    EXPECT_EQ(is_plus(id), to_string(id).ends_with("-PLUS"));
    EXPECT_EQ(scram_hash(id).has_value(), to_string(id).starts_with("SCRAM"));
    if (const auto hash = scram_hash(id)) {
      EXPECT_NE(to_string(id).find(to_string(*hash)), std::string_view::npos);
    }
  }
  for (const auto type : kChannelBindingTypes) {
    EXPECT_EQ(parse_channel_binding_type(to_string(type)), type);
  }
  EXPECT_EQ(to_string(SaslCondition::temporary_auth_failure), "temporary-auth-failure");
  EXPECT_FALSE(parse_sasl_condition("bad"));
  EXPECT_FALSE(parse_mechanism("plain"));
  EXPECT_FALSE(parse_channel_binding_type("tls-unique"));
}

Outcome converse(MechanismId id, const Dialogue& dialogue, ClientCredentials credentials) {
  SeededRng rng(1);
  auto client = make_client_mechanism({id}, std::move(credentials), {}, rng);
  auto server = make_server_mechanism(id, make_context(rng));
  return dialogue.run(*client, *server);
}

TEST(SaslPlain, BackToBack) {
  for (const bool initial : {true, false}) {
    Dialogue dialogue;
    dialogue.initial_response = initial;
    const Outcome outcome = converse(MechanismId::plain, dialogue, make_credentials("User"));
    ASSERT_TRUE(outcome.success);
    EXPECT_EQ(outcome.success->username, "user");
    EXPECT_TRUE(outcome.client_verified);
  }
}

TEST(SaslPlain, Refuses) {
  struct Case {
    std::string message;
    Lookup verdict;
    SaslCondition condition;
  };
  using namespace std::string_literals;
  const Case cases[] = {
      {"\0user\0wrong"s, Lookup::unknown, SaslCondition::not_authorized},
      {"\0user\0pencil"s, Lookup::failed, SaslCondition::temporary_auth_failure},
      {"\0user\0pencil"s, Lookup::disabled, SaslCondition::account_disabled},
      {"other@example.org\0user\0pencil"s, Lookup::found, SaslCondition::invalid_authzid},
      {"user\0user\0pencil"s, Lookup::found, SaslCondition::invalid_authzid},
      {"\0us er\0pencil"s, Lookup::found, SaslCondition::not_authorized},
      {"\0user\0pen\x01cil"s, Lookup::found, SaslCondition::not_authorized},
      {""s, Lookup::found, SaslCondition::malformed_request},
      {"user"s, Lookup::found, SaslCondition::malformed_request},
      {"\0user"s, Lookup::found, SaslCondition::malformed_request},
      {"\0\0pencil"s, Lookup::found, SaslCondition::malformed_request},
      {"\0user\0"s, Lookup::found, SaslCondition::malformed_request},
      {"\0user\0pencil\0"s, Lookup::found, SaslCondition::malformed_request},
      {"\0us\xff"
       "er\0pencil"s,
       Lookup::found, SaslCondition::malformed_request},
      {"\0user\0"s + std::string(20000, 'p'), Lookup::found, SaslCondition::malformed_request},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.message.substr(0, 40));
    SeededRng rng(1);
    auto server = make_server_mechanism(MechanismId::plain, make_context(rng));
    ServerStep step = server->start(c.message);
    if (std::holds_alternative<NeedPassword>(step)) step = server->give_verdict(c.verdict);
    ASSERT_TRUE(std::holds_alternative<SaslFailure>(step));
    EXPECT_EQ(std::get<SaslFailure>(step).condition, c.condition);
  }
}

TEST(SaslPlain, TakesTheOwnAddressAsAuthzid) {
  auto credentials = make_credentials();
  credentials.authzid = "user@example.org";
  EXPECT_TRUE(converse(MechanismId::plain, {}, credentials).success);
}

TEST(SaslExternal, BackToBack) {
  auto credentials = make_credentials();
  credentials.authzid = "user@example.org";
  const Outcome outcome = converse(MechanismId::external, {}, credentials);
  ASSERT_TRUE(outcome.success);
  EXPECT_EQ(outcome.success->username, "user");

  Dialogue stranger;
  stranger.identity.clear();
  const Outcome refused = converse(MechanismId::external, stranger, credentials);
  ASSERT_TRUE(refused.failure);
  EXPECT_EQ(refused.failure->condition, SaslCondition::not_authorized);

  SeededRng rng(1);
  auto server = make_server_mechanism(MechanismId::external, make_context(rng));
  const ServerStep step = server->start(std::string_view("a\0b", 3));
  EXPECT_EQ(std::get<SaslFailure>(step).condition, SaslCondition::malformed_request);
}

TEST(SaslAnonymous, GivesEverybodyAnotherName) {
  SeededRng rng(1);
  std::string names[2];
  for (std::string& name : names) {
    auto server = make_server_mechanism(MechanismId::anonymous, make_context(rng));
    const ServerStep step = server->start("trace");
    name = std::get<ServerSuccess>(step).username;
    EXPECT_EQ(name.size(), 32U);
  }
  EXPECT_NE(names[0], names[1]);
  EXPECT_TRUE(converse(MechanismId::anonymous, {}, {}).client_verified);
  auto server = make_server_mechanism(MechanismId::anonymous, make_context(rng));
  const ServerStep step = server->start(std::string(256, 't'));
  EXPECT_EQ(std::get<SaslFailure>(step).condition, SaslCondition::malformed_request);
}

TEST(SaslOneShot, ClientAnswersOneEmptyChallengeOnly) {
  SeededRng rng(1);
  for (const MechanismId id : {MechanismId::plain, MechanismId::external, MechanismId::anonymous}) {
    auto client = make_client_mechanism({id}, make_credentials(), {}, rng);
    const auto first = client->start();
    ASSERT_TRUE(first);
    const auto again = client->receive("");
    ASSERT_TRUE(again);
    EXPECT_EQ(*again, *first);
    EXPECT_FALSE(client->receive(""));
    auto other = make_client_mechanism({id}, make_credentials(), {}, rng);
    ASSERT_TRUE(other->start());
    EXPECT_FALSE(other->receive("something"));
  }
}

std::string join(const std::vector<MechanismId>& ids) {
  std::string text;
  for (const MechanismId id : ids) {
    if (!text.empty()) text += ' ';
    text += to_string(id);
  }
  return text;
}

TEST(SaslOffer, FollowsKeysTlsAndPolicy) {
  OfferPolicy policy;
  policy.hashes = ScramHashSet::all();
  EXPECT_EQ(join(offered_mechanisms(policy)), "");  // no TLS
  policy.allow_without_tls = true;
  EXPECT_EQ(join(offered_mechanisms(policy)), "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN");
  policy.tls = true;
  policy.allow_without_tls = false;
  EXPECT_EQ(join(offered_mechanisms(policy)), "SCRAM-SHA-512 SCRAM-SHA-256 SCRAM-SHA-1 PLAIN");
  policy.channel_bindings.tls_server_end_point = "x";
  EXPECT_EQ(join(offered_mechanisms(policy)),
            "SCRAM-SHA-512-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-512 SCRAM-SHA-256 "
            "SCRAM-SHA-1 PLAIN");
  policy.hashes = {};
  policy.hashes.add(ScramHash::sha1);
  policy.external = true;
  EXPECT_EQ(join(offered_mechanisms(policy)), "EXTERNAL SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN");
  policy.offer_channel_binding = false;
  policy.plain = false;
  EXPECT_EQ(join(offered_mechanisms(policy)), "EXTERNAL SCRAM-SHA-1");
  policy.hashes = {};
  policy.external = false;
  policy.anonymous = true;
  EXPECT_EQ(join(offered_mechanisms(policy)), "ANONYMOUS");
}

using Names = std::vector<std::string>;
using Types = std::vector<ChannelBindingType>;

std::string describe(const Result<ClientChoice, ChooseError>& choice) {
  if (!choice) return std::string(to_string(choice.error()));
  std::string text(to_string(choice->id));
  if (choice->flag == Gs2Flag::mismatch) text += " y";
  if (choice->flag == Gs2Flag::bound) text += " " + std::string(to_string(choice->binding));
  return text;
}

TEST(SaslChoice, TakesTheStrongest) {
  const Names all = {"PLAIN",         "SCRAM-SHA-1",        "SCRAM-SHA-1-PLUS", "X-UNKNOWN",
                     "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "EXTERNAL",         "ANONYMOUS"};
  ClientPolicy policy;
  policy.tls = true;
  policy.channel_bindings = {"exporter", "end point"};
  const Types both = {ChannelBindingType::tls_server_end_point, ChannelBindingType::tls_exporter};
  const Types end_point = {ChannelBindingType::tls_server_end_point};
  EXPECT_EQ(describe(choose_mechanism(all, both, policy)), "SCRAM-SHA-256-PLUS tls-exporter");
  // Servers that do not name types have tls-unique only (ejabberd 23, Prosody 0.11), which fails.
  EXPECT_EQ(describe(choose_mechanism(all, std::nullopt, policy)), "SCRAM-SHA-256");
  policy.only = MechanismId::scram_sha_1_plus;
  EXPECT_EQ(describe(choose_mechanism(all, std::nullopt, policy)), "SCRAM-SHA-1-PLUS tls-exporter");
  policy.only.reset();
  EXPECT_EQ(describe(choose_mechanism(Names{"SCRAM-SHA-1-PLUS", "PLAIN"}, std::nullopt, policy)),
            "SCRAM-SHA-1-PLUS tls-exporter");
  EXPECT_EQ(describe(choose_mechanism(all, end_point, policy)),
            "SCRAM-SHA-256-PLUS tls-server-end-point");
  // -PLUS was offered but cannot be used: "y" would be a lie that the server must punish.
  policy.channel_bindings = {"exporter", ""};
  EXPECT_EQ(describe(choose_mechanism(all, end_point, policy)), "SCRAM-SHA-256");
  policy.channel_bindings = {"exporter", "end point"};
  EXPECT_EQ(describe(choose_mechanism(Names{"SCRAM-SHA-1", "PLAIN"}, std::nullopt, policy)),
            "SCRAM-SHA-1 y");
  // One that the server has refused since is not tried again, but it was offered all the same.
  policy.refused = {MechanismId::scram_sha_256_plus, MechanismId::scram_sha_1_plus};
  EXPECT_EQ(describe(choose_mechanism(all, both, policy)), "SCRAM-SHA-256");
  policy.refused.clear();
  policy.use_channel_binding = false;
  EXPECT_EQ(describe(choose_mechanism(all, both, policy)), "SCRAM-SHA-256");
  EXPECT_EQ(describe(choose_mechanism(Names{"SCRAM-SHA-1", "PLAIN"}, std::nullopt, policy)),
            "SCRAM-SHA-1");
  policy.external = true;
  EXPECT_EQ(describe(choose_mechanism(all, both, policy)), "EXTERNAL");
  policy.external = false;
  policy.anonymous = true;
  EXPECT_EQ(describe(choose_mechanism(all, both, policy)), "ANONYMOUS");
}

TEST(SaslChoice, RefusesOffersThatWereCut) {
  const Names all = {"PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"};
  const Names cut = {"PLAIN", "SCRAM-SHA-1"};
  const Types end_point = {ChannelBindingType::tls_server_end_point};
  const Types exporter = {ChannelBindingType::tls_exporter};
  const std::string_view refused = to_string(ChooseError::odd_bindings);
  ClientPolicy policy;
  policy.tls = true;
  policy.channel_bindings = {"", "end point"};  // TLS 1.2 without the extended master secret
  EXPECT_EQ(describe(choose_mechanism(all, Types{}, policy)), refused);  // none that we know
  EXPECT_EQ(describe(choose_mechanism(all, exporter, policy)), refused);
  EXPECT_EQ(describe(choose_mechanism(cut, end_point, policy)), refused);
  // A server that keeps no keys has no -PLUS that could be cut.
  EXPECT_EQ(describe(choose_mechanism(Names{"PLAIN"}, end_point, policy)), "PLAIN y");
  // Whoever cannot or will not bind has nothing to lose, and a name in the options is an order.
  policy.only = MechanismId::scram_sha_1;
  EXPECT_EQ(describe(choose_mechanism(all, Types{}, policy)), "SCRAM-SHA-1");
  policy.only.reset();
  policy.use_channel_binding = false;
  EXPECT_EQ(describe(choose_mechanism(all, Types{}, policy)), "SCRAM-SHA-1");
  EXPECT_EQ(describe(choose_mechanism(cut, end_point, policy)), "SCRAM-SHA-1");
  policy.use_channel_binding = true;
  policy.channel_bindings = {};
  EXPECT_EQ(describe(choose_mechanism(all, Types{}, policy)), "SCRAM-SHA-1");
}

TEST(SaslChoice, NeverSendsThePasswordInTheClear) {
  ClientPolicy policy;
  EXPECT_EQ(describe(choose_mechanism(Names{"PLAIN"}, std::nullopt, policy)),
            to_string(ChooseError::plain_without_tls));
  EXPECT_EQ(describe(choose_mechanism(Names{"PLAIN", "SCRAM-SHA-1"}, std::nullopt, policy)),
            "SCRAM-SHA-1");
  policy.only = MechanismId::plain;
  EXPECT_EQ(describe(choose_mechanism(Names{"PLAIN", "SCRAM-SHA-1"}, std::nullopt, policy)),
            to_string(ChooseError::plain_without_tls));
  policy.allow_plain_without_tls = true;
  EXPECT_EQ(describe(choose_mechanism(Names{"PLAIN", "SCRAM-SHA-1"}, std::nullopt, policy)),
            "PLAIN");
}

TEST(SaslChoice, ObeysOne) {
  ClientPolicy policy;
  policy.tls = true;
  policy.only = MechanismId::scram_sha_1;
  EXPECT_EQ(describe(choose_mechanism(Names{"PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"}, std::nullopt,
                                      policy)),
            "SCRAM-SHA-1");
  policy.only = MechanismId::scram_sha_512;
  EXPECT_EQ(describe(choose_mechanism(Names{"PLAIN"}, std::nullopt, policy)),
            to_string(ChooseError::not_offered));
  policy.only = MechanismId::scram_sha_1_plus;
  EXPECT_EQ(describe(choose_mechanism(Names{"SCRAM-SHA-1-PLUS"}, std::nullopt, policy)),
            to_string(ChooseError::no_channel_binding));
  policy.only.reset();
  policy.has_password = false;
  EXPECT_EQ(describe(choose_mechanism(Names{"PLAIN", "SCRAM-SHA-1"}, std::nullopt, policy)),
            to_string(ChooseError::none_in_common));
}

}  // namespace
}  // namespace xmpp::sasl
