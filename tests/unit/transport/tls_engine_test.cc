#include "xmpp/transport/tls_engine.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <thread>

#include "xmpp/base/encoding.h"

namespace xmpp {
namespace {

const SelfSigned& self_signed(const std::string& host) {
  static std::map<std::string, SelfSigned> made;
  auto found = made.find(host);
  if (found == made.end()) found = made.emplace(host, *make_self_signed({host})).first;
  return found->second;
}

std::shared_ptr<TlsContext> server_context(const TlsServerOptions& options = {}) {
  const TlsCertificate certificates[] = {self_signed("example.org").certificate,
                                         self_signed("example.com").certificate};
  return *TlsContext::make_server(certificates, options);
}

// Trusts both certificates.
TlsClientOptions trusting() {
  TlsClientOptions options;
  options.ca_pem = self_signed("example.org").certificate.certificate_pem +
                   self_signed("example.com").certificate.certificate_pem;
  return options;
}

struct Pair {
  TlsEngine client;
  TlsEngine server;
  std::optional<TlsError> client_error;
  std::optional<TlsError> server_error;

  static void pass(TlsEngine& from, TlsEngine& to, std::size_t chunk,
                   std::optional<TlsError>& error) {
    OutputChain chain;
    from.take_output(chain);
    const std::string bytes = chain.str();
    for (std::size_t at = 0; at < bytes.size(); at += chunk) {
      const auto fed = to.feed(std::string_view(bytes).substr(at, chunk));
      if (!fed) {
        error = fed.error();
        return;
      }
    }
  }
  void pump(std::size_t chunk = 1 << 20) {
    while (client.has_output() || server.has_output()) {
      pass(client, server, chunk, server_error);
      pass(server, client, chunk, client_error);
    }
  }
  [[nodiscard]] bool is_open() const { return client.is_open() && server.is_open(); }
};

Pair connect(const TlsContext& client, const TlsContext& server,
             std::string_view host = "example.org", std::size_t chunk = 1 << 20) {
  Pair pair{TlsEngine::make_client(client, host), TlsEngine::make_server(server), {}, {}};
  pair.pump(chunk);
  return pair;
}

std::string read_all(TlsEngine& engine, std::size_t buffer_size = 4096) {
  std::string all;
  std::vector<char> buffer(buffer_size);
  for (;;) {
    const auto count = engine.read(buffer);
    if (!count || *count == 0) return all;
    all.append(buffer.data(), *count);
  }
}

TEST(TlsEngine, HandshakesAndTalksInAnySplit) {
  const auto server = server_context();
  const auto client = *TlsContext::make_client(trusting());
  for (const std::size_t chunk : {std::size_t{1}, std::size_t{7}, std::size_t{1 << 20}}) {
    Pair pair = connect(*client, *server, "example.org", chunk);
    ASSERT_TRUE(pair.is_open());
    ASSERT_TRUE(pair.client.write("<stream:stream>"));
    ASSERT_TRUE(pair.server.write("<features/>"));
    pair.pump(chunk);
    EXPECT_EQ(read_all(pair.server, 4), "<stream:stream>");
    EXPECT_EQ(read_all(pair.client), "<features/>");
    EXPECT_EQ(pair.client.protocol(), "TLSv1.3");
    EXPECT_EQ(pair.server.protocol(), "TLSv1.3");
    EXPECT_EQ(pair.client.cipher(), pair.server.cipher());
    EXPECT_EQ(pair.server.sni(), "example.org");
    EXPECT_EQ(pair.server.alpn(), "");
    EXPECT_FALSE(pair.server.peer_certificate());
    ASSERT_TRUE(pair.client.peer_certificate());
    EXPECT_TRUE(pair.client.peer_certificate()->verified);
  }
}

TEST(TlsEngine, ChoosesTheCertificateByName) {
  const auto server = server_context();
  const auto client = *TlsContext::make_client(trusting());
  for (const char* host : {"example.org", "example.com", "EXAMPLE.com"}) {
    Pair pair = connect(*client, *server, host);
    ASSERT_TRUE(pair.is_open()) << host;
  }
  // No name at all: the default, or what the stream's `to` chose.
  TlsClientOptions insecure;
  insecure.insecure = true;
  const auto any = *TlsContext::make_client(insecure);
  for (const char* to : {"", "example.com", "unknown.example"}) {
    Pair pair{
        TlsEngine::make_client(*any, "127.0.0.1"), TlsEngine::make_server(*server, to), {}, {}};
    pair.pump();
    ASSERT_TRUE(pair.is_open());
    EXPECT_EQ(pair.server.sni(), "");
    const std::vector<std::string> expected = {std::string(to) == "example.com" ? "example.com"
                                                                                : "example.org"};
    EXPECT_EQ(pair.client.peer_certificate()->dns_names, expected);
  }
}

TEST(TlsEngine, NeverVerifiesWithoutAName) {
  const auto server = server_context();
  const auto client = *TlsContext::make_client(trusting());
  // OpenSSL takes an empty name for "any" and one that begins with a dot for "any below".
  for (const std::string_view host :
       {std::string_view(""), std::string_view(".org"), std::string_view("a\0b", 3)}) {
    TlsEngine engine = TlsEngine::make_client(*client, host);
    EXPECT_EQ(engine.state(), TlsEngine::State::failed);
    EXPECT_FALSE(engine.has_output());
    const auto fed = engine.feed("");
    ASSERT_FALSE(fed);
    EXPECT_EQ(fed.error().code, TlsErrorCode::certificate);
  }
}

TEST(TlsEngine, ShowsNoAddressAsServerName) {
  const auto server = server_context();
  TlsClientOptions insecure;
  insecure.insecure = true;
  const auto client = *TlsContext::make_client(insecure);
  for (const char* host : {"127.0.0.1", "::1", "[::1]", ""}) {
    Pair pair = connect(*client, *server, host);
    ASSERT_TRUE(pair.is_open()) << host;
    EXPECT_EQ(pair.server.sni(), "") << host;
  }
}

TEST(TlsEngine, IgnoresWhatFollowsCloseNotify) {
  const auto server = server_context();
  const auto client = *TlsContext::make_client(trusting());
  Pair pair = connect(*client, *server);
  ASSERT_TRUE(pair.client.write("last words"));
  pair.client.close();
  OutputChain chain;
  pair.client.take_output(chain);
  ASSERT_TRUE(pair.server.feed(chain.str() + "no TLS record"));
  EXPECT_EQ(read_all(pair.server), "last words");
  EXPECT_EQ(pair.server.state(), TlsEngine::State::closed_by_peer);
  EXPECT_TRUE(pair.server.feed("more of it"));
  EXPECT_EQ(read_all(pair.server), "");
  EXPECT_TRUE(pair.server.end_of_input());
}

TEST(TlsEngine, RefusesBadCertificatesUnlessInsecure) {
  SelfSignedOptions past;
  past.not_before_s = -7200;
  past.not_after_s = -3600;
  const SelfSigned expired = *make_self_signed({"example.org"}, past);
  struct Case {
    const char* what;
    TlsCertificate certificate;
    std::string ca_pem;
    const char* host;
  };
  const TlsCertificate& good = self_signed("example.org").certificate;
  const Case cases[] = {
      {"hostname mismatch", good, good.certificate_pem, "example.com"},
      {"IP address mismatch", good, good.certificate_pem, "127.0.0.1"},
      {"certificate has expired", expired.certificate, expired.certificate.certificate_pem,
       "example.org"},
      {"self-signed certificate", good, "", "example.org"},
  };
  for (const Case& c : cases) {
    const auto server = *TlsContext::make_server(std::span(&c.certificate, 1));
    TlsClientOptions options;
    options.ca_pem = c.ca_pem;
    Pair refused = connect(**TlsContext::make_client(options), *server, c.host);
    EXPECT_FALSE(refused.client.is_open());
    ASSERT_TRUE(refused.client_error) << c.what;
    EXPECT_EQ(refused.client_error->code, TlsErrorCode::certificate);
    EXPECT_EQ(refused.client_error->text, c.what);
    ASSERT_TRUE(refused.server_error);  // by the client's alert
    options.insecure = true;
    EXPECT_TRUE(connect(**TlsContext::make_client(options), *server, c.host).is_open());
  }
}

TEST(TlsEngine, RefusesTls11) {
  // A ClientHello that goes up to TLS 1.1: ECDHE_RSA and RSA with AES-CBC, no extensions.
  std::string hello = "\x03\x02" + std::string(32, 'r') + std::string(1, '\0');
  hello += std::string("\x00\x06\xc0\x13\xc0\x0a\x00\x2f", 8) + std::string("\x01\x00", 2);
  std::string message = std::string("\x01\x00\x00", 3) + static_cast<char>(hello.size()) + hello;
  const std::string record =
      std::string("\x16\x03\x01\x00", 4) + static_cast<char>(message.size()) + message;
  TlsEngine server = TlsEngine::make_server(*server_context());
  const auto fed = server.feed(record);
  ASSERT_FALSE(fed);
  EXPECT_EQ(fed.error().code, TlsErrorCode::handshake);
  OutputChain alert;
  server.take_output(alert);
  // fatal(2), protocol_version(70)
  EXPECT_EQ(hex_encode(alert.str()).substr(10), "0246");
}

TEST(TlsEngine, BindingsAreEqualOnBothSides) {
  for (const TlsVersion version : {TlsVersion::tls1_2, TlsVersion::tls1_3}) {
    TlsServerOptions options;
    options.version_max = version;
    const auto server = server_context(options);
    const auto client = *TlsContext::make_client(trusting());
    std::string exporters[2];
    std::string end_points[2];
    const char* hosts[] = {"example.org", "example.com"};
    for (int i = 0; i < 2; ++i) {
      Pair pair = connect(*client, *server, hosts[i]);
      ASSERT_TRUE(pair.is_open());
      EXPECT_EQ(pair.client.protocol(), version == TlsVersion::tls1_2 ? "TLSv1.2" : "TLSv1.3");
      const auto ours = pair.client.channel_bindings();
      const auto theirs = pair.server.channel_bindings();
      EXPECT_EQ(ours.tls_exporter.size(), 32U);
      EXPECT_EQ(ours.tls_exporter, theirs.tls_exporter);
      EXPECT_EQ(ours.tls_server_end_point, theirs.tls_server_end_point);
      EXPECT_EQ(hex_encode(ours.tls_server_end_point), pair.client.peer_certificate()->fingerprint);
      exporters[i] = ours.tls_exporter;
      end_points[i] = ours.tls_server_end_point;
    }
    EXPECT_NE(exporters[0], exporters[1]);
    EXPECT_NE(end_points[0], end_points[1]);
  }
}

TEST(TlsEngine, BigTransfersWithSmallPieces) {
  const auto server = server_context();
  Pair pair = connect(**TlsContext::make_client(trusting()), *server);
  std::string expected;
  OutputChain chain;
  for (int i = 0; i < 20000; ++i) {
    const std::string piece = "<message id='" + std::to_string(i) + "'/>";
    expected += piece;
    if (i % 1000 == 0) {
      const std::string big(40000, static_cast<char>('a' + i / 1000));
      expected += big;
      chain.append(piece);
      chain.append(Slice(Block::make(big)));
    } else {
      chain.append(piece);
    }
  }
  ASSERT_TRUE(pair.server.write(std::move(chain)));
  OutputChain wire;
  pair.server.take_output(wire);
  // Whole records but for one: 22 bytes of overhead each.
  EXPECT_LT(wire.size(), expected.size() + (expected.size() / 16384 + 40) * 22);
  ASSERT_TRUE(pair.client.feed(wire.str()));
  EXPECT_EQ(read_all(pair.client, 10000), expected);
}

TEST(TlsEngine, SmallPiecesShareARecord) {
  Pair pair = connect(**TlsContext::make_client(trusting()), *server_context());
  OutputChain chain;
  for (int i = 0; i < 10; ++i) {
    chain.append(std::string(100, 'x'));
    chain.append(Slice(Block::make(std::string(OutputChain::kReferenceFrom, 'y'))));
  }
  const std::size_t size = chain.size();
  ASSERT_TRUE(pair.client.write(std::move(chain)));
  OutputChain wire;
  pair.client.take_output(wire);
  EXPECT_EQ(wire.size(), size + 2 * 22);
}

TEST(TlsEngine, GarbageIsAnErrorAndStaysOne) {
  const auto context = server_context();
  const std::string inputs[] = {"GET / HTTP/1.1\r\n\r\n", "<?xml version='1.0'?><stream:stream>",
                                "\x16\x03\x01\xff\xff\xff\xff",
                                std::string("\x17\x03\x03\x00\x01x", 6)};
  for (const std::string& garbage : inputs) {
    TlsEngine server = TlsEngine::make_server(*context);
    const auto fed = server.feed(garbage);
    ASSERT_FALSE(fed) << garbage;
    EXPECT_EQ(fed.error().code, TlsErrorCode::handshake);
    EXPECT_EQ(server.state(), TlsEngine::State::failed);
    EXPECT_FALSE(server.feed("more"));
    std::array<char, 16> buffer{};
    EXPECT_FALSE(server.read(buffer));
    EXPECT_FALSE(server.write("x"));
    EXPECT_FALSE(server.end_of_input());
    server.close();
  }
  Pair pair = connect(**TlsContext::make_client(trusting()), *context);
  ASSERT_TRUE(pair.client.write("good"));
  pair.pump();
  ASSERT_TRUE(pair.server.feed(std::string("\x17\x03\x03\x00\x14", 5) + std::string(20, 'x')));
  std::array<char, 16> buffer{};
  EXPECT_EQ(*pair.server.read(buffer), 4U);  // what was good comes first
  const auto read = pair.server.read(buffer);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, TlsErrorCode::protocol);
}

TEST(TlsEngine, EveryTruncatedHandshakeWaitsOrFails) {
  const auto context = server_context();
  const auto client = *TlsContext::make_client(trusting());
  TlsEngine first = TlsEngine::make_client(*client, "example.org");
  OutputChain hello;
  first.take_output(hello);
  const std::string bytes = hello.str();
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 0x41);
    TlsEngine server = TlsEngine::make_server(*context);
    (void)server.feed(changed);
    EXPECT_NE(server.state(), TlsEngine::State::open);
    const auto end = server.end_of_input();
    ASSERT_FALSE(end);
    EXPECT_EQ(end.error().code, TlsErrorCode::handshake);
  }
}

TEST(TlsEngine, ClosesBothWaysAndReportsTruncation) {
  const auto context = server_context();
  const auto client = *TlsContext::make_client(trusting());
  Pair pair = connect(*client, *context);
  ASSERT_TRUE(pair.client.write("bye"));
  pair.client.close();
  pair.client.close();  // once is enough
  pair.pump();
  EXPECT_EQ(read_all(pair.server), "bye");
  EXPECT_EQ(pair.server.state(), TlsEngine::State::closed_by_peer);
  EXPECT_TRUE(pair.server.end_of_input());
  const auto after = pair.client.write("more");
  ASSERT_FALSE(after);
  EXPECT_EQ(after.error().code, TlsErrorCode::closed);
  ASSERT_TRUE(pair.server.write("answer"));  // the other direction still works
  pair.server.close();
  pair.pump();
  EXPECT_EQ(read_all(pair.client), "answer");
  EXPECT_TRUE(pair.client.end_of_input());

  Pair cut = connect(*client, *context);
  const auto end = cut.server.end_of_input();
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, TlsErrorCode::truncated);
}

TEST(TlsEngine, SelectsAProtocolByAlpn) {
  const auto context = server_context();
  TlsClientOptions options = trusting();
  options.alpn = {"http/1.1", "xmpp-client"};
  Pair pair = connect(**TlsContext::make_client(options), *context);
  ASSERT_TRUE(pair.is_open());
  EXPECT_EQ(pair.client.alpn(), "xmpp-client");
  EXPECT_EQ(pair.server.alpn(), "xmpp-client");
  options.alpn = {"http/1.1"};
  Pair refused = connect(**TlsContext::make_client(options), *context);
  EXPECT_FALSE(refused.server.is_open());
  EXPECT_TRUE(refused.server_error);
  TlsServerOptions ignoring;
  ignoring.alpn.clear();
  EXPECT_TRUE(connect(**TlsContext::make_client(options), *server_context(ignoring)).is_open());
}

TEST(TlsEngine, ShowsThePeersCertificateForExternal) {
  const SelfSigned& own = self_signed("client.example");
  TlsClientOptions options = trusting();
  options.certificate = own.certificate;
  const auto client = *TlsContext::make_client(options);
  TlsServerOptions asking;
  asking.request_peer_certificate = true;
  for (const bool trusted : {false, true}) {
    if (trusted) asking.peer_ca_pem = own.certificate.certificate_pem;
    Pair pair = connect(*client, *server_context(asking));
    ASSERT_TRUE(pair.is_open());
    const auto peer = pair.server.peer_certificate();
    ASSERT_TRUE(peer);
    EXPECT_EQ(peer->verified, trusted) << peer->verify_error;
    EXPECT_EQ(peer->dns_names, std::vector<std::string>{"client.example"});
    EXPECT_EQ(peer->fingerprint.size(), 64U);
  }
  EXPECT_FALSE(connect(*client, *server_context()).server.peer_certificate());  // not asked for
}

TEST(TlsEngine, ReloadsWhileEnginesLive) {
  const auto context = server_context();
  const auto client = *TlsContext::make_client(trusting());
  Pair before = connect(*client, *context);
  Pair during{
      TlsEngine::make_client(*client, "example.org"), TlsEngine::make_server(*context), {}, {}};

  const SelfSigned fresh = *make_self_signed({"example.org"});
  ASSERT_TRUE(context->reload(std::span(&fresh.certificate, 1)));
  during.pump();
  EXPECT_TRUE(during.is_open());  // began with the old ones
  ASSERT_TRUE(before.client.write("still here"));
  before.pump();
  EXPECT_EQ(read_all(before.server), "still here");

  EXPECT_FALSE(connect(*client, *context).is_open());
  TlsClientOptions options;
  options.ca_pem = fresh.certificate.certificate_pem;
  Pair after = connect(**TlsContext::make_client(options), *context);
  ASSERT_TRUE(after.is_open());
  EXPECT_EQ(after.client.channel_bindings().tls_server_end_point,
            after.server.channel_bindings().tls_server_end_point);

  TlsCertificate broken = fresh.certificate;
  broken.key_pem = "nonsense";
  EXPECT_FALSE(context->reload(std::span(&broken, 1)));
  EXPECT_TRUE(connect(**TlsContext::make_client(options), *context).is_open());
}

TEST(TlsEngine, OutlivesItsContextAndMovesBetweenThreads) {
  auto context = server_context();
  auto client = *TlsContext::make_client(trusting());
  Pair pair = connect(*client, *context);
  context.reset();
  client.reset();
  std::string got;
  std::thread other([&pair, &got] {
    TlsEngine moved = std::move(pair.server);
    std::optional<TlsError> error;
    (void)pair.client.write("over there");
    Pair::pass(pair.client, moved, 3, error);
    got = read_all(moved);
    pair.server = std::move(moved);
  });
  other.join();
  EXPECT_EQ(got, "over there");
  ASSERT_TRUE(pair.server.write("and back"));
  pair.pump();
  EXPECT_EQ(read_all(pair.client), "and back");
}

TEST(TlsEngine, RefusesUnusableCertificates) {
  const TlsCertificate good = self_signed("example.org").certificate;
  TlsCertificate cases[5] = {good, good, good, good, good};
  cases[0].certificate_pem.clear();
  cases[1].key_pem.clear();
  cases[2].key_pem = self_signed("example.com").certificate.key_pem;
  cases[3].key_pem = "-----BEGIN ENCRYPTED PRIVATE KEY-----\n";
  cases[4].certificate_pem.replace(60, 10, "!!!!!!!!!!");
  for (const TlsCertificate& c : cases) {
    const auto made = TlsContext::make_server(std::span(&c, 1));
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, TlsErrorCode::configuration);
    EXPECT_NE(made.error().text.find("example.org"), std::string::npos) << made.error().text;
  }
  TlsClientOptions options;
  options.ca_pem = "nothing";
  EXPECT_FALSE(TlsContext::make_client(options));
}

TEST(TlsCertificates, MadeWrittenAndLoaded) {
  const auto made = make_self_signed({"example.org", "conference.example.org"});
  ASSERT_TRUE(made);
  EXPECT_EQ(made->fingerprint.size(), 95U);
  EXPECT_EQ(made->fingerprint, certificate_fingerprint(made->certificate.certificate_pem));
  EXPECT_EQ(certificate_fingerprint("none"), "");
  EXPECT_FALSE(
      make_self_signed({"b\xC3\xBC"
                        "cher.example"}));

  const std::string base = ::testing::TempDir() + "tls_engine_test";
  std::ofstream(base + ".crt") << made->certificate.certificate_pem;
  std::ofstream(base + ".key") << made->certificate.key_pem;
  const auto loaded = load_tls_certificate(base + ".crt", base + ".key", {"example.org"});
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->certificate_pem, made->certificate.certificate_pem);
  const auto missing = load_tls_certificate(base + ".none", base + ".key", {"example.org"});
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().text.find(base + ".none"), std::string::npos);
  EXPECT_FALSE(load_tls_certificate(base + ".crt", base + ".crt", {}));
  std::remove((base + ".crt").c_str());
  std::remove((base + ".key").c_str());

  Pair pair = connect(**TlsContext::make_client({.ca_pem = loaded->certificate_pem}),
                      **TlsContext::make_server(std::span(&*loaded, 1)), "conference.example.org");
  EXPECT_TRUE(pair.is_open());
}

// Made for this test, valid for a hundred years: the host stands in the common name only.
const char kCommonNameOnly[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBKDCBzwIUCnOjG/QVYnir3tTorbDF6KzcGT4wCgYIKoZIzj0EAwIwFjEUMBIG\n"
    "A1UEAwwLZXhhbXBsZS5vcmcwIBcNMjYxMTIyMTgxODA4WhgPMjEyNjEwMjkxODE4\n"
    "MDhaMBYxFDASBgNVBAMMC2V4YW1wbGUub3JnMFkwEwYHKoZIzj0CAQYIKoZIzj0D\n"
    "AQcDQgAE09sRpFrpD3exPhVV+X6vfIbOyvXyKOt9d55SagD6LzjkBSEKh1r5ZTyr\n"
    "PRMXde4OgkGacxEZkMppUwLN1XAtdDAKBggqhkjOPQQDAgNIADBFAiEA+YfT/3Ai\n"
    "rTpvkOtMW2eX8avmE+ekGWxHWwIC+Pone5sCICRyaN8ZlVlQ7TOENZSYb0yGBMCJ\n"
    "vACgjvtyON36AilQ\n"
    "-----END CERTIFICATE-----\n";
const char kCommonNameKey[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgeLykxqWFfL3yIJ9f\n"
    "/FlqZwXi5HvR/SSzlYX4qXgnev6hRANCAATT2xGkWukPd7E+FVX5fq98hs7K9fIo\n"
    "6313nlJqAPovOOQFIQqHWvllPKs9Exd17g6CQZpzERmQymlTAs3VcC10\n"
    "-----END PRIVATE KEY-----\n";

TEST(TlsEngine, ACommonNameNamesNobody) {
  TlsCertificate certificate;
  certificate.hosts = {"example.org"};
  certificate.certificate_pem = kCommonNameOnly;
  certificate.key_pem = kCommonNameKey;
  const auto server = *TlsContext::make_server({&certificate, 1}, {});
  TlsClientOptions trust;
  trust.ca_pem = kCommonNameOnly;
  const auto client = *TlsContext::make_client(trust);
  const Pair pair = connect(*client, *server);
  ASSERT_TRUE(pair.client_error);
  EXPECT_EQ(pair.client_error->code, TlsErrorCode::certificate);
}

}  // namespace
}  // namespace xmpp
