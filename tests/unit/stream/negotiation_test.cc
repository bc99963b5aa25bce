// Both roles back to back: every mechanism, with and without TLS, whole and split at every byte.
#include <gtest/gtest.h>

#include "unit/stream/drivers.h"

namespace xmpp::test {
namespace {

using sasl::MechanismId;

struct LoginCase {
  MechanismId mechanism;
  enum class Tls { none, starttls, direct } tls;
  std::size_t chunk;
};

std::string case_name(const testing::TestParamInfo<LoginCase>& info) {
  std::string name(to_string(info.param.mechanism));
  for (char& c : name) {
    if (c == '-') c = '_';
  }
  constexpr const char* kTls[] = {"_plain", "_starttls", "_direct"};
  name += kTls[static_cast<int>(info.param.tls)];
  return name + (info.param.chunk == kWhole ? "_whole" : "_by" + std::to_string(info.param.chunk));
}

std::vector<LoginCase> make_cases() {
  std::vector<LoginCase> cases;
  constexpr MechanismId kAll[] = {MechanismId::external,           MechanismId::scram_sha_512_plus,
                                  MechanismId::scram_sha_256_plus, MechanismId::scram_sha_1_plus,
                                  MechanismId::scram_sha_512,      MechanismId::scram_sha_256,
                                  MechanismId::scram_sha_1,        MechanismId::plain,
                                  MechanismId::anonymous};
  for (const MechanismId id : kAll) {
    for (const auto tls :
         {LoginCase::Tls::none, LoginCase::Tls::starttls, LoginCase::Tls::direct}) {
      const bool needs_tls = sasl::is_plus(id) || id == MechanismId::external;
      if (needs_tls && tls == LoginCase::Tls::none) continue;
      for (const std::size_t chunk : {std::size_t{1}, std::size_t{7}, kWhole}) {
        cases.push_back({id, tls, chunk});
      }
    }
  }
  return cases;
}

class Login : public testing::TestWithParam<LoginCase> {};

TEST_P(Login, ReachesASessionAndCarriesStanzas) {
  const LoginCase& param = GetParam();
  const bool direct = param.tls == LoginCase::Tls::direct;
  StreamOffer offer = make_offer({param.mechanism});
  offer.tls_available = param.tls == LoginCase::Tls::starttls;
  offer.tls_required = offer.tls_available;
  StreamPolicy policy = make_policy();
  policy.tls =
      param.tls == LoginCase::Tls::none ? StreamPolicy::Tls::none : StreamPolicy::Tls::required;
  policy.plain_without_tls = true;
  policy.external = param.mechanism == MechanismId::external;
  if (param.mechanism == MechanismId::anonymous) policy.jid = Jid();

  ReceiverDriver server(offer, {}, direct);
  InitiatorDriver client(policy, direct);
  converse(client, server, param.chunk);
  ASSERT_TRUE(client.stream.stanzas_allowed()) << client.last_log();
  ASSERT_TRUE(server.stream.stanzas_allowed()) << server.last_log();
  EXPECT_EQ(client.stream.jid(), server.stream.jid());
  EXPECT_EQ(client.stream.jid().resource(), "desk");
  EXPECT_EQ(client.stream.mechanism(), to_string(param.mechanism));
  EXPECT_EQ(server.stream.mechanism(), to_string(param.mechanism));
  EXPECT_EQ(client.stream.is_secure(), param.tls != LoginCase::Tls::none);
  EXPECT_EQ(server.stream.is_secure(), param.tls != LoginCase::Tls::none);
  EXPECT_EQ(client.stream.id(), server.stream.id());
  EXPECT_EQ(client.last_log(), "bound " + std::string(client.stream.jid().str()));
  EXPECT_EQ(server.stream.deadline(), kNever);

  for (int i = 0; i < 5; ++i) {
    Stanza up = Stanza::message(StanzaType::chat, *Jid::parse("bob@localhost"));
    up.envelope().id = "up" + std::to_string(i);
    up.add_text("body", "1 < 2 & 3");
    client.stream.send(up);
    server.stream.send(Stanza::iq(StanzaType::get, {}, "down" + std::to_string(i)));
  }
  client.stream.send_keepalive();
  converse(client, server, param.chunk);
  ASSERT_EQ(server.stanzas.size(), 5U);
  ASSERT_EQ(client.stanzas.size(), 5U);
  EXPECT_EQ(server.stanzas[4].stanza.id(), "up4");
  EXPECT_EQ(server.stanzas[4].stanza.child_text("body"), "1 < 2 & 3");
  EXPECT_EQ(client.stanzas[4].stanza.id(), "down4");

  client.stream.close();
  EXPECT_FALSE(client.stream.stanzas_allowed());
  converse(client, server, param.chunk);
  EXPECT_EQ(client.last_log(), "closed");
  EXPECT_EQ(server.last_log(), "closed");
  EXPECT_TRUE(client.stream.is_closed());
  EXPECT_TRUE(server.stream.is_closed());
}

INSTANTIATE_TEST_SUITE_P(All, Login, testing::ValuesIn(make_cases()), case_name);

TEST(Negotiation, PicksTheStrongestMechanism) {
  StreamOffer offer = make_offer({MechanismId::plain, MechanismId::scram_sha_1,
                                  MechanismId::scram_sha_256, MechanismId::scram_sha_256_plus});
  ReceiverDriver server(offer, {}, true);
  InitiatorDriver client(make_policy(), true);
  converse(client, server);
  EXPECT_EQ(client.stream.mechanism(), "SCRAM-SHA-256-PLUS");
  EXPECT_EQ(server.stream.mechanism(), "SCRAM-SHA-256-PLUS");
}

TEST(Negotiation, DropsPlusMechanismsWithoutABinding) {
  StreamOffer offer = make_offer({MechanismId::scram_sha_256_plus, MechanismId::scram_sha_256});
  offer.binding_types.clear();
  ReceiverDriver server(offer, {}, true);
  InitiatorDriver client(make_policy(), true);
  converse(client, server);
  EXPECT_EQ(client.stream.mechanism(), "SCRAM-SHA-256");
}

TEST(Negotiation, WrongPasswordIsReportedOnBothSides) {
  for (const MechanismId id : {MechanismId::plain, MechanismId::scram_sha_256_plus}) {
    ReceiverDriver server(make_offer({id}), {}, true);
    InitiatorDriver client(make_policy("wrong"), true);
    converse(client, server);
    ASSERT_TRUE(client.failure);
    EXPECT_EQ(client.failure->sasl_failure, sasl::SaslCondition::not_authorized);
    EXPECT_TRUE(server.has_logged("auth-failed alice not-authorized"));
    EXPECT_EQ(server.last_log(), "closed");
  }
}

TEST(Negotiation, UnknownUserFailsLikeAWrongPassword) {
  StreamPolicy policy = make_policy();
  policy.jid = *Jid::parse("nobody@localhost");
  ReceiverDriver server(make_offer(), {}, true);
  InitiatorDriver client(policy, true);
  converse(client, server);
  ASSERT_TRUE(client.failure);
  EXPECT_EQ(client.failure->sasl_failure, sasl::SaslCondition::not_authorized);
}

TEST(Negotiation, RefusedBindIsReported) {
  StreamPolicy policy = make_policy();
  policy.resource = "taken";
  ReceiverDriver server(make_offer(), {}, true);
  InitiatorDriver client(policy, true);
  converse(client, server);
  ASSERT_TRUE(client.failure && client.failure->bind_failure);
  EXPECT_EQ(client.failure->bind_failure->condition, StanzaCondition::conflict);
}

TEST(Negotiation, RegistersBeforeAuthentication) {
  StreamOffer offer = make_offer();
  offer.preauth_iq = {ns::register_};
  offer.before_auth_features = {"<register xmlns='http://jabber.org/features/iq-register'/>"};
  StreamPolicy policy = make_policy();
  policy.pause_before_authentication = true;
  ReceiverDriver server(offer, {}, true);
  InitiatorDriver client(policy, true);
  converse(client, server);
  EXPECT_EQ(client.last_log(), "ready");
  ASSERT_TRUE(client.stream.features());
  EXPECT_TRUE(client.stream.features().root().find_child({ns::register_feature, "register"}));

  Stanza request = Stanza::iq(StanzaType::set, {}, "reg1");
  request.add(
      Payload({ns::register_, "query"}, std::string("<query xmlns='jabber:iq:register'/>")));
  client.stream.send(request);
  converse(client, server);
  ASSERT_EQ(server.stanzas.size(), 1U);
  EXPECT_FALSE(server.stream.stanzas_allowed());
  server.stream.send(make_result(server.stanzas[0].stanza));
  converse(client, server);
  EXPECT_EQ(client.last_log(), "stanza reg1");

  client.stream.start_authentication();
  converse(client, server);
  EXPECT_TRUE(client.stream.stanzas_allowed());
}

}  // namespace
}  // namespace xmpp::test
