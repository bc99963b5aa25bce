// Session tickets, with OpenSSL as the client: ours never resumes, other people's do.
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <array>
#include <memory>

#include "xmpp/transport/tls_engine.h"

namespace xmpp {
namespace {

struct OpenSslClient {
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl{nullptr, &SSL_free};
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());

  OpenSslClient(SSL_CTX* context, SSL_SESSION* session) {
    ssl.reset(SSL_new(context));
    SSL_set_bio(ssl.get(), in, out);
    SSL_set_tlsext_host_name(ssl.get(), "example.org");
    SSL_set_connect_state(ssl.get());
    if (session != nullptr) SSL_set_session(ssl.get(), session);
  }

  // Without an orderly end OpenSSL takes the session for broken and never resumes it.
  ~OpenSslClient() { SSL_set_shutdown(ssl.get(), SSL_SENT_SHUTDOWN); }
  OpenSslClient(const OpenSslClient&) = delete;
  OpenSslClient& operator=(const OpenSslClient&) = delete;

  // Runs until neither side has anything to say; reads so that tickets arrive.
  void talk_to(TlsEngine& server) {
    std::array<char, 4096> buffer{};
    for (int round = 0; round < 6; ++round) {
      std::size_t count = 0;
      (void)SSL_read_ex(ssl.get(), buffer.data(), buffer.size(), &count);
      const int size = BIO_read(out, buffer.data(), buffer.size());
      if (size > 0) (void)server.feed({buffer.data(), static_cast<std::size_t>(size)});
      OutputChain chain;
      server.take_output(chain);
      const std::string bytes = chain.str();
      if (!bytes.empty()) BIO_write(in, bytes.data(), static_cast<int>(bytes.size()));
    }
  }
};

class TlsResumption : public ::testing::TestWithParam<TlsVersion> {};

TEST_P(TlsResumption, KeepsTheBindingAndEndsWithAReload) {
  const SelfSigned first = *make_self_signed({"example.org"});
  const SelfSigned other = *make_self_signed({"example.com"});
  const TlsCertificate certificates[] = {other.certificate, first.certificate};
  TlsServerOptions options;
  options.version_max = GetParam();
  const auto context = *TlsContext::make_server(certificates, options);
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> client(SSL_CTX_new(TLS_client_method()),
                                                                 &SSL_CTX_free);
  TlsEngine server = TlsEngine::make_server(*context);
  OpenSslClient fresh(client.get(), nullptr);
  fresh.talk_to(server);
  ASSERT_TRUE(server.is_open());
  EXPECT_FALSE(server.is_resumed());
  const std::string end_point = server.channel_bindings().tls_server_end_point;
  const std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)> session(
      SSL_get1_session(fresh.ssl.get()), &SSL_SESSION_free);
  ASSERT_EQ(SSL_SESSION_is_resumable(session.get()), 1);

  TlsEngine again = TlsEngine::make_server(*context);
  OpenSslClient resuming(client.get(), session.get());
  resuming.talk_to(again);
  ASSERT_TRUE(again.is_open());
  EXPECT_TRUE(again.is_resumed());
  EXPECT_EQ(again.sni(), "example.org");
  EXPECT_EQ(again.channel_bindings().tls_server_end_point, end_point);

  // The client would still show the old certificate to its user: not resumed, but let in.
  const SelfSigned renewed = *make_self_signed({"example.org"});
  ASSERT_TRUE(context->reload(std::span(&renewed.certificate, 1)));
  TlsEngine later = TlsEngine::make_server(*context);
  OpenSslClient stale(client.get(), session.get());
  stale.talk_to(later);
  ASSERT_TRUE(later.is_open());
  EXPECT_FALSE(later.is_resumed());
  EXPECT_NE(later.channel_bindings().tls_server_end_point, end_point);
}

// RFC 7677 4: without the extended master secret a resumed session may be somebody else's.
TEST(TlsResumptionOf12, IsNotBoundWithoutTheExtendedMasterSecret) {
  const SelfSigned own = *make_self_signed({"example.org"});
  const auto context =
      *TlsContext::make_server(std::span(&own.certificate, 1), {.version_max = TlsVersion::tls1_2});
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> client(SSL_CTX_new(TLS_client_method()),
                                                                 &SSL_CTX_free);
  SSL_CTX_set_options(client.get(), SSL_OP_NO_EXTENDED_MASTER_SECRET);
  TlsEngine server = TlsEngine::make_server(*context);
  OpenSslClient fresh(client.get(), nullptr);
  fresh.talk_to(server);
  ASSERT_TRUE(server.is_open());
  EXPECT_EQ(server.channel_bindings().tls_exporter, "");
  EXPECT_NE(server.channel_bindings().tls_server_end_point, "");
  const std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)> session(
      SSL_get1_session(fresh.ssl.get()), &SSL_SESSION_free);

  TlsEngine again = TlsEngine::make_server(*context);
  OpenSslClient resuming(client.get(), session.get());
  resuming.talk_to(again);
  ASSERT_TRUE(again.is_open());
  ASSERT_TRUE(again.is_resumed());
  EXPECT_TRUE(again.channel_bindings().is_empty());
}

// RFC 7525 3.4: keys of tickets change.
TEST_P(TlsResumption, EndsWithTheKeysOfTickets) {
  const SelfSigned own = *make_self_signed({"example.org"});
  ManualClock clock;
  TlsServerOptions options;
  options.version_max = GetParam();
  options.clock = &clock;
  const auto context = *TlsContext::make_server(std::span(&own.certificate, 1), options);
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> client(SSL_CTX_new(TLS_client_method()),
                                                                 &SSL_CTX_free);
  for (const bool is_quiet : {false, true}) {
    TlsEngine server = TlsEngine::make_server(*context);
    OpenSslClient fresh(client.get(), nullptr);
    fresh.talk_to(server);
    const std::unique_ptr<SSL_SESSION, decltype(&SSL_SESSION_free)> session(
        SSL_get1_session(fresh.ssl.get()), &SSL_SESSION_free);
    const auto resumes = [&] {
      TlsEngine again = TlsEngine::make_server(*context);
      OpenSslClient resuming(client.get(), session.get());
      resuming.talk_to(again);
      EXPECT_TRUE(again.is_open());
      return again.is_resumed();
    };
    if (is_quiet) {
      clock.advance(std::chrono::hours(49));  // nobody came in between
    } else {
      EXPECT_TRUE(resumes());
      clock.advance(std::chrono::hours(25));
      EXPECT_TRUE(resumes());  // by the key before
      clock.advance(std::chrono::hours(24));
    }
    EXPECT_FALSE(resumes());
  }
}

INSTANTIATE_TEST_SUITE_P(Versions, TlsResumption,
                         ::testing::Values(TlsVersion::tls1_2, TlsVersion::tls1_3));

}  // namespace
}  // namespace xmpp
