#include "xmpp/net/resolver.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "unit/net/fake_poller.h"

namespace xmpp::net {
namespace {

using namespace std::chrono_literals;
using Status = SrvAnswer::Status;

// ---- messages
// -------------------------------------------------------------------------------------------

void put_u16(std::string& out, unsigned value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value & 0xFF);
}
void put_name(std::string& out, std::string_view name) {
  while (!name.empty()) {
    const auto dot = std::min(name.find('.'), name.size());
    out += static_cast<char>(dot);
    out += name.substr(0, dot);
    name.remove_prefix(std::min(dot + 1, name.size()));
  }
  out += '\0';
}
std::string header(unsigned answers, unsigned rcode = 0) {
  std::string out;
  put_u16(out, 7);
  put_u16(out, 0x8180 | rcode);
  put_u16(out, 1);
  put_u16(out, answers);
  put_u16(out, 0);
  put_u16(out, 0);
  put_name(out, "_xmpp-client._tcp.example.org");
  put_u16(out, 33);
  put_u16(out, 1);
  return out;
}
void put_record(std::string& out, unsigned type, unsigned ttl, const std::string& data) {
  put_u16(out, 0xC00C);  // the name of the question
  put_u16(out, type);
  put_u16(out, 1);
  put_u16(out, ttl >> 16);
  put_u16(out, ttl & 0xFFFF);
  put_u16(out, static_cast<unsigned>(data.size()));
  out += data;
}
std::string srv(unsigned priority, unsigned weight, unsigned port, std::string_view target) {
  std::string out;
  put_u16(out, priority);
  put_u16(out, weight);
  put_u16(out, port);
  put_name(out, target);
  return out;
}
SrvAnswer parse(const std::string& message) {
  return parse_srv_answer({reinterpret_cast<const unsigned char*>(message.data()), message.size()});
}

TEST(SrvAnswerParser, ReadsRecords) {
  std::string message = header(3);
  put_record(message, 5, 60, std::string("\1a\0", 3));  // an alias is passed over
  put_record(message, 33, 300, srv(10, 20, 5222, "one.example.org"));
  std::string compressed;
  put_u16(compressed, 5);
  put_u16(compressed, 0);
  put_u16(compressed, 443);
  compressed += "\3two";
  put_u16(compressed, 0xC000 | (12 + 13 + 5));  // "example.org" of the question
  put_record(message, 33, 120, compressed);
  const SrvAnswer answer = parse(message);
  ASSERT_EQ(answer.status, Status::found);
  ASSERT_EQ(answer.records.size(), 2u);
  EXPECT_EQ(answer.records[0], (SrvRecord{10, 20, 5222, "one.example.org"}));
  EXPECT_EQ(answer.records[1], (SrvRecord{5, 0, 443, "two.example.org"}));
  EXPECT_EQ(answer.ttl, 120s);
}

TEST(SrvAnswerParser, TellsNothingFromTrouble) {
  EXPECT_EQ(parse(header(0)).status, Status::none);
  EXPECT_EQ(parse(header(0, 3)).status, Status::none);    // no such name
  EXPECT_EQ(parse(header(0, 2)).status, Status::failed);  // server failure
  std::string refusal = header(1);
  put_record(refusal, 33, 60, srv(0, 0, 0, ""));
  const SrvAnswer answer = parse(refusal);
  ASSERT_EQ(answer.records.size(), 1u);
  EXPECT_TRUE(answer.records[0].target.empty());
}

TEST(SrvAnswerParser, SurvivesEveryTruncationAndLoop) {
  std::string message = header(1);
  put_record(message, 33, 60, srv(1, 2, 3, "host.example.org"));
  ASSERT_EQ(parse(message).status, Status::found);
  for (std::size_t length = 0; length < message.size(); ++length) {
    EXPECT_EQ(parse(message.substr(0, length)).status, Status::failed) << length;
  }
  std::string loop = header(1);
  std::string data = srv(1, 2, 3, "");
  data.pop_back();
  const auto here = static_cast<unsigned>(loop.size() + 12 + data.size());
  put_u16(data, 0xC000 | here);  // points to itself
  put_record(loop, 33, 60, data);
  EXPECT_EQ(parse(loop).status, Status::failed);
  std::string odd = header(1);
  put_record(odd, 33, 60, srv(1, 2, 3, "a b/c"));
  EXPECT_EQ(parse(odd).status, Status::none);  // no host name: of no use
}

TEST(SrvAnswerParser, NamesAreThoseOfHosts) {
  const auto parse_target = [](const std::string& labels) {
    std::string data = srv(1, 2, 3, "");
    data.pop_back();
    std::string message = header(1);
    put_record(message, 33, 60, data + labels + std::string(1, '\0'));
    return parse(message);
  };
  // Dots within a label.
  EXPECT_EQ(parse_target("\1.").status, Status::none);
  EXPECT_EQ(parse_target("\2a.\1b").status, Status::none);
  EXPECT_EQ(parse_target("\1a\2.b").status, Status::none);
  EXPECT_EQ(parse_target("\3a.b").status, Status::found);
  // RFC 1035 2.3.4: 255 octets with all lengths, that is 253 characters.
  const std::string label = '\77' + std::string(63, 'a');
  const SrvAnswer longest = parse_target(label + label + label + '\75' + std::string(61, 'b'));
  ASSERT_EQ(longest.records.size(), 1U);
  EXPECT_EQ(longest.records[0].target.size(), 253U);
  EXPECT_EQ(parse_target(label + label + label + '\76' + std::string(62, 'b')).status,
            Status::failed);
}

TEST(SrvOrder, FollowsPriorityThenDrawsByWeight) {
  SeededRng rng(1);
  int heavy_first = 0;
  constexpr int kRounds = 1000;
  for (int i = 0; i < kRounds; ++i) {
    std::vector<SrvRecord> records = {
        {20, 0, 1, "backup"}, {10, 10, 2, "light"}, {10, 90, 3, "heavy"}, {10, 0, 4, "zero"}};
    order_srv(records, rng);
    ASSERT_EQ(records.back().target, "backup");
    if (records[0].target == "heavy") ++heavy_first;
  }
  EXPECT_GT(heavy_first, kRounds * 80 / 100);
  EXPECT_LT(heavy_first, kRounds * 97 / 100);
}

TEST(SrvOrder, KeepsWeightZeroFirstAmongTheRest) {
  SeededRng rng(2);
  int zero_before_light = 0;
  constexpr int kRounds = 1000;
  for (int i = 0; i < kRounds; ++i) {
    std::vector<SrvRecord> records = {{10, 0, 1, "zero"}, {10, 1, 2, "light"}, {10, 60000, 3, "h"}};
    order_srv(records, rng);
    if (records[1].target == "zero") ++zero_before_light;
  }
  // With the lots 0 and 1 left, each of the two comes first about every other time.
  EXPECT_GT(zero_before_light, kRounds * 40 / 100);
  EXPECT_LT(zero_before_light, kRounds * 60 / 100);
}

TEST(ALabels, MapsWhatIsNotAscii) {
  EXPECT_EQ(to_a_labels("example.org"), "example.org");
  EXPECT_EQ(to_a_labels("b\xC3\xBC"
                        "cher.example"),
            "xn--bcher-kva.example");
  EXPECT_EQ(to_a_labels("\xFF"), "");
}

// ---- planning
// -------------------------------------------------------------------------------------------

struct FakeDns final : Dns {
  SrvAnswer find_srv(const std::string& name) override {
    asked.push_back(name);
    return srv.contains(name) ? srv[name] : SrvAnswer{};
  }
  std::vector<std::string> find_addresses(const std::string& host) override {
    asked.push_back(host);
    return hosts[host];
  }
  void add(const std::string& service, std::vector<SrvRecord> records) {
    srv[service + "._tcp.example.org"] = {Status::found, std::move(records), 60s};
  }
  std::map<std::string, SrvAnswer> srv;
  std::map<std::string, std::vector<std::string>> hosts;
  std::vector<std::string> asked;
};

std::string describe(const Result<std::vector<Endpoint>, ResolveError>& plan) {
  if (!plan)
    return plan.error().code == ResolveError::Code::not_offered ? "not offered" : "not found";
  std::string text;
  for (const Endpoint& endpoint : *plan) {
    if (!text.empty()) text += ' ';
    text += endpoint.address;
    if (endpoint.direct_tls) text += "(tls)";
  }
  return text;
}

TEST(Plan, FollowsTheFallBackRules) {
  const std::vector<SrvRecord> refusal = {{0, 0, 0, ""}};
  const std::vector<SrvRecord> plain = {{10, 0, 5222, "a"}};
  const std::vector<SrvRecord> direct = {{5, 0, 443, "b"}};
  struct Case {
    const char* what;
    std::optional<std::vector<SrvRecord>> plain;
    std::optional<std::vector<SrvRecord>> direct;
    bool wants_plain;
    bool wants_direct;
    const char* expected;
  };
  const Case cases[] = {
      {"no SRV: the domain itself", {}, {}, true, true, "10.0.0.9:5222"},
      {"only the usual record", plain, {}, true, true, "10.0.0.1:5222"},
      {"both are one set", plain, direct, true, true, "10.0.0.2:443(tls) 10.0.0.1:5222"},
      {"only direct TLS there", {}, direct, true, true, "10.0.0.2:443(tls)"},
      {"refused", refusal, {}, true, true, "not offered"},
      {"refused, but direct TLS is there", refusal, direct, true, true, "10.0.0.2:443(tls)"},
      {"direct TLS refused: SRV is in use", {}, refusal, true, true, "not offered"},
      {"direct TLS refused, the usual record", plain, refusal, true, true, "10.0.0.1:5222"},
      {"one port speaks both",
       plain,
       {{{5, 0, 5222, "a"}}},
       true,
       true,
       "10.0.0.1:5222(tls) 10.0.0.1:5222"},
      {"records that lead nowhere do not fall back",
       {{{0, 0, 1, "nowhere"}}},
       {},
       true,
       true,
       "not found"},
      {"direct wanted", plain, direct, false, true, "10.0.0.2:443(tls)"},
      {"direct wanted, none there", plain, {}, false, true, "10.0.0.9:5223(tls)"},
      {"no TLS wanted", plain, direct, true, false, "10.0.0.1:5222"},
  };
  for (const Case& c : cases) {
    FakeDns dns;
    dns.hosts = {{"example.org", {"10.0.0.9"}}, {"a", {"10.0.0.1"}}, {"b", {"10.0.0.2"}}};
    if (c.plain) dns.add("_xmpp-client", *c.plain);
    if (c.direct) dns.add("_xmpps-client", *c.direct);
    ServiceQuery query;
    query.domain = "example.org";
    query.plain = c.wants_plain;
    query.direct = c.wants_direct;
    if (!c.wants_plain) {
      query.fallback_port = 5223;
      query.fallback_direct_tls = true;
    }
    SeededRng rng(1);
    EXPECT_EQ(describe(plan_endpoints(query, ask_service(dns, query, rng), rng)), c.expected)
        << c.what;
  }
}

TEST(Plan, BoundsWhatAnAnswerMakesUsTry) {
  FakeDns dns;
  std::vector<SrvRecord> records;
  for (std::uint16_t port = 1; port <= 500; ++port) records.push_back({0, 0, port, "a"});
  dns.add("_xmpp-client", records);
  for (int i = 0; i < 200; ++i) dns.hosts["a"].push_back("10.0.0." + std::to_string(i));
  ServiceQuery query;
  query.domain = "example.org";
  SeededRng rng(1);
  const auto plan = plan_endpoints(query, ask_service(dns, query, rng), rng);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->size(), 64U);
}

// RFC 2782: clients try the lowest priority first, wherever the answer names it.
TEST(Plan, CutsWhatWouldBeTriedLast) {
  FakeDns dns;
  std::vector<SrvRecord> plain;
  for (std::uint16_t i = 0; i < 40; ++i) {
    const std::string host = "h" + std::to_string(i);
    plain.push_back({static_cast<std::uint16_t>(100 - i), 0, 5222, host});
    dns.hosts[host] = {"10.0.0." + std::to_string(i)};
  }
  dns.add("_xmpp-client", plain);
  dns.add("_xmpps-client", {{1, 0, 443, "direct"}});
  dns.hosts["direct"] = {"10.0.1.1"};
  ServiceQuery query;
  query.domain = "example.org";
  SeededRng rng(1);
  std::string expected = "10.0.1.1:443(tls)";
  for (int i = 39; i > 24; --i) expected += " 10.0.0." + std::to_string(i) + ":5222";
  EXPECT_EQ(describe(plan_endpoints(query, ask_service(dns, query, rng), rng)), expected);
}

TEST(Plan, FamiliesAlternate) {
  EXPECT_EQ(alternate_families({"::1", "::2", "::3", "10.0.0.1"}),
            (std::vector<std::string>{"::1", "10.0.0.1", "::2", "::3"}));
  EXPECT_EQ(alternate_families({"10.0.0.1", "10.0.0.2", "::1"}),
            (std::vector<std::string>{"10.0.0.1", "::1", "10.0.0.2"}));
  EXPECT_TRUE(alternate_families({}).empty());
}

// ---- Resolver
// -------------------------------------------------------------------------------------------

struct ResolverTest : testing::Test {
  ManualClock clock;
  FakePoller poller{clock};
  Reactor reactor{poller, clock};
  Offload offload{0, 2};
  SeededRng rng{1};
  FakeDns dns;
  std::optional<Resolver> resolver{std::in_place, reactor, offload, rng, dns};
  std::string result;
  Resolver::Request request{[this](Resolver::Answer answer) { result += describe(answer) + ";"; }};
  Resolver::Request other{[this](Resolver::Answer answer) { result += describe(answer) + ";"; }};

  ServiceQuery query(std::string domain = "example.org") {
    ServiceQuery made;
    made.domain = std::move(domain);
    return made;
  }
  void settle() {
    while (offload.run_one()) {
    }
    reactor.turn(reactor.now());
  }
};

TEST_F(ResolverTest, AsksOnceForEqualQuestionsAndCaches) {
  dns.hosts["example.org"] = {"10.0.0.9"};
  resolver->resolve(query(), request);
  resolver->resolve(query(), other);
  EXPECT_EQ(result, "");
  EXPECT_EQ(offload.pending(), 1u);
  settle();
  EXPECT_EQ(result, "10.0.0.9:5222;10.0.0.9:5222;");
  const std::size_t asked = dns.asked.size();
  result.clear();
  resolver->resolve(query(), request);
  EXPECT_EQ(result, "");  // never from within resolve()
  settle();
  EXPECT_EQ(result, "10.0.0.9:5222;");
  EXPECT_EQ(dns.asked.size(), asked);
  clock.advance(3min);
  reactor.turn(reactor.now());
  resolver->resolve(query(), request);
  settle();
  EXPECT_EQ(dns.asked.size(), 2 * asked);
}

TEST_F(ResolverTest, ResolvesAHostWithoutSrv) {
  dns.hosts["chat.example.org"] = {"::1", "10.0.0.1"};
  resolver->resolve_host("chat.example.org", 5299, true, request);
  settle();
  EXPECT_EQ(result, "[::1]:5299(tls) 10.0.0.1:5299(tls);");
  EXPECT_EQ(dns.asked, std::vector<std::string>{"chat.example.org"});
}

TEST_F(ResolverTest, AForgottenRequestIsNotAnswered) {
  {
    Resolver::Request gone([](Resolver::Answer) { FAIL(); });
    resolver->resolve(query(), gone);
  }
  resolver->resolve(query("other.example"), request);
  resolver->clear_cache();
  settle();
  EXPECT_EQ(result, "not found;");
}

TEST_F(ResolverTest, SaysWhenItIsOverloaded) {
  std::string code;
  Resolver::Request third([&](Resolver::Answer answer) {
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, ResolveError::Code::overloaded);
    code = "overloaded";
  });
  resolver->resolve(query("a.example"), request);
  resolver->resolve(query("b.example"), other);
  resolver->resolve(query("c.example"), third);
  reactor.turn(reactor.now());
  EXPECT_EQ(code, "overloaded");
  EXPECT_EQ(result, "");
}

TEST_F(ResolverTest, MayDieInTheMidstOfItsAnswers) {
  dns.hosts["example.org"] = {"10.0.0.9"};
  Resolver::Request fatal([this](Resolver::Answer) {
    result += "gone;";
    resolver.reset();
  });
  resolver->resolve(query(), fatal);
  resolver->resolve(query(), request);
  settle();
  EXPECT_EQ(result, "gone;");
  resolver.emplace(reactor, offload, rng, dns);
  resolver->resolve(query(), request);  // it waits nowhere any more
  settle();
  EXPECT_EQ(result, "gone;10.0.0.9:5222;");
}

TEST_F(ResolverTest, MayDieBeforeItsAnswers) {
  resolver->resolve(query(), request);
  offload.run_one();
  resolver.reset();
  reactor.turn(reactor.now());
  EXPECT_EQ(result, "");
}

}  // namespace
}  // namespace xmpp::net
