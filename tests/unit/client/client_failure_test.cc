// Every stage at which a login can fail, and what the client says of it.
#include <gtest/gtest.h>

#include <string_view>

#include "unit/client/client_fixture.h"

namespace xmpp {
namespace {

using namespace std::chrono_literals;
using Stage = ClientFailure::Stage;
using Connecting = net::MemoryConnector::Behaviour;

struct FailureTest : ClientTest {
  void expect(Stage stage, std::string_view text) {
    EXPECT_EQ(log.find("bound"), std::string::npos);
    EXPECT_EQ(log, "closed ");
    ASSERT_TRUE(failure) << "no failure";
    EXPECT_EQ(to_string(failure->stage), to_string(stage)) << failure->text;
    EXPECT_NE(failure->text.find(text), std::string::npos) << failure->text;
    EXPECT_EQ(poller.watched(), 0u);
  }
};

TEST_F(FailureTest, Resolve) {
  ClientOptions how = options();
  how.targets = {"nonsense"};
  start(std::move(how));
  expect(Stage::resolve, "not a target: nonsense");
}

TEST_F(FailureTest, Connect) {
  connector.behaviour["127.0.0.1:5222"] = Connecting::refuse;
  start(options());
  expect(Stage::connect, "Connection refused");
}

TEST_F(FailureTest, ConnectTimeout) {
  connector.behaviour["127.0.0.1:5222"] = Connecting::hang;
  start(options());
  EXPECT_EQ(log, "");
  pass(31s);
  expect(Stage::connect, "timed out");
}

TEST_F(FailureTest, NoTlsOffered) {
  start(options());
  expect(Stage::stream, "");
}

TEST_F(FailureTest, UntrustedCertificate) {
  use_tls();
  ClientOptions how = options();
  static const SelfSigned other = *make_self_signed({"example.org"});
  TlsClientOptions trust;
  trust.ca_pem = other.certificate.certificate_pem;
  how.tls_context = *TlsContext::make_client(trust);
  start(std::move(how));
  expect(Stage::tls, "");
}

TEST_F(FailureTest, NoNameToVerify) {
  use_tls();
  behaviour.direct = true;
  ClientOptions how = options();
  how.tls = ClientOptions::Tls::direct;
  // No A-label is that long, so there is no name that a certificate could state.
  how.domain = ".example";
  for (int i = 0; i < 70; ++i) how.domain.insert(0, "\u00e4");
  start(std::move(how));
  expect(Stage::tls, "no name to verify the certificate against");
}

TEST_F(FailureTest, UnreadableTrustAnchors) {
  use_tls();
  ClientOptions how = options();
  how.tls_context.reset();
  how.ca_file = "/nonexistent.pem";
  start(std::move(how));
  expect(Stage::tls, "cannot read /nonexistent.pem");
}

TEST_F(FailureTest, ADirectoryOfTrustAnchors) {
  use_tls();
  ClientOptions how = options();
  how.tls_context.reset();
  how.ca_file = "/";
  start(std::move(how));
  expect(Stage::tls, "cannot read /: Is a directory");
}

TEST_F(FailureTest, DirectTlsToAPlainServer) {
  ClientOptions how = options();
  how.tls = ClientOptions::Tls::direct;
  make(std::move(how));
  client->connect();
  for (int i = 0; i < 5; ++i) reactor.turn(reactor.now() + 1ms);
  ASSERT_FALSE(connector.accepted.empty());
  const std::string text = "<stream:error>this is no TLS</stream:error>";
  const iovec part{const_cast<char*>(text.data()), text.size()};
  (void)connector.accepted.front()->writev({&part, 1});
  for (int i = 0; i < 5; ++i) reactor.turn(reactor.now() + 1ms);
  expect(Stage::tls, "");
}

TEST_F(FailureTest, HostUnknown) {
  behaviour.refuse_header = StreamError{StreamCondition::host_unknown, "never heard of it"};
  start(plain_options());
  expect(Stage::stream, "host-unknown");
  ASSERT_TRUE(failure->stream_error);
  EXPECT_EQ(failure->stream_error->condition, StreamCondition::host_unknown);
}

TEST_F(FailureTest, WrongPassword) {
  use_tls();
  ClientOptions how = options();
  how.password = Secret("wrong");
  start(std::move(how));
  expect(Stage::sasl, "not-authorized");
  EXPECT_EQ(failure->sasl, sasl::SaslCondition::not_authorized);
}

TEST_F(FailureTest, NoMechanismInCommon) {
  use_tls();
  ClientOptions how = options();
  how.mechanism = "SCRAM-SHA-1";
  start(std::move(how));
  expect(Stage::sasl, "");
}

TEST_F(FailureTest, BindRefused) {
  behaviour.refuse_bind = StanzaError(StanzaCondition::resource_constraint, "too many");
  start(plain_options());
  expect(Stage::bind, "resource-constraint");
}

TEST_F(FailureTest, BindTimeout) {
  behaviour.answers_bind = false;
  start(plain_options());
  pass(31s);
  expect(Stage::bind, "timed out");
}

TEST_F(FailureTest, ConnectionLostDuringLogin) {
  behaviour.answers_bind = false;
  start(plain_options());
  server.reset();
  settle();
  expect(Stage::bind, "closed the connection");
}

}  // namespace
}  // namespace xmpp
