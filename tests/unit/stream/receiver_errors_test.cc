// What the receiver answers to bad input before, during and after login: the exact bytes, whether
// the input comes whole or byte by byte.
#include <gtest/gtest.h>

#include "unit/stream/drivers.h"

namespace xmpp::test {
namespace {

using sasl::MechanismId;

// "\0alice\0secret" and "\0alice\0wrong"
constexpr std::string_view kPlain =
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNlAHNlY3JldA==</auth>";
constexpr std::string_view kWrongPlain =
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGFsaWNlAHdyb25n</auth>";
constexpr std::string_view kSuccess = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
constexpr std::string_view kBind =
    "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
constexpr std::string_view kBindWithoutId =
    "<iq type='set'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
constexpr std::string_view kBound =
    "<iq type='result' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
    "<jid>alice@localhost/r1</jid></bind></iq>";
constexpr std::string_view kStartTls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
constexpr std::string_view kProceed = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
constexpr std::string_view kTlsFailure =
    "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>";

constexpr std::string_view kFeatures =
    "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>"
    "<mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism></mechanisms>"
    "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>16384</max-bytes></limits>"
    "</stream:features>";
constexpr std::string_view kBindFeatures =
    "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
    "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>262144</max-bytes></limits>"
    "</stream:features>";

std::string cat(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const std::string_view part : parts) all += part;
  return all;
}

// Inputs that end a stream from its first byte on.
struct SetupCase {
  const char* name;
  std::string input;
  std::string answer;
};

void expect_answer(const SetupCase& test) {
  for (const std::size_t chunk : {kWhole, std::size_t{1}}) {
    ReceiverDriver server(make_offer());
    EXPECT_EQ(mask_ids(server.feed(test.input, chunk)), test.answer)
        << test.name << " by " << chunk;
    EXPECT_EQ(server.stream.is_closed(), test.answer.ends_with("</stream:stream>")) << test.name;
    if (server.stream.is_closed()) {
      // Nothing more is delivered or written.
      EXPECT_EQ(server.feed("<message/>"), "") << test.name;
      const std::size_t logged = server.log.size();
      server.stream.fail({StreamCondition::reset, {}});
      server.stream.close();
      server.pump();
      EXPECT_EQ(server.log.size(), logged) << test.name;
      EXPECT_EQ(server.take_output(), "") << test.name;
    }
  }
}

TEST(ReceiverErrors, Headers) {
  const std::string opened = server_header() + std::string(kFeatures);
  const std::vector<SetupCase> cases = {
      {"fine", client_header(), opened},
      {"later version", client_header("to='localhost' version='1.7'"), opened},
      {"default namespace is the stream's",
       "<stream xmlns='http://etherx.jabber.org/streams' to='localhost' version='1.0'>", opened},
      {"from is answered with to", client_header("to='localhost' from='a@localhost' version='1.0'"),
       server_header("localhost", "a@localhost") + std::string(kFeatures)},
      {"not XML", "GET / HTTP/1.1\r\n\r\n", server_header({}) + stream_error("not-well-formed")},
      {"broken header", "<stream:stream to='localhost' to='b'>",
       server_header({}) + stream_error("not-well-formed")},
      {"undeclared prefix", "<stream:stream to='localhost' version='1.0'>",
       server_header({}) + stream_error("not-well-formed")},
      {"DTD", "<!DOCTYPE stream>", server_header({}) + stream_error("restricted-xml")},
      {"wrong encoding", "<?xml version='1.0' encoding='latin-1'?>",
       server_header({}) + stream_error("unsupported-encoding")},
      {"stream namespace", client_header("to='localhost' version='1.0'", "jabber:client", "urn:x"),
       server_header() + stream_error("invalid-namespace")},
      {"content namespace", client_header("to='localhost' version='1.0'", "jabber:server"),
       server_header() + stream_error("invalid-namespace")},
      {"prefix",
       "<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:client' to='localhost' "
       "version='1.0'>",
       server_header() + stream_error("bad-namespace-prefix")},
      {"name",
       "<stream:flow xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client' "
       "to='localhost' version='1.0'>",
       server_header() + stream_error("bad-format")},
      {"no version", client_header("to='localhost'"),
       server_header() + stream_error("unsupported-version")},
      {"old version", client_header("to='localhost' version='0.9'"),
       server_header() + stream_error("unsupported-version")},
      {"no number", client_header("to='localhost' version='one'"),
       server_header() + stream_error("unsupported-version")},
      {"no to", client_header("version='1.0'"),
       server_header({}) + stream_error("improper-addressing", "no to attribute")},
      {"to with a localpart", client_header("to='alice@localhost' version='1.0'"),
       server_header({}) + stream_error("improper-addressing", "malformed to attribute")},
      {"malformed to", client_header("to='@' version='1.0'"),
       server_header({}) + stream_error("improper-addressing", "malformed to attribute")},
      {"unknown host", client_header("to='example.org' version='1.0'"),
       server_header({}) + stream_error("host-unknown")},
      {"unknown host and namespace",
       client_header("to='example.org' version='1.0'", "jabber:client", "urn:x"),
       server_header({}) + stream_error("host-unknown")},
      {"namespace and no to", client_header("version='1.0'", "jabber:client", "urn:x"),
       server_header({}) + stream_error("invalid-namespace")},
      {"an error is told to who it said it was",
       client_header("to='localhost' from='a@localhost/r' version='1.0'", "jabber:server"),
       server_header("localhost", "a@localhost") + stream_error("invalid-namespace")},
      {"long header",
       client_header("to='localhost' version='1.0' x='" + std::string(20'000, 'a') + "'"),
       server_header({}) + stream_error("policy-violation")},
  };
  for (const SetupCase& test : cases) expect_answer(test);
}

TEST(ReceiverErrors, BeforeAuthentication) {
  const std::string opened = server_header() + std::string(kFeatures);
  std::string deep;
  for (int i = 0; i < 17; ++i) deep += "<a>";
  const std::vector<SetupCase> cases = {
      {"message", "<message to='a@b'/>", stream_error("not-authorized")},
      {"presence", "<presence/>", stream_error("not-authorized")},
      {"iq", "<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>",
       stream_error("not-authorized")},
      {"bind", std::string(kBind), stream_error("not-authorized")},
      {"bind without an id", std::string(kBindWithoutId), stream_error("not-authorized")},
      {"answer to a bind that nobody asked for",
       "<iq type='result' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
       stream_error("not-authorized")},
      {"iq with a namespace of SASL",
       "<iq type='set' id='1'><auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/></iq>",
       stream_error("not-authorized")},
      {"unknown element", "<hello xmlns='urn:x'/>", stream_error("unsupported-stanza-type")},
      {"unknown content", "<hello/>", stream_error("unsupported-stanza-type")},
      {"features from a client", "<stream:features/>", stream_error("unsupported-stanza-type")},
      {"stanza of servers", "<message xmlns='jabber:server'/>", stream_error("invalid-namespace")},
      {"ill-formed", "<message></presence>", stream_error("not-well-formed")},
      {"undeclared prefix", "<x:message/>", stream_error("not-well-formed")},
      {"text", "hello", stream_error("bad-format")},
      {"comment", "<message><!-- --></message>", stream_error("restricted-xml")},
      {"processing instruction", "<?php ?>", stream_error("restricted-xml")},
      {"entity", "<message>&nbsp;</message>", stream_error("restricted-xml")},
      {"UTF-8", "<message>\xff</message>", stream_error("unsupported-encoding")},
      {"size", "<message>" + std::string(17'000, 'x'), stream_error("policy-violation")},
      {"depth", deep, stream_error("policy-violation")},
      {"close", "</stream:stream>", "</stream:stream>"},
      {"STARTTLS that was not offered", std::string(kStartTls), std::string(kTlsFailure)},
      {"an error of the peer",
       "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
       "</stream:stream>"},
  };
  for (SetupCase test : cases) {
    test.input = client_header() + test.input;
    test.answer = opened + test.answer;
    expect_answer(test);
  }
}

TEST(ReceiverErrors, Sasl) {
  const std::string opened = server_header() + std::string(kFeatures);
  const auto auth = [](std::string_view mechanism, std::string_view text) {
    return cat({"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='", mechanism, "'>", text,
                "</auth>"});
  };
  constexpr std::string_view kChallenge = "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
  const std::vector<SetupCase> cases = {
      {"unknown mechanism", auth("X-MAGIC", "="), sasl_failure("invalid-mechanism")},
      {"mechanism that was not offered", auth("SCRAM-SHA-256", "="),
       sasl_failure("invalid-mechanism")},
      {"no mechanism", "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
       sasl_failure("invalid-mechanism")},
      {"bad base64", auth("PLAIN", "A=B"), sasl_failure("incorrect-encoding")},
      {"bad base64 with space", auth("PLAIN", " AGFsaWNlAHNlY3JldA=="),
       sasl_failure("incorrect-encoding")},
      {"empty response", auth("PLAIN", "="),
       sasl_failure("malformed-request", "not a PLAIN message")},
      {"no initial response", auth("PLAIN", ""), std::string(kChallenge)},
      {"then the response",
       auth("PLAIN", "") +
           "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>AGFsaWNlAHNlY3JldA==</response>",
       cat({kChallenge, kSuccess})},
      {"bad base64 in the response",
       auth("PLAIN", "") + "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>?</response>",
       cat({kChallenge, sasl_failure("incorrect-encoding")})},
      {"abort", auth("PLAIN", "") + "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
       cat({kChallenge, sasl_failure("aborted")})},
      {"auth in auth", auth("PLAIN", "") + std::string(kPlain), cat({kChallenge, kSuccess})},
      {"response to nothing", "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>=</response>",
       sasl_failure("malformed-request")},
      {"malformed SCRAM", auth("SCRAM-SHA-1", "aGVsbG8="), sasl_failure("malformed-request")},
      {"wrong password", std::string(kWrongPlain), sasl_failure("not-authorized")},
      {"a second try", cat({kWrongPlain, kPlain}), cat({sasl_failure("not-authorized"), kSuccess})},
      {"too many", cat({kWrongPlain, kWrongPlain, kWrongPlain, kPlain}),
       cat({sasl_failure("not-authorized"), sasl_failure("not-authorized"),
            sasl_failure("not-authorized"),
            stream_error("policy-violation", "too many failed authentications")})},
      {"unknown SASL element", "<hello xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
       stream_error("unsupported-stanza-type")},
  };
  for (SetupCase test : cases) {
    test.input = client_header() + test.input;
    test.answer = opened + test.answer;
    expect_answer(test);
  }
}

TEST(ReceiverErrors, HarmlessFailuresEndTooEventually) {
  ReceiverDriver server(make_offer());
  server.feed(client_header());
  std::string out;
  for (int i = 0; i < 50 && !server.stream.is_closed(); ++i) {
    out = server.feed("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
  }
  EXPECT_EQ(out, sasl_failure("aborted") +
                     stream_error("policy-violation", "too many failed authentications"));
}

// RFC 6120 6.4.2: a new request replaces the exchange under way, but not for ever.
TEST(ReceiverErrors, ExchangesThatAreStartedAnewEndEventually) {
  ReceiverDriver server(make_offer());
  server.feed(client_header());
  std::string out;
  for (int i = 0; i < 50 && !server.stream.is_closed(); ++i) {
    out = server.feed("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>");
  }
  EXPECT_EQ(out, stream_error("policy-violation", "too many failed authentications"));
}

// RFC 6120 6.4.6: under TLS the header's `from` is the client's word, and has to be true.
TEST(ReceiverErrors, WhoLogsInIsWhomTheHeaderNames) {
  const std::string own = client_header("to='localhost' from='alice@localhost/x' version='1.0'");
  const std::string other = client_header("to='localhost' from='bob@localhost' version='1.0'");
  const std::string domain = client_header("to='localhost' from='localhost' version='1.0'");
  const std::string refusal = stream_error("invalid-from");
  for (const std::string& header : {own, domain, client_header()}) {
    ReceiverDriver server(make_offer(), {}, /*direct_tls=*/true);
    EXPECT_TRUE(server.feed(header + std::string(kPlain)).ends_with(kSuccess)) << header;
    EXPECT_FALSE(server.feed(header).ends_with(refusal)) << header;
  }
  ReceiverDriver before(make_offer(), {}, true);
  EXPECT_TRUE(before.feed(other + std::string(kPlain)).ends_with(refusal));
  ReceiverDriver behind(make_offer(), {}, true);
  EXPECT_TRUE(behind.feed(own + std::string(kPlain) + other).ends_with(refusal));
  // In the clear anybody may have changed it.
  ReceiverDriver clear(make_offer());
  EXPECT_TRUE(clear.feed(other + std::string(kPlain)).ends_with(kSuccess));
}

// RFC 6120 7.7.3.
TEST(ReceiverErrors, BindMayBeTriedTenTimes) {
  ReceiverDriver server(make_offer());
  server.feed(client_header() + std::string(kPlain) + client_header());
  std::string out;
  int refusals = 0;
  for (; refusals < 50 && !server.stream.is_closed(); ++refusals) {
    out = server.feed(
        "<iq type='set' id='t'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
        "<resource>taken</resource></bind></iq>");
  }
  EXPECT_EQ(refusals, 10);
  EXPECT_TRUE(out.ends_with("</iq>" + stream_error("policy-violation", "too many refused binds")))
      << out;
}

TEST(ReceiverErrors, AfterAuthentication) {
  const std::string prefix = client_header() + std::string(kPlain) + client_header();
  const std::string opened =
      cat({server_header(), kFeatures, kSuccess, server_header(), kBindFeatures});
  const std::string not_allowed =
      "<iq id='c' type='error'><error type='cancel'>"
      "<not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>";
  const std::vector<SetupCase> cases = {
      {"bind", std::string(kBind), std::string(kBound)},
      {"pipelined stanzas", cat({kBind, "<presence/> <message to='b@localhost'/>"}),
       std::string(kBound)},
      {"bind without an id", std::string(kBindWithoutId),
       "<iq type='error'><error type='modify'>"
       "<bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"},
      {"a second bind without an id", cat({kBind, kBindWithoutId}),
       cat({kBound,
            "<iq type='error'><error type='cancel'>"
            "<not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"})},
      {"message before bind", "<message/>", stream_error("not-authorized")},
      {"iq before bind", "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
       stream_error("not-authorized")},
      {"SASL again", std::string(kPlain), stream_error("unsupported-stanza-type")},
      {"STARTTLS now", std::string(kStartTls), std::string(kTlsFailure)},
      {"unknown element", cat({kBind, "<hello xmlns='urn:x'/>"}),
       cat({kBound, stream_error("unsupported-stanza-type")})},
      {"SASL when bound", cat({kBind, kPlain}),
       cat({kBound, stream_error("unsupported-stanza-type")})},
      {"STARTTLS when bound", cat({kBind, kStartTls}), cat({kBound, kTlsFailure})},
      {"own bare from", cat({kBind, "<message from='alice@localhost'/>"}), std::string(kBound)},
      {"own full from", cat({kBind, "<message from='alice@localhost/r1'/>"}), std::string(kBound)},
      {"forged from", cat({kBind, "<message from='bob@localhost'/><presence/>"}),
       cat({kBound, stream_error("invalid-from")})},
      {"forged resource", cat({kBind, "<message from='alice@localhost/r2'/>"}),
       cat({kBound, stream_error("invalid-from")})},
      {"forged domain", cat({kBind, "<message from='localhost'/>"}),
       cat({kBound, stream_error("invalid-from")})},
      // RFC 6120 4.8.5.
      {"stanza with a prefix", cat({kBind, "<c:message xmlns:c='jabber:client'/>"}),
       cat({kBound, stream_error("bad-namespace-prefix")})},
      {"stanza before bind with a prefix", "<c:message xmlns:c='jabber:client'/>",
       stream_error("bad-namespace-prefix")},
      {"keepalives", cat({kBind, " \n\t "}), std::string(kBound)},
      {"close", cat({kBind, "</stream:stream>"}), cat({kBound, "</stream:stream>"})},
  };
  for (SetupCase test : cases) {
    test.input = prefix + test.input;
    test.answer = opened + test.answer;
    expect_answer(test);
  }
  ReceiverDriver server(make_offer());
  server.feed(prefix + std::string(kBind));
  const std::string answer =
      server.feed("<iq type='set' id='c'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
  EXPECT_NE(answer.find("<not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"),
            std::string::npos)
      << answer;
  EXPECT_NE(answer.find("id='c'"), std::string::npos);
  EXPECT_TRUE(server.stream.stanzas_allowed());
}

TEST(ReceiverErrors, StanzaLimitsGrowWithAuthentication) {
  ReceiverDriver server(make_offer());
  server.feed(client_header() + std::string(kPlain) + client_header() + std::string(kBind));
  EXPECT_EQ(
      server.feed("<message id='big'><body>" + std::string(100'000, 'x') + "</body></message>"),
      "");
  EXPECT_EQ(server.last_log(), "stanza big");
  EXPECT_EQ(server.feed("<message><body>" + std::string(270'000, 'x')),
            stream_error("policy-violation"));
}

TEST(ReceiverErrors, TlsIsRequired) {
  StreamOffer offer = make_offer();
  offer.tls_available = offer.tls_required = true;
  offer.preauth_iq = {ns::register_};
  ReceiverDriver server(offer);
  EXPECT_EQ(mask_ids(server.feed(client_header())),
            server_header() +
                "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/>"
                "</starttls></stream:features>");
  EXPECT_EQ(server.feed(kPlain), sasl_failure("encryption-required"));
  EXPECT_EQ(server.feed("<iq type='get' id='1'><query xmlns='jabber:iq:register'/></iq>"),
            stream_error("not-authorized"));
}

TEST(ReceiverErrors, OnlyServersSayProceed) {
  StreamOffer offer = make_offer();
  offer.tls_available = true;
  ReceiverDriver server(offer);
  server.feed(client_header());
  EXPECT_EQ(server.feed("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
            stream_error("unsupported-stanza-type"));
}

// RFC 6120 4.9.3.19
TEST(ReceiverErrors, SeeOtherHostNamesItInTheCondition) {
  ReceiverDriver server(make_offer());
  server.feed(client_header());
  server.stream.fail({StreamCondition::see_other_host, "[::1]:5222 & more"});
  EXPECT_EQ(server.take_output(),
            "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>"
            "[::1]:5222 &amp; more</see-other-host></stream:error></stream:stream>");
}

TEST(ReceiverErrors, NothingIsOfferedWithoutTls) {
  StreamOffer offer = make_offer({});
  offer.tls_available = true;
  ReceiverDriver server(offer);
  EXPECT_EQ(mask_ids(server.feed(client_header())),
            server_header() +
                "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'></starttls>"
                "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>16384</max-bytes></limits>"
                "</stream:features>");
  EXPECT_EQ(server.feed(kPlain), sasl_failure("encryption-required"));
}

TEST(StartTls, WorksByteByByte) {
  for (const std::size_t chunk : {kWhole, std::size_t{1}}) {
    StreamOffer offer = make_offer();
    offer.tls_available = offer.tls_required = true;
    ReceiverDriver server(offer);
    server.feed(client_header("to='localhost' from='alice@localhost' version='1.0'"));
    // The answer to StartTls begins a new stream: id, bindings, mechanisms are those of after TLS.
    EXPECT_EQ(server.feed(kStartTls, chunk), kProceed);
    EXPECT_TRUE(server.stream.is_secure());
    const std::string id = server.stream.id();
    const std::string answer = server.feed(client_header(), chunk);
    EXPECT_NE(server.stream.id(), id);
    EXPECT_EQ(mask_ids(answer), server_header() + std::string(kFeatures));
    EXPECT_EQ(server.feed(kStartTls), kTlsFailure);
  }
}

// XEP-0440 3: elsewhere clients would have to take it for an attack.
TEST(ChannelBindingTypes, AreNamedBesideAPlusMechanism) {
  constexpr std::string_view kTypes =
      "<stream:features><sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>"
      "<channel-binding type='tls-exporter'/><channel-binding type='tls-server-end-point'/>"
      "</sasl-channel-binding><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>";
  for (const auto id : {sasl::MechanismId::scram_sha_1_plus, sasl::MechanismId::scram_sha_1}) {
    ReceiverDriver server(make_offer({id}), {}, true);
    const std::string answer = server.feed(client_header());
    EXPECT_EQ(answer.find(kTypes) != std::string::npos, sasl::is_plus(id)) << answer;
  }
}

TEST(StartTls, PipelinedBytesAreNeverProcessed) {
  for (const std::string_view injected : {"<auth ", " ", "\n", "\x16\x03\x01"}) {
    StreamOffer offer = make_offer();
    offer.tls_available = true;
    ReceiverDriver server(offer);
    server.feed(client_header());
    EXPECT_EQ(server.feed(cat({kStartTls, injected})), kTlsFailure);
    EXPECT_EQ(server.last_log(), "failed policy-violation");
    EXPECT_FALSE(server.has_logged("tls"));
    EXPECT_FALSE(server.stream.is_secure());
  }
}

TEST(StartTls, BytesInTheClearWhileTlsIsAwaitedEndTheStream) {
  StreamOffer offer = make_offer();
  offer.tls_available = true;
  ReceiverDriver server(offer);
  server.feed(client_header());
  server.answers = false;
  EXPECT_EQ(server.feed(kStartTls), kProceed);
  server.feed("<auth ");
  EXPECT_EQ(server.last_log(), "failed policy-violation");
  server.stream.tls_started(tls_facts());  // too late, ignored
  EXPECT_FALSE(server.stream.is_secure());
}

TEST(StartTls, TheDomainMustNotChange) {
  StreamOffer offer = make_offer();
  offer.tls_available = true;
  ReceiverDriver server(offer);
  server.feed(client_header() + std::string(kStartTls));
  EXPECT_EQ(
      mask_ids(server.feed(client_header("to='example.org' version='1.0'"))),
      server_header() + stream_error("improper-addressing", "the to attribute must not change"));
}

TEST(Timeout, SlowLoginEndsWithAHeader) {
  StreamPolicy policy;
  policy.unauthenticated_timeout = std::chrono::seconds(10);
  ReceiverDriver server(make_offer(), policy);
  EXPECT_EQ(server.stream.deadline(), kStart + std::chrono::seconds(10));
  server.stream.tick(kStart + std::chrono::seconds(9));
  EXPECT_EQ(server.take_output(), "");
  server.stream.tick(kStart + std::chrono::seconds(10));
  EXPECT_EQ(mask_ids(server.take_output()), server_header({}) + stream_error("connection-timeout"));
  server.pump();
  EXPECT_EQ(server.last_log(), "failed connection-timeout");
  EXPECT_EQ(server.stream.deadline(), kNever);
}

TEST(Timeout, EndsAPendingQuestion) {
  ReceiverDriver server(make_offer());
  server.feed(client_header());
  server.answers = false;
  server.feed(kPlain);
  EXPECT_EQ(server.last_log(), "password alice");
  server.stream.tick(kStart + std::chrono::hours(1));
  server.pump();
  EXPECT_EQ(server.take_output(), stream_error("connection-timeout"));
  server.stream.password_verified(true);
  server.pump();
  EXPECT_EQ(server.last_log(), "failed connection-timeout");
  EXPECT_EQ(server.take_output(), "");
}

}  // namespace
}  // namespace xmpp::test
