// Addresses: RFC 7622's own examples, boundaries, equivalences, refusals, and the shared
// representation.
#include "xmpp/core/jid.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "xmpp/core/prep.h"

namespace xmpp {
namespace {

std::string parsed(std::string_view text) {
  auto jid = Jid::parse(text);
  return jid ? std::string(jid->str()) : "error: " + std::string(to_string(jid.error()));
}

std::string repeat(std::string_view what, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += what;
  return out;
}

TEST(JidTest, SplitsIntoParts) {
  struct Case {
    const char* text;
    const char* local;
    const char* domain;
    const char* resource;
  };
  const Case cases[] = {
      {"juliet@example.com", "juliet", "example.com", ""},
      {"juliet@example.com/foo", "juliet", "example.com", "foo"},
      {"juliet@example.com/foo bar", "juliet", "example.com", "foo bar"},
      {"juliet@example.com/foo@bar", "juliet", "example.com", "foo@bar"},
      {"foo\\20bar@example.com", "foo\\20bar", "example.com", ""},
      {"example.com", "", "example.com", ""},
      {"example.com/foobar", "", "example.com", "foobar"},
      {"a.example.com/b@example.net", "", "a.example.com", "b@example.net"},
      {"example.com/a/b/c", "", "example.com", "a/b/c"},
      {"user@[::1]/r", "user", "[::1]", "r"},
      {"user@127.0.0.1", "user", "127.0.0.1", ""},
      {"a@b/ ", "a", "b", " "},
  };
  for (const Case& c : cases) {
    auto jid = Jid::parse(c.text);
    ASSERT_TRUE(jid) << c.text;
    EXPECT_EQ(jid->str(), c.text);
    EXPECT_EQ(jid->local(), c.local) << c.text;
    EXPECT_EQ(jid->domain(), c.domain) << c.text;
    EXPECT_EQ(jid->resource(), c.resource) << c.text;
  }
}

TEST(JidTest, PreparesEachPart) {
  struct Case {
    const char* text;
    const char* prepared;
  };
  const Case cases[] = {
      {"ALICE@EXAMPLE.ORG/Phone", "alice@example.org/Phone"},
      {"user@example.org.", "user@example.org"},
      {"user@example.org./r", "user@example.org/r"},
      // RFC 7622 3.5: examples 3 to 6, 9
      {"fußball@example.com", "fußball@example.com"},
      {"π@example.com", "π@example.com"},
      {"Σ@example.com/foo", "σ@example.com/foo"},
      {"king@example.com/♚", "king@example.com/♚"},
      // lower case outside ASCII, final sigma included
      {"ÉMILE@example.com", "émile@example.com"},
      {"ΣΊΣΥΦΟΣ@example.com", "σίσυφος@example.com"},
      {"ЖУК@example.com", "жук@example.com"},
      // NFC
      {"e\xCC\x81mile@example.com", "émile@example.com"},
      {"a@b/e\xCC\x81", "a@b/é"},
      // width mapping in localparts, none in resources
      {"ＡＢＣ１@example.com", "abc1@example.com"},
      {"ｱ@example.com", "ア@example.com"},
      {"a@b/ＡＢＣ", "a@b/ＡＢＣ"},
      // spaces of other scripts in resources
      {"a@b/x\xC2\xA0y\xE3\x80\x80z", "a@b/x y z"},
      // resources keep case
      {"a@b/ÄÖ", "a@b/ÄÖ"},
      // domains: A-labels become U-labels, upper case and wide dots are mapped
      {"a@xn--bcher-kva.example", "a@bücher.example"},
      {"a@XN--BCHER-KVA.example", "a@bücher.example"},
      {"a@BÜCHER.example", "a@bücher.example"},
      {"a@bu\xCC\x88"
       "cher.example",
       "a@bücher.example"},
      {"a@faß.example", "a@faß.example"},
      {"a@example。org", "a@example.org"},
      {"a@example.org。", "a@example.org"},
      {"a@ｅxample.org", "a@example.org"},
      // addresses
      {"a@[::1]", "a@[::1]"},
      {"a@[0:0:0:0:0:0:0:1]", "a@[::1]"},
      {"a@[2001:DB8::0:1]/r", "a@[2001:db8::1]/r"},
      // right-to-left
      {"שלום@example.com", "שלום@example.com"},
      {"سلام1@example.com", "سلام1@example.com"},
      // contextual rules that hold
      {"a·b@example.com", "error: bad localpart"},
      {"cel·la@example.com", "cel·la@example.com"},
      {"ア・イ@example.com", "ア・イ@example.com"},
      {"क्\xE2\x80\x8Dष@example.com", "क्\xE2\x80\x8Dष@example.com"},
  };
  for (const Case& c : cases) {
    const std::string once = parsed(c.text);
    EXPECT_EQ(once, c.prepared) << c.text;
    if (!once.starts_with("error")) {
      EXPECT_EQ(parsed(once), once) << "not idempotent: " << c.text;
    }
  }
}

TEST(JidTest, RefusesWhatTheProfilesForbid) {
  struct Case {
    std::string text;
    JidError error;
  };
  const Case cases[] = {
      {"", JidError::empty},
      {"@example.com", JidError::empty},
      {"@", JidError::empty},
      {"a@", JidError::empty},
      {"/r", JidError::empty},
      {"a@/r", JidError::empty},
      {"example.com/", JidError::empty},
      {"a@example.com/", JidError::empty},
      {".", JidError::empty},
      // RFC 7622 3.5: "juliet@example.com/ foo" is an error there by an old rule; these are errors
      // by 3.3
      {"\"juliet\"@example.com", JidError::bad_localpart},
      {"foo bar@example.com", JidError::bad_localpart},
      {"henry\xE2\x85\xA3@example.com", JidError::bad_localpart},  // Roman numeral
      {"♚@example.com", JidError::bad_localpart},
      {"a b@example.com", JidError::bad_localpart},
      {"a&b@example.com", JidError::bad_localpart},
      {"a'b@example.com", JidError::bad_localpart},
      {"a:b@example.com", JidError::bad_localpart},
      {"a<b@example.com", JidError::bad_localpart},
      {"a>b@example.com", JidError::bad_localpart},
      {"a＠b@example.com", JidError::bad_localpart},  // full-width '@'
      {"a／b@example.com", JidError::bad_localpart},  // full-width '/'
      {"a＆b@example.com", JidError::bad_localpart},
      {std::string("a\0b@example.com", 15), JidError::bad_localpart},
      {"a\x7F@example.com", JidError::bad_localpart},
      {"\xFF@example.com", JidError::bad_localpart},
      {"\xED\xA0\x80@example.com", JidError::bad_localpart},  // a surrogate
      {"a\xE2\x80\x8D"
       "b@example.com",
       JidError::bad_localpart},  // joiner without virama
      {"a\xC2\xAD"
       "b@example.com",
       JidError::bad_localpart},                    // soft hyphen
      {"אa@example.com", JidError::bad_localpart},  // bidi rule
      {"aא@example.com", JidError::bad_localpart},
      {"\xCD\xB8@example.com", JidError::bad_localpart},  // unassigned
      {"ﬁ@example.com", JidError::bad_localpart},         // compatibility ligature
      {"١۱@example.com", JidError::bad_localpart},        // two sets of Arabic digits
      {"a@b@c", JidError::bad_domainpart},
      {"a@b c", JidError::bad_domainpart},
      {"a@-b.example", JidError::bad_domainpart},
      {"a@b-.example", JidError::bad_domainpart},
      {"a@b..example", JidError::bad_domainpart},
      {"a@.example", JidError::bad_domainpart},
      {"a@example..", JidError::bad_domainpart},
      {"a@example。.", JidError::bad_domainpart},
      {"a@ab--c.example", JidError::bad_domainpart},
      {"a@xn--a", JidError::bad_domainpart},
      {"a@under_score.example", JidError::bad_domainpart},
      {"a@☃.example", JidError::bad_domainpart},
      // RFC 5892 2.4: blocks of symbols whose marks IDNA refuses and PRECIS does not
      {"a@b⃐.example", JidError::bad_domainpart},
      {"a@b𝅥.example", JidError::bad_domainpart},
      {"a@b𝉂.example", JidError::bad_domainpart},
      {"a@b\xEF\xBC\x8F"
       "c.example",
       JidError::bad_domainpart},                  // full-width '/'
      {"a@b℀.example", JidError::bad_domainpart},  // maps to "a/c"
      {"a@[::1", JidError::bad_domainpart},
      {"a@[::g]", JidError::bad_domainpart},
      {"a@[]", JidError::bad_domainpart},
      {"a@[127.0.0.1]", JidError::bad_domainpart},
      {"a@[fe80::1%25eth0]", JidError::bad_domainpart},
      {"a@::1", JidError::bad_domainpart},
      {"a@\xC3", JidError::bad_domainpart},
      {"a@" + repeat("x", 64) + ".example", JidError::bad_domainpart},
      {"a@" + repeat("ü", 60) + ".example", JidError::bad_domainpart},  // 63 bytes of ASCII at most
      {"a@b/\x01", JidError::bad_resourcepart},
      {"a@b/\n", JidError::bad_resourcepart},
      {"a@b/\x7F", JidError::bad_resourcepart},
      {"a@b/\xC2\x85", JidError::bad_resourcepart},
      {"a@b/\xEF\xBF\xBE", JidError::bad_resourcepart},  // noncharacter
      {"a@b/\xEE\x80\x80", JidError::bad_resourcepart},  // private use
      {"a@b/\xE2\x80\x8B", JidError::bad_resourcepart},  // zero width space
      {"a@b/\xC0\x80", JidError::bad_resourcepart},
  };
  for (const Case& c : cases) {
    auto jid = Jid::parse(c.text);
    ASSERT_FALSE(jid) << c.text << " -> " << jid->str();
    EXPECT_EQ(to_string(jid.error()), to_string(c.error)) << c.text;
  }
}

TEST(JidTest, ExcludesEveryCharacterOfSection331) {
  for (const char c : std::string("\"&'/:<>@ ")) {
    EXPECT_FALSE(Jid::make(std::string("a") + c, "example.com")) << c;
  }
}

TEST(JidTest, EachPartMayHave1023Bytes) {
  const std::string x1023(1023, 'x');
  const std::string x1024(1024, 'x');
  std::string domain;
  while (domain.size() < 960) domain += repeat("d", 63) + ".";
  domain += repeat("d", 1023 - domain.size());
  ASSERT_EQ(domain.size(), 1023U);
  auto longest = Jid::parse(x1023 + "@" + domain + "/" + x1023);
  ASSERT_TRUE(longest);
  EXPECT_EQ(longest->str().size(), 3U * 1023 + 2);
  EXPECT_EQ(longest->resource(), x1023);

  EXPECT_EQ(Jid::parse(x1024 + "@b").error(), JidError::too_long);
  EXPECT_EQ(Jid::parse("a@b/" + x1024).error(), JidError::too_long);
  EXPECT_EQ(Jid::parse("a@d." + domain).error(), JidError::too_long);
  EXPECT_EQ(Jid::parse("a@b/" + std::string(1'000'000, 'x')).error(), JidError::too_long);
  // Counted after preparation: 1,023 full-width letters are 3,069 bytes before and 1,023 after it.
  EXPECT_TRUE(Jid::parse(repeat("ａ", 1023) + "@b"));
  EXPECT_EQ(Jid::parse(repeat("ａ", 1024) + "@b").error(), JidError::too_long);
  EXPECT_TRUE(Jid::parse("a@b/" + repeat("é", 511)));
  EXPECT_EQ(Jid::parse("a@b/" + repeat("é", 512)).error(), JidError::too_long);
  EXPECT_TRUE(Jid::parse(domain + "."));
}

TEST(JidTest, AcceptsUnassignedCodePointsInResourcesOnly) {
  EXPECT_TRUE(Jid::parse("a@b/\xCD\xB8"));           // U+0378
  EXPECT_TRUE(Jid::parse("a@b/\xF0\x9F\xAB\xBF"));   // U+1FAFF, maybe an emoji one day
  EXPECT_FALSE(Jid::parse("a@b/\xF3\xA0\x82\x80"));  // U+E0080: unassigned and ignorable
  EXPECT_FALSE(Jid::parse("a\xCD\xB8@b"));
}

TEST(JidTest, EqualAddressesAreEqual) {
  EXPECT_EQ(*Jid::parse("A@xn--bcher-kva.EXAMPLE./r"), *Jid::parse("a@bücher.example/r"));
  EXPECT_NE(*Jid::parse("a@b/r"), *Jid::parse("a@b/R"));
  EXPECT_TRUE(Jid::parse("a@b/r")->bare_equals(*Jid::parse("A@B")));
  EXPECT_LT(*Jid::parse("a@b"), *Jid::parse("b@b"));
  EXPECT_EQ(Jid(), Jid());
  EXPECT_NE(Jid(), *Jid::parse("b"));
}

TEST(JidTest, PredicatesAndDerivedAddresses) {
  const Jid full = *Jid::parse("a@b/r");
  const Jid bare = *Jid::parse("a@b");
  const Jid domain = *Jid::parse("b");
  EXPECT_TRUE(full.is_full() && !full.is_bare() && !full.is_domain());
  EXPECT_TRUE(!bare.is_full() && bare.is_bare() && !bare.is_domain());
  EXPECT_TRUE(!domain.is_full() && domain.is_bare() && domain.is_domain());
  EXPECT_FALSE(Jid::parse("b/r")->is_domain());
  EXPECT_TRUE(Jid().is_empty() && !Jid().is_bare() && !Jid().is_domain() && !Jid());
  EXPECT_EQ(Jid().str(), "");
  EXPECT_EQ(Jid().resource(), "");
  EXPECT_EQ(Jid().bare(), Jid());
  EXPECT_EQ(Jid().domain_jid(), Jid());

  EXPECT_EQ(full.bare(), bare);
  EXPECT_EQ(full.bare_str(), "a@b");
  EXPECT_EQ(full.domain_jid(), domain);
  EXPECT_EQ(bare.bare().str().data(), bare.str().data()) << "shared, not copied";
  EXPECT_EQ(bare.with_resource("x y")->str(), "a@b/x y");
  EXPECT_EQ(full.with_resource("other")->str(), "a@b/other");
  EXPECT_EQ(bare.with_resource("").error(), JidError::empty);
  EXPECT_EQ(bare.with_resource("\n").error(), JidError::bad_resourcepart);
}

TEST(JidTest, MakesFromParts) {
  EXPECT_EQ(Jid::make("A", "B", "C")->str(), "a@b/C");
  EXPECT_EQ(Jid::make("", "b")->str(), "b");
  EXPECT_EQ(Jid::make("", "b", "r/s@t")->str(), "b/r/s@t");
  EXPECT_EQ(Jid::make("a", "").error(), JidError::empty);
  EXPECT_EQ(Jid::make("a/b", "c").error(), JidError::bad_localpart);
  EXPECT_EQ(Jid::make("a", "b/c").error(), JidError::bad_domainpart);
}

TEST(JidTest, FromPreparedOnlySplits) {
  const Jid jid = Jid::from_prepared("émile@bücher.example/a@b/c");
  EXPECT_EQ(jid.local(), "émile");
  EXPECT_EQ(jid.domain(), "bücher.example");
  EXPECT_EQ(jid.resource(), "a@b/c");
  EXPECT_TRUE(Jid::from_prepared("").is_empty());
  EXPECT_TRUE(Jid::from_prepared("a@b/" + std::string(1024, 'x')).is_empty());
}

TEST(JidTest, BareHashIgnoresTheResourceAndIsCached) {
  const Jid full = *Jid::parse("a@b/r");
  const std::uint64_t hash = full.bare_hash();
  EXPECT_EQ(hash, full.bare_hash());
  EXPECT_EQ(hash, full.bare().bare_hash());
  EXPECT_EQ(hash, Jid::parse("A@b/other")->bare_hash());
  EXPECT_NE(hash, Jid::parse("b@b")->bare_hash());
}

TEST(JidTest, MayBeSharedBetweenThreads) {
  const Jid jid = *Jid::parse("a@b/r");
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([jid] {
      for (int i = 0; i < 1000; ++i) {
        const Jid copy = jid;
        EXPECT_NE(copy.bare_hash(), 0U);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(PrepTest, NodeprepDiffers) {
  for (const char* same : {"alice", "Alice", "a.b-c", "émile", "жук", "ЖУК", "שלום", "ＡＢＣ"}) {
    EXPECT_FALSE(prep::nodeprep_differs(same)) << same;
  }
  // sharp s and final sigma are folded by nodeprep; refused ones differ by definition.
  for (const char* other : {"fußball", "σίσυφος", "a b", "", "♚", "क्\xE2\x80\x8Dष"}) {
    EXPECT_TRUE(prep::nodeprep_differs(other)) << other;
  }
}

}  // namespace
}  // namespace xmpp
