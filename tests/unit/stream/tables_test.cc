// What holds for every entry of the tables.
#include <gtest/gtest.h>

#include <set>
#include <type_traits>

#include "xmpp/core/namespaces.h"
#include "xmpp/core/stream_error.h"
#include "xmpp/stream/features.h"
#include "xmpp/stream/stream.h"
// The tables are not public.
#include "../../../libxmpp/src/stream/tables.h"

namespace xmpp::test {
namespace {

TEST(FeatureTable, EveryEntryIsWhole) {
  std::set<std::string_view> namespaces;
  for (const Feature* feature : stream::features()) {
    SCOPED_TRACE(std::string(feature->name.local));
    EXPECT_TRUE(namespaces.insert(feature->name.ns).second) << "a namespace has one owner";
    EXPECT_EQ(stream::find_feature(feature->name.ns), feature);
    EXPECT_FALSE(has_any(feature->required, feature->forbidden)) << "never fits";
    EXPECT_TRUE(has_all(feature->required, kHeaders)) << "features come after the headers";
    EXPECT_TRUE(feature->offer != nullptr || feature->on_offered != nullptr) << "of no use";
    if (feature->on_offered != nullptr) {
      EXPECT_NE(feature->on_element, nullptr) << "the initiator could never go on";
      EXPECT_NE(feature->forbidden, StreamBits::none) << "would be negotiated for ever";
    }
    EXPECT_NE(feature->name.ns, ns::client) << "stanzas belong to nobody";
    EXPECT_NE(feature->name.ns, ns::streams) << "headers and errors belong to the machine";
  }
  EXPECT_EQ(stream::find_feature("urn:x"), nullptr);
}

TEST(FeatureTable, OrderOfNegotiation) {
  // What may be negotiated in a state: the first entry of the table that the initiator acts on.
  struct Row {
    StreamBits bits;
    const Feature* first;
  };
  const StreamBits secure = kHeaders | StreamBits::secure | StreamBits::tls_settled;
  const std::vector<Row> rows = {
      {kHeaders, &stream::kStartTls},
      {secure, &stream::kSasl},
      {kHeaders | StreamBits::tls_settled, &stream::kStartTls},
      {secure | StreamBits::authenticated, &stream::kResume},
      {secure | StreamBits::authenticated | StreamBits::bound, &stream::kSession},
      {StreamBits::none, nullptr},
  };
  for (const Row& row : rows) {
    const Feature* first = nullptr;
    for (const Feature* feature : stream::features()) {
      if (first == nullptr && feature->on_offered != nullptr && fits(*feature, row.bits))
        first = feature;
    }
    EXPECT_EQ(first, row.first) << static_cast<int>(row.bits);
  }
}

TEST(ConditionTable, EveryXmlErrorHasItsCondition) {
  EXPECT_EQ(stream::condition_of(xml::ParseError::not_well_formed),
            StreamCondition::not_well_formed);
  EXPECT_EQ(stream::condition_of(xml::ParseError::restricted_xml), StreamCondition::restricted_xml);
  EXPECT_EQ(stream::condition_of(xml::ParseError::unsupported_encoding),
            StreamCondition::unsupported_encoding);
  EXPECT_EQ(stream::condition_of(xml::ParseError::limit_exceeded),
            StreamCondition::policy_violation);
  EXPECT_EQ(stream::condition_of(xml::ParseError::stray_text), StreamCondition::bad_format);
}

static_assert(std::is_nothrow_move_constructible_v<Stream>);
static_assert(std::is_nothrow_move_assignable_v<Stream>);
static_assert(!std::is_copy_constructible_v<Stream>);

}  // namespace
}  // namespace xmpp::test
