// The initiator against a scripted server: what it sends, when it gives up, what it tries next.
#include <gtest/gtest.h>

#include "unit/stream/drivers.h"
#include "xmpp/base/encoding.h"

namespace xmpp::test {
namespace {

std::string header(std::string_view id = "s1") {
  return "<?xml version='1.0'?><stream:stream from='localhost' id='" + std::string(id) +
         "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
}
std::string features(std::string_view content) {
  return "<stream:features>" + std::string(content) + "</stream:features>";
}
std::string mechanisms(std::initializer_list<std::string_view> names) {
  std::string out = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>";
  for (const std::string_view name : names)
    out.append("<mechanism>").append(name) += "</mechanism>";
  return out + "</mechanisms>";
}
constexpr std::string_view kSuccess = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
constexpr std::string_view kBindFeature = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>";
constexpr std::string_view kBindRequest =
    "<iq type='set' id='bind-1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
    "<resource>desk</resource></bind></iq>";
constexpr std::string_view kBound =
    "<iq type='result' id='bind-1'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
    "<jid>alice@localhost/given</jid></bind></iq>";
constexpr std::string_view kStartTls = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
constexpr std::string_view kProceed = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
constexpr std::string_view kTlsFeature =
    "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>";

std::string auth(std::string_view mechanism, std::string_view data) {
  std::string out = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='";
  return out.append(mechanism).append("'>").append(data).append("</auth>");
}
std::string plain_auth() {
  return auth("PLAIN", base64_encode(std::string_view("\0alice\0secret", 13)));
}

StreamPolicy policy_with(StreamPolicy::Tls tls) {
  StreamPolicy policy = make_policy();
  policy.tls = tls;
  policy.plain_without_tls = true;
  return policy;
}

TEST(Initiator, HeaderNamesNobodyBeforeTls) {
  InitiatorDriver client(make_policy());
  constexpr std::string_view kRest =
      " to='localhost' version='1.0' xml:lang='en' xmlns='jabber:client' "
      "xmlns:stream='http://etherx.jabber.org/streams'>";
  EXPECT_EQ(client.take_output(), "<?xml version='1.0'?><stream:stream" + std::string(kRest));
  EXPECT_EQ(client.feed(header() + features(kTlsFeature)), kStartTls);
  EXPECT_EQ(client.feed(kProceed),
            "<?xml version='1.0'?><stream:stream from='alice@localhost'" + std::string(kRest));
  EXPECT_TRUE(client.stream.is_secure());
}

TEST(Initiator, LogsInByteByByte) {
  for (const std::size_t chunk : {kWhole, std::size_t{1}}) {
    InitiatorDriver client(make_policy(), true);
    client.take_output();
    EXPECT_EQ(client.feed(header() + features(mechanisms({"X-NEW", "PLAIN"})), chunk),
              plain_auth());
    client.feed(kSuccess, chunk);
    EXPECT_EQ(client.last_log(), "authenticated PLAIN");
    EXPECT_EQ(client.feed(header("s2") + features(kBindFeature), chunk), kBindRequest);
    EXPECT_FALSE(client.stream.stanzas_allowed());
    EXPECT_EQ(client.feed(kBound, chunk), "");
    EXPECT_EQ(client.last_log(), "bound alice@localhost/given");
    EXPECT_EQ(client.stream.id(), "s2");
    EXPECT_TRUE(client.stream.features().root().find_child({ns::bind, "bind"}));
    client.feed("<message id='m' from='bob@example.org'/>", chunk);
    EXPECT_EQ(client.last_log(), "stanza m");
  }
}

TEST(Initiator, RequestsASessionOnlyIfItMust) {
  for (const bool optional : {true, false}) {
    InitiatorDriver client(make_policy(), true);
    client.feed(header() + features(mechanisms({"PLAIN"})));
    client.feed(kSuccess);
    std::string session = "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'>";
    session += optional ? "<optional/></session>" : "</session>";
    EXPECT_EQ(client.feed(header() + features(std::string(kBindFeature) + session)), kBindRequest);
    const std::string next = client.feed(kBound);
    if (!optional) {
      EXPECT_EQ(next,
                "<iq type='set' id='session-1'>"
                "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>");
      client.feed("<iq type='result' id='session-1'/>");
    }
    EXPECT_EQ(client.last_log(), "bound alice@localhost/given");
  }
}

TEST(Initiator, TlsPolicy) {
  using Tls = StreamPolicy::Tls;
  struct Case {
    Tls policy;
    std::string_view offered;
    std::string sent;  // begins with
    bool fails;
  };
  constexpr std::string_view kOptional = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
  const std::vector<Case> cases = {
      {Tls::required, kTlsFeature, std::string(kStartTls), false},
      {Tls::required, kOptional, std::string(kStartTls), false},
      {Tls::required, "", std::string(kStartTls), false},  // RFC 7590 3.1
      {Tls::optional, kOptional, std::string(kStartTls), false},
      {Tls::optional, "", plain_auth(), false},
      {Tls::none, kOptional, plain_auth(), false},
      {Tls::none, "", plain_auth(), false},
      {Tls::none, kTlsFeature, "<stream:error><unsupported-feature", true},
  };
  for (const Case& test : cases) {
    InitiatorDriver client(policy_with(test.policy));
    client.take_output();
    const std::string sent =
        client.feed(header() + features(std::string(test.offered) + mechanisms({"PLAIN"})));
    EXPECT_EQ(sent.substr(0, test.sent.size()), test.sent);
    EXPECT_EQ(client.stream.is_closed(), test.fails);
  }
}

TEST(Initiator, NothingBehindProceedIsProcessed) {
  InitiatorDriver client(make_policy());
  client.feed(header() + features(kTlsFeature));
  EXPECT_EQ(client.feed(std::string(kProceed) + header()), "</stream:stream>");
  EXPECT_EQ(client.last_log(), "failed policy-violation");
  EXPECT_FALSE(client.has_logged("tls"));
}

TEST(Initiator, RefusedTlsEndsTheStream) {
  InitiatorDriver client(make_policy());
  client.feed(header() + features(kTlsFeature));
  EXPECT_EQ(client.feed("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"), "</stream:stream>");
  EXPECT_TRUE(client.stream.is_closed());
  EXPECT_EQ(client.failure->error.condition, StreamCondition::undefined_condition);
  InitiatorDriver unoffered(make_policy());
  unoffered.feed(header() + features(mechanisms({"PLAIN"})));
  EXPECT_EQ(unoffered.feed("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
            "</stream:stream>");
  EXPECT_EQ(unoffered.failure->error.condition, StreamCondition::policy_violation);
}

TEST(Initiator, FallsBackOnlyWhereThatIsSafe) {
  const std::string offered = header() + features(mechanisms({"SCRAM-SHA-1", "PLAIN"}));
  for (const std::string_view harmless : {"invalid-mechanism", "temporary-auth-failure"}) {
    InitiatorDriver client(make_policy(), true);
    client.take_output();
    EXPECT_EQ(client.feed(offered).find(auth("SCRAM-SHA-1", "").substr(0, 60)), 0U);
    EXPECT_EQ(client.feed(sasl_failure(harmless)), plain_auth());
    client.feed(sasl_failure(harmless));
    ASSERT_TRUE(client.failure);
    EXPECT_EQ(client.failure->sasl_failure, sasl::parse_sasl_condition(harmless));
  }
  for (const std::string_view fatal : {"not-authorized", "account-disabled", "something-new"}) {
    InitiatorDriver client(make_policy(), true);
    client.feed(offered);
    EXPECT_EQ(client.feed(sasl_failure(fatal)), "</stream:stream>");
    ASSERT_TRUE(client.failure);
    EXPECT_EQ(client.failure->sasl_failure,
              sasl::parse_sasl_condition(fatal).value_or(sasl::SaslCondition::not_authorized));
  }
}

TEST(Initiator, AServerMayTakeItsMechanismsBack) {
  InitiatorDriver client(make_policy(), true);
  client.feed(header() + features(mechanisms({"SCRAM-SHA-1", "PLAIN"})));
  client.feed(features(""));
  EXPECT_EQ(client.feed(sasl_failure("temporary-auth-failure")), "</stream:stream>");
  ASSERT_TRUE(client.failure);
  EXPECT_EQ(client.failure->sasl_failure, sasl::SaslCondition::temporary_auth_failure);
}

// Whoever sits in between could write these before TLS; nobody has proved to be anybody yet.
TEST(Initiator, TakesNoRequestsBeforeASession) {
  constexpr std::string_view kPush =
      "<iq type='set' id='p'><query xmlns='jabber:iq:roster'><item jid='eve@x'/></query></iq>";
  for (const bool pauses : {false, true}) {
    for (const bool secure : {false, true}) {
      StreamPolicy policy = make_policy();
      policy.pause_before_authentication = pauses;
      InitiatorDriver client(policy, secure);
      client.feed(header());
      EXPECT_EQ(client.feed(kPush), stream_error("not-authorized"));
      EXPECT_FALSE(client.has_logged("stanza p"));
    }
  }
  // Answers: only to who may have asked.
  InitiatorDriver client(make_policy(), true);
  client.feed(header() + features(mechanisms({"PLAIN"})));
  EXPECT_EQ(client.feed("<iq type='result' id='p'/>"), stream_error("not-authorized"));
}

TEST(Initiator, OneMechanismOnly) {
  StreamPolicy policy = make_policy();
  policy.mechanism = "SCRAM-SHA-512";
  InitiatorDriver client(policy, true);
  client.feed(header() + features(mechanisms({"SCRAM-SHA-1", "PLAIN"})));
  ASSERT_TRUE(client.failure);
  EXPECT_EQ(client.failure->sasl_failure, sasl::SaslCondition::invalid_mechanism);
}

TEST(Initiator, ServerThatDoesNotKnowThePasswordIsNotTrusted) {
  InitiatorDriver client(make_policy(), true);
  client.feed(header() + features(mechanisms({"SCRAM-SHA-1"})));
  EXPECT_EQ(client.feed(kSuccess), "</stream:stream>");
  ASSERT_TRUE(client.failure);
  EXPECT_EQ(client.failure->sasl_failure, sasl::SaslCondition::aborted);
  EXPECT_FALSE(client.stream.is_authenticated());
}

TEST(Initiator, BadChallengeIsAborted) {
  for (const std::string_view text : {"???", "aGVsbG8="}) {
    InitiatorDriver client(make_policy(), true);
    client.feed(header() + features(mechanisms({"SCRAM-SHA-1"})));
    EXPECT_EQ(client.feed("<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>" +
                          std::string(text) + "</challenge>"),
              "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/></stream:stream>");
    EXPECT_TRUE(client.failure);
  }
}

struct BrokenServer {
  const char* name;
  std::string input;
  std::string answer;
};

TEST(Initiator, BrokenServers) {
  const std::vector<BrokenServer> cases = {
      {"old",
       "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
       stream_error("unsupported-version")},
      {"namespace", "<stream:stream xmlns:stream='urn:x' version='1.0'>",
       stream_error("invalid-namespace")},
      {"HTTP", "HTTP/1.1 400 Bad Request", stream_error("not-well-formed")},
      {"nothing offered", header() + features(""), "</stream:stream>"},
      {"message at once", header() + "<message/>", stream_error("not-authorized")},
      {"success at once", header() + std::string(kSuccess),
       stream_error("unsupported-stanza-type")},
      {"proceed at once", header() + std::string(kProceed),
       stream_error("unsupported-stanza-type")},
      {"see other host",
       header() + "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>"
                  "b.example:5222</see-other-host></stream:error>",
       "</stream:stream>"},
  };
  for (const BrokenServer& test : cases) {
    for (const std::size_t chunk : {kWhole, std::size_t{1}}) {
      InitiatorDriver client(make_policy(), true);
      client.take_output();
      EXPECT_EQ(client.feed(test.input, chunk), test.answer) << test.name;
      EXPECT_TRUE(client.stream.is_closed()) << test.name;
    }
  }
}

TEST(Initiator, ReportsTheErrorsOfItsPeer) {
  InitiatorDriver client(make_policy(), true);
  client.feed(header() +
              "<stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>"
              "b.example:5222</see-other-host></stream:error></stream:stream>");
  ASSERT_TRUE(client.failure);
  EXPECT_TRUE(client.failure->by_peer);
  EXPECT_EQ(client.failure->error.condition, StreamCondition::see_other_host);
  EXPECT_EQ(client.failure->error.text, "b.example:5222");

  InitiatorDriver other(make_policy(), true);
  other.feed(header() +
             "<stream:error><host-gone xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
             "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>moved</text></stream:error>");
  ASSERT_TRUE(other.failure);
  EXPECT_EQ(other.failure->error.condition, StreamCondition::host_gone);
  EXPECT_EQ(other.failure->error.text, "moved");
}

// Nobody has asked for a login yet: no success may be believed.
TEST(Initiator, SuccessDuringThePauseIsNone) {
  StreamPolicy policy = make_policy();
  policy.pause_before_authentication = true;
  for (const std::string_view name : {"success", "challenge", "failure"}) {
    InitiatorDriver client(policy, true);
    client.take_output();
    EXPECT_EQ(client.feed(header() + features(mechanisms({"PLAIN"}))), "");
    EXPECT_EQ(client.feed("<" + std::string(name) + " xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
              stream_error("unsupported-stanza-type"));
    EXPECT_FALSE(client.stream.is_authenticated());
  }
}

TEST(Initiator, OnlyAnswersToItsLoginCount) {
  InitiatorDriver client(make_policy(), true);
  client.take_output();
  client.feed(header() + features(mechanisms({"PLAIN"})));
  EXPECT_EQ(client.feed("<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
            stream_error("unsupported-stanza-type"));
  EXPECT_FALSE(client.stream.is_authenticated());
}

TEST(Initiator, APasswordThatCannotBeUsedIsNotSent) {
  StreamPolicy policy = make_policy();
  policy.password = Secret("bell\a");
  InitiatorDriver client(policy, true);
  client.take_output();
  EXPECT_EQ(client.feed(header() + features(mechanisms({"SCRAM-SHA-1"}))), "</stream:stream>");
  ASSERT_TRUE(client.failure);
  EXPECT_EQ(client.failure->sasl_failure, sasl::SaslCondition::malformed_request);
}

TEST(Initiator, BindWithoutAnAddressFails) {
  InitiatorDriver client(make_policy(), true);
  client.feed(header() + features(mechanisms({"PLAIN"})));
  client.feed(kSuccess);
  client.feed(header() + features(kBindFeature));
  client.feed("<iq type='result' id='bind-1'/>");
  ASSERT_TRUE(client.failure && client.failure->bind_failure);
}

TEST(Initiator, NoBindOfferedFails) {
  InitiatorDriver client(make_policy(), true);
  client.feed(header() + features(mechanisms({"PLAIN"})));
  client.feed(kSuccess);
  client.feed(header() + features(""));
  EXPECT_EQ(client.last_log(), "failed unsupported-feature");
}

}  // namespace
}  // namespace xmpp::test
