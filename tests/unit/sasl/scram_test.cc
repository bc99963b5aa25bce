#include "xmpp/sasl/scram.h"

#include <gtest/gtest.h>

#include "unit/sasl/dialogue.h"
#include "xmpp/base/encoding.h"
#include "xmpp/sasl/digest.h"

namespace xmpp::sasl {
namespace {

using test::Dialogue;
using test::make_context;
using test::make_credentials;
using test::Outcome;

struct Vector {
  const char* source;
  MechanismId id;
  const char* client_nonce;
  const char* server_nonce;
  const char* salt;
  const char* server_first;
  const char* client_final;
  const char* server_final;
};

// RFC 5802 5, RFC 7677 3; SHA-512 computed with Python's hashlib.
const Vector kVectors[] = {
    {"RFC 5802", MechanismId::scram_sha_1, "fyko+d2lbbFgONRv9qkxdawL", "3rfcNHYJY1ZVvWVs7j",
     "QSXCR+Q6sek8bf92", "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
     "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
     "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
    {"RFC 7677", MechanismId::scram_sha_256, "rOprNGfwEbeRWgbNEkqO",
     "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "W22ZaJ0SNY7soEsUEjb6gQ==",
     "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
     "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
     "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
     "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
    {"hashlib", MechanismId::scram_sha_512, "rOprNGfwEbeRWgbNEkqO",
     "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", "W22ZaJ0SNY7soEsUEjb6gQ==",
     "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
     "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
     "p=gMGXRcevScNtxZ6/"
     "8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==",
     "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/"
     "AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw=="},
};

TEST(Scram, SpeaksTheVectorsOfTheRfcs) {
  SeededRng rng(1);
  for (const Vector& vector : kVectors) {
    SCOPED_TRACE(vector.source);
    auto client = make_scram_client({vector.id}, make_credentials(), {}, vector.client_nonce);
    auto server = make_scram_server(vector.id, make_context(rng), vector.server_nonce);
    const auto keys = derive_scram_keys(*scram_hash(vector.id), Secret("pencil"),
                                        *base64_decode(vector.salt), 4096);

    const auto first = client->start();
    ASSERT_TRUE(first);
    EXPECT_EQ(*first, std::string("n,,n=user,r=") + vector.client_nonce);
    const auto need = server->start(*first);
    ASSERT_TRUE(std::holds_alternative<NeedScramKeys>(need));
    EXPECT_EQ(std::get<NeedScramKeys>(need).username, "user");
    const auto challenge = server->give_scram_keys(Lookup::found, keys);
    ASSERT_TRUE(std::holds_alternative<Challenge>(challenge));
    EXPECT_EQ(std::get<Challenge>(challenge).data, vector.server_first);
    const auto final = client->receive(vector.server_first);
    ASSERT_TRUE(final);
    EXPECT_EQ(*final, vector.client_final);
    const auto success = server->respond(*final);
    ASSERT_TRUE(std::holds_alternative<ServerSuccess>(success));
    EXPECT_EQ(std::get<ServerSuccess>(success).additional_data, vector.server_final);
    EXPECT_TRUE(client->finish(vector.server_final));
  }
}

const ChannelBindings kBindings{"exporter data 32 bytes long ....", "hash of the certificate"};

struct Login {
  MechanismId id;
  Gs2Flag flag;
  ChannelBindingType binding;
};

std::vector<Login> all_logins() {
  std::vector<Login> logins;
  for (const MechanismId id :
       {MechanismId::scram_sha_1, MechanismId::scram_sha_256, MechanismId::scram_sha_512}) {
    logins.push_back({id, Gs2Flag::none, {}});
    logins.push_back({id, Gs2Flag::mismatch, {}});
  }
  for (const MechanismId id : {MechanismId::scram_sha_1_plus, MechanismId::scram_sha_256_plus,
                               MechanismId::scram_sha_512_plus}) {
    for (const auto type : kChannelBindingTypes) logins.push_back({id, Gs2Flag::bound, type});
  }
  return logins;
}

// One exchange; `plus` says whether the server offered -PLUS.
Outcome log_in(const Login& login, const Dialogue& dialogue, ClientCredentials credentials,
               const ChannelBindings& client_sees, const ChannelBindings& server_sees,
               bool plus = false) {
  SeededRng rng(7);
  auto client = make_client_mechanism({login.id, login.flag, login.binding}, std::move(credentials),
                                      client_sees, rng);
  auto server = make_server_mechanism(login.id, make_context(rng, server_sees, plus));
  return dialogue.run(*client, *server);
}

TEST(Scram, EveryMechanismAndBindingBackToBack) {
  for (const Login& login : all_logins()) {
    SCOPED_TRACE(to_string(login.id));
    for (const bool initial : {true, false}) {
      for (const bool in_challenge : {true, false}) {
        Dialogue dialogue;
        dialogue.initial_response = initial;
        dialogue.final_in_challenge = in_challenge;
        const Outcome outcome =
            log_in(login, dialogue, make_credentials(), kBindings, kBindings, is_plus(login.id));
        ASSERT_TRUE(outcome.success);
        EXPECT_TRUE(outcome.client_verified);
        EXPECT_EQ(outcome.success->username, "user");
        EXPECT_EQ(outcome.success->channel_binding.has_value(), is_plus(login.id));
        if (is_plus(login.id)) {
          EXPECT_EQ(*outcome.success->channel_binding, login.binding);
        }
      }
    }
  }
}

TEST(Scram, RefusesWhatIsWrong) {
  struct Case {
    const char* what;
    const char* username;
    const char* password;
    const char* authzid;
    Lookup user;
    SaslCondition condition;
    bool counts;
  };
  const Case cases[] = {
      {"password", "user", "pencils", "", Lookup::found, SaslCondition::not_authorized, true},
      {"unknown user", "nobody", "pencil", "", Lookup::found, SaslCondition::not_authorized, true},
      {"storage", "user", "pencil", "", Lookup::failed, SaslCondition::temporary_auth_failure,
       false},
      {"disabled", "user", "pencil", "", Lookup::disabled, SaslCondition::account_disabled, false},
      {"disabled, and the password", "user", "pencils", "", Lookup::disabled,
       SaslCondition::not_authorized, true},
      {"authzid", "user", "pencil", "other@example.org", Lookup::found,
       SaslCondition::invalid_authzid, true},
      {"authzid of another host", "user", "pencil", "user@example.com", Lookup::found,
       SaslCondition::invalid_authzid, true},
      {"authzid with a resource", "user", "pencil", "user@example.org/r", Lookup::found,
       SaslCondition::invalid_authzid, true},
  };
  for (const Case& c : cases) {
    for (const Login& login : all_logins()) {
      SCOPED_TRACE(std::string(c.what) + " " + std::string(to_string(login.id)));
      Dialogue dialogue;
      dialogue.user = c.user;
      auto credentials = make_credentials(c.username, c.password);
      credentials.authzid = c.authzid;
      const Outcome outcome = log_in(login, dialogue, credentials, kBindings, kBindings);
      ASSERT_TRUE(outcome.failure);
      EXPECT_EQ(outcome.failure->condition, c.condition);
      EXPECT_EQ(outcome.failure->counts_as_failed_password, c.counts);
    }
  }
}

TEST(Scram, TakesTheOwnAddressAsAuthzid) {
  for (const char* authzid : {"user@example.org", "USER@Example.org"}) {
    auto credentials = make_credentials();
    credentials.authzid = authzid;
    const Outcome outcome =
        log_in({MechanismId::scram_sha_256, Gs2Flag::none, {}}, {}, credentials, {}, {});
    EXPECT_TRUE(outcome.success) << authzid;
  }
}

TEST(Scram, RefusesAnotherChannel) {
  const ChannelBindings other{"exporter data of another session", "hash of another certificate"};
  for (const auto type : kChannelBindingTypes) {
    const Outcome outcome = log_in({MechanismId::scram_sha_256_plus, Gs2Flag::bound, type}, {},
                                   make_credentials(), kBindings, other, true);
    ASSERT_TRUE(outcome.failure);
    EXPECT_EQ(outcome.failure->condition, SaslCondition::not_authorized);
    EXPECT_TRUE(outcome.failure->counts_as_failed_password);
  }
}

TEST(Scram, UnusableBindingIsNoFailedPassword) {
  const ChannelBindings only_end_point{"", "hash of the certificate"};
  const Outcome missing =
      log_in({MechanismId::scram_sha_1_plus, Gs2Flag::bound, ChannelBindingType::tls_exporter}, {},
             make_credentials(), kBindings, only_end_point, true);
  ASSERT_TRUE(missing.failure);
  EXPECT_EQ(missing.failure->condition, SaslCondition::not_authorized);
  EXPECT_FALSE(missing.failure->counts_as_failed_password);

  SeededRng rng(1);
  auto server =
      make_server_mechanism(MechanismId::scram_sha_1_plus, make_context(rng, kBindings, true));
  const auto step = server->start("p=tls-unique,,n=user,r=abc");
  ASSERT_TRUE(std::holds_alternative<SaslFailure>(step));
  EXPECT_EQ(std::get<SaslFailure>(step).condition, SaslCondition::not_authorized);
  EXPECT_FALSE(std::get<SaslFailure>(step).counts_as_failed_password);
}

TEST(Scram, RefusesADowngradeOfTheOffer) {
  const Outcome outcome = log_in({MechanismId::scram_sha_256, Gs2Flag::mismatch, {}}, {},
                                 make_credentials(), kBindings, kBindings, true);
  ASSERT_TRUE(outcome.failure);
  EXPECT_EQ(outcome.failure->condition, SaslCondition::not_authorized);
  EXPECT_FALSE(outcome.failure->counts_as_failed_password);
}

TEST(Scram, UnknownUsersLookLikeKnownOnes) {
  const auto challenge_for = [](MechanismId id) {
    SeededRng rng(3);
    auto server = make_scram_server(id, make_context(rng), "server");
    (void)server->start("n,,n=nobody,r=client");
    return std::get<Challenge>(server->give_scram_keys(Lookup::unknown)).data;
  };
  const std::string first = challenge_for(MechanismId::scram_sha_1);
  EXPECT_EQ(first, challenge_for(MechanismId::scram_sha_1));
  EXPECT_EQ(first, challenge_for(MechanismId::scram_sha_512));  // accounts have one salt as well
  EXPECT_TRUE(first.ends_with(",i=4096")) << first;
  EXPECT_NE(fake_scram_keys(Secret("a"), "nobody", ScramHash::sha1, 4096).salt,
            fake_scram_keys(Secret("b"), "nobody", ScramHash::sha1, 4096).salt);
  EXPECT_NE(fake_scram_keys(Secret("a"), "nobody", ScramHash::sha1, 4096).salt,
            fake_scram_keys(Secret("a"), "someone", ScramHash::sha1, 4096).salt);
}

TEST(Scram, DamagedKeysAreTheServersFault) {
  for (int damage = 0; damage < 5; ++damage) {
    SeededRng rng(3);
    auto server = make_scram_server(MechanismId::scram_sha_256, make_context(rng), "server");
    (void)server->start("n,,n=user,r=client");
    ScramKeys keys = test::account_keys()[1];
    if (damage == 0) keys.hash = ScramHash::sha1;
    if (damage == 1) keys.stored_key.pop_back();
    if (damage == 2) keys.server_key.clear();
    if (damage == 3) keys.salt.clear();
    if (damage == 4) keys.iterations = 0;
    const auto step = server->give_scram_keys(Lookup::found, keys);
    ASSERT_TRUE(std::holds_alternative<SaslFailure>(step)) << damage;
    EXPECT_EQ(std::get<SaslFailure>(step).condition, SaslCondition::temporary_auth_failure);
  }
}

TEST(Scram, ServerRefusesMalformedFirstMessages) {
  const std::string messages[] = {"",
                                  ",",
                                  "n,",
                                  "n,,",
                                  "n",
                                  "n,,n=user",
                                  "n,,r=abc",
                                  "n,,n=,r=abc",
                                  "n,,n=user,r=",
                                  "x,,n=user,r=abc",
                                  "p=tls-exporter,,n=user,r=abc",
                                  "p=,,n=user,r=abc",
                                  "y=,,n=user,r=abc",
                                  "n,user,n=user,r=abc",
                                  "n,a=,n=user,r=abc",
                                  "n,a=x=y,n=user,r=abc",
                                  "n,,n=us=er,r=abc",
                                  "n,,n=us=2cer,r=abc",
                                  "n,,n=user=2,r=abc",
                                  "n,,m=ext,n=user,r=abc",
                                  "n,,n=user,r=abc,m=ext",
                                  "n,,n=user,r=abc,",
                                  "n,,n=user,r=abc,x",
                                  "n,,n=user,r=abc,x=",
                                  "n,,n=user,r=abc,1=x",
                                  "n,,n=user,r=a\x7f"
                                  "c",
                                  "n,,n=user,r=a c",
                                  "n,,n=us\xff"
                                  "er,r=abc",
                                  "N,,n=user,r=abc",
                                  std::string("n,,n=us\0er,r=abc", 16),
                                  "n,,n=" + std::string(20000, 'u') + ",r=abc"};
  for (const std::string& message : messages) {
    SeededRng rng(3);
    auto server = make_server_mechanism(MechanismId::scram_sha_256, make_context(rng));
    const auto step = server->start(message);
    ASSERT_TRUE(std::holds_alternative<SaslFailure>(step)) << message.substr(0, 60);
    EXPECT_EQ(std::get<SaslFailure>(step).condition, SaslCondition::malformed_request)
        << message.substr(0, 60);
  }
  for (const char* message : {"n,,n=user,r=abc", "y,,n=user,r=abc"}) {  // a -PLUS without binding
    SeededRng rng(3);
    auto server =
        make_server_mechanism(MechanismId::scram_sha_256_plus, make_context(rng, kBindings, true));
    const auto step = server->start(message);
    EXPECT_EQ(std::get<SaslFailure>(step).condition, SaslCondition::malformed_request);
  }
}

TEST(Scram, ServerTakesUnknownOptionalAttributesAndEscapes) {
  SeededRng rng(3);
  auto server = make_server_mechanism(MechanismId::scram_sha_256, make_context(rng));
  const auto step = server->start("n,,n=User=2Cname=3Dx,r=abc,x=something,Z=else");
  ASSERT_TRUE(std::holds_alternative<NeedScramKeys>(step));
  EXPECT_EQ(std::get<NeedScramKeys>(step).username, "user,name=x");
}

TEST(Scram, ServerRefusesBadFinalMessages) {
  struct Case {
    const char* from;
    const char* to;
    SaslCondition condition;
  };
  const Case cases[] = {
      {"c=biws", "c=eSws", SaslCondition::not_authorized},  // "y,,": another GS2 header
      {",r=", ",r=x", SaslCondition::not_authorized},       // not our nonce
      {"c=biws", "c=b@ws", SaslCondition::malformed_request},
      {"c=biws", "c=", SaslCondition::malformed_request},
      {"c=biws,", "", SaslCondition::malformed_request},
      {",r=", ",m=1,r=", SaslCondition::malformed_request},
      {",p=", ",m=1,p=", SaslCondition::malformed_request},
      {",p=", ",q=", SaslCondition::malformed_request},
      {",p=", ",p==", SaslCondition::malformed_request},
      {",p=", ",p=AAAA", SaslCondition::not_authorized},        // a proof of another length
      {",p=", ",x=ignored,p=", SaslCondition::not_authorized},  // allowed, but was not signed
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.from) + " -> " + c.to);
    Dialogue dialogue;
    bool changed = false;
    dialogue.mutate = [&](int index, std::string& message) {
      const std::size_t at = message.find(c.from);
      if (index != 2 || at == std::string::npos) return;
      message.replace(at, std::string(c.from).size(), c.to);
      changed = true;
    };
    const Outcome outcome = log_in({MechanismId::scram_sha_256, Gs2Flag::none, {}}, dialogue,
                                   make_credentials(), {}, {});
    ASSERT_TRUE(changed);
    ASSERT_TRUE(outcome.failure);
    EXPECT_EQ(outcome.failure->condition, c.condition);
  }
}

// The final message of a client that knows the password and signs whatever it says.
ServerStep answer_signed(ServerMechanism& server, const std::string& channel_binding,
                         const std::string& appended_to_nonce) {
  constexpr auto kHash = ScramHash::sha256;
  const std::string salt = "0123456789abcdef";
  const std::string first_bare = "n=user,r=abc";
  (void)server.start("n,," + first_bare);
  const auto step = server.give_scram_keys(
      Lookup::found, derive_scram_keys(kHash, Secret("pencil"), salt, kMinIterations));
  const std::string challenge = std::get<Challenge>(step).data;
  const std::string nonce = challenge.substr(2, challenge.find(',') - 2) + appended_to_nonce;
  const std::string final = "c=" + base64_encode(channel_binding) + ",r=" + nonce;
  const std::string client_key =
      hmac(kHash, pbkdf2(kHash, "pencil", salt, kMinIterations), "Client Key");
  const std::string signature =
      hmac(kHash, digest(kHash, client_key), first_bare + "," + challenge + "," + final);
  return server.respond(final + ",p=" + base64_encode(xor_bytes(client_key, signature)));
}

TEST(Scram, ServerComparesWhatWasSignedWithWhatWasSaid) {
  SeededRng rng(1);
  const auto make = [&] {
    return make_server_mechanism(MechanismId::scram_sha_256, make_context(rng));
  };
  EXPECT_TRUE(std::holds_alternative<ServerSuccess>(answer_signed(*make(), "n,,", "")));
  EXPECT_TRUE(std::holds_alternative<SaslFailure>(answer_signed(*make(), "n,,", "x"))) << "nonce";
  EXPECT_TRUE(std::holds_alternative<SaslFailure>(answer_signed(*make(), "y,,", ""))) << "flag";
  EXPECT_TRUE(std::holds_alternative<SaslFailure>(answer_signed(*make(), "n,,x", ""))) << "binding";
}

TEST(Scram, ClientRefusesBadServers) {
  struct Case {
    int index;  // of the message that is changed
    const char* from;
    const char* to;
    ClientErrorCode code;
  };
  const Case cases[] = {
      {1, "r=", "r=x", ClientErrorCode::bad_nonce},
      {1, "r=", "q=", ClientErrorCode::malformed_challenge},
      {1, "r=", "m=1,r=", ClientErrorCode::malformed_challenge},
      {1, ",i=", ",m=1,i=", ClientErrorCode::malformed_challenge},
      {1, ",i=4096", ",i=4096,m=1", ClientErrorCode::malformed_challenge},
      {1, ",i=4096", "", ClientErrorCode::malformed_challenge},
      {1, ",i=4096", ",i=", ClientErrorCode::malformed_challenge},
      {1, ",i=4096", ",i=04096", ClientErrorCode::malformed_challenge},
      {1, ",i=4096", ",i=-4096", ClientErrorCode::malformed_challenge},
      {1, ",i=4096", ",i=4095", ClientErrorCode::iterations_out_of_bounds},
      {1, ",i=4096", ",i=10000001", ClientErrorCode::iterations_out_of_bounds},
      {1, ",i=4096", ",i=99999999999999999", ClientErrorCode::iterations_out_of_bounds},
      {1, ",s=", ",s=!", ClientErrorCode::malformed_challenge},
      {3, "v=", "v=AAAA", ClientErrorCode::bad_server_signature},
      {3, "v=", "w=", ClientErrorCode::malformed_challenge},
      {3, "v=", "e=other-error,v=", ClientErrorCode::server_refused},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.from) + " -> " + c.to);
    Dialogue dialogue;
    bool changed = false;
    dialogue.mutate = [&](int index, std::string& message) {
      const std::size_t at = message.find(c.from);
      if (index != c.index || at == std::string::npos) return;
      message.replace(at, std::string(c.from).size(), c.to);
      changed = true;
    };
    const Outcome outcome = log_in({MechanismId::scram_sha_256, Gs2Flag::none, {}}, dialogue,
                                   make_credentials(), {}, {});
    ASSERT_TRUE(changed);
    EXPECT_FALSE(outcome.client_verified);
    ASSERT_TRUE(outcome.client_error);
    EXPECT_EQ(outcome.client_error->code, c.code);
  }
}

TEST(Scram, ClientWantsProofOfTheServer) {
  const Login login{MechanismId::scram_sha_256, Gs2Flag::none, {}};
  Dialogue dialogue;
  dialogue.mutate = [](int index, std::string& message) {
    if (index == 3) message.clear();  // <success/> without data
  };
  const Outcome missing = log_in(login, dialogue, make_credentials(), {}, {});
  ASSERT_TRUE(missing.client_error);
  EXPECT_EQ(missing.client_error->code, ClientErrorCode::bad_server_signature);

  SeededRng rng(1);
  auto early = make_client_mechanism({login.id}, make_credentials(), {}, rng);
  const auto asked = early->receive("r=before,s=c2FsdA==,i=4096");
  ASSERT_FALSE(asked);
  EXPECT_EQ(asked.error().code, ClientErrorCode::unexpected_challenge);
  ASSERT_TRUE(early->start());
  const auto finished = early->finish(std::nullopt);
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, ClientErrorCode::unexpected_challenge);
}

TEST(Scram, ClientPreparesCredentialsAndRefusesWhatItCannot) {
  SeededRng rng(1);
  auto client = make_client_mechanism({MechanismId::scram_sha_1}, make_credentials("a b"), {}, rng);
  ASSERT_FALSE(client->start());
  auto no_password =
      make_client_mechanism({MechanismId::scram_sha_1}, make_credentials("user", ""), {}, rng);
  ASSERT_FALSE(no_password->start());

  // OpaqueString: NFC, and any space becomes U+0020.
  EXPECT_EQ(prepare_password("e\xCC\x81\xC2\xA0x")->reveal(), "\xC3\xA9 x");
  EXPECT_EQ(*prepare_username("Us\xC3\x84r"), "us\xC3\xA4r");
  EXPECT_FALSE(prepare_password("a\x01"));
  EXPECT_FALSE(prepare_username(""));
}

TEST(Scram, CacheSavesTheDerivation) {
  struct Counting final : SaltedPasswordCache {
    std::unique_ptr<SaltedPasswordCache> real = make_salted_password_cache(2);
    int hits = 0;
    int stores = 0;
    std::optional<Secret> find(const Key& key) override {
      auto found = real->find(key);
      hits += found ? 1 : 0;
      return found;
    }
    void store(const Key& key, const Secret& salted) override {
      ++stores;
      real->store(key, salted);
    }
  } cache;
  auto credentials = make_credentials();
  credentials.cache = &cache;
  const Login login{MechanismId::scram_sha_256, Gs2Flag::none, {}};
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(log_in(login, {}, credentials, {}, {}).client_verified);
  }
  EXPECT_EQ(cache.stores, 1);
  EXPECT_EQ(cache.hits, 2);
  const SaltedPasswordCache::Key other{ScramHash::sha1, "pencil", "0123456789abcdef", 4096};
  EXPECT_FALSE(cache.find(other));
}

TEST(Scram, PasswordsCanBeVerifiedAgainstKeys) {
  for (const ScramKeys& keys : test::account_keys()) {
    EXPECT_TRUE(verify_password(keys, Secret("pencil")));
    EXPECT_FALSE(verify_password(keys, Secret("Pencil")));
    EXPECT_FALSE(
        verify_password(fake_scram_keys(Secret("s"), "user", keys.hash, 4096), Secret("pencil")));
  }
}

// Any one byte of any message changed: nobody who should not gets in, nobody crashes.
TEST(Scram, SurvivesMutations) {
  const Login login{MechanismId::scram_sha_1_plus, Gs2Flag::bound,
                    ChannelBindingType::tls_exporter};
  auto cache = make_salted_password_cache(4096);
  for (int message = 0; message < 4; ++message) {
    for (std::size_t at = 0; at < 140; ++at) {
      for (const char with : {'=', ',', '\0', '\xff', 'A'}) {
        Dialogue dialogue;
        bool changed = false;
        dialogue.mutate = [&](int index, std::string& text) {
          if (index != message || at >= text.size() || text[at] == with) return;
          text[at] = with;
          changed = true;
        };
        auto credentials = make_credentials();
        credentials.cache = cache.get();
        // Whatever salt or count a mutation makes: cheap.
        credentials.iterations_max = 5000;
        const Outcome outcome = log_in(login, dialogue, credentials, kBindings, kBindings, true);
        EXPECT_EQ(outcome.client_verified, !changed) << message << " " << at;
      }
    }
  }
}

}  // namespace
}  // namespace xmpp::sasl
