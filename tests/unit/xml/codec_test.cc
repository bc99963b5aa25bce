// Codecs: every kind of field both ways, what is left out, and what is refused.
#include "xmpp/xml/codec.h"

#include <gtest/gtest.h>

#include "support/generate.h"

namespace xmpp::xml {
namespace {

enum class Mood { calm, wild };
constexpr auto enum_values(Mood) {
  return std::to_array<EnumValue<Mood>>({{Mood::calm, "calm"}, {Mood::wild, "quite-wild"}});
}

struct Item {
  std::string id;
  std::optional<int> rank;
  bool operator==(const Item&) const = default;
  static constexpr auto codec =
      element("urn:all", "item", attr("id", &Item::id, required), attr("rank", &Item::rank));
};

struct Note {
  std::string lang;
  std::string words;
  bool operator==(const Note&) const = default;
  static constexpr auto codec =
      element("urn:note", "note", text(&Note::words), attr("xml:lang", &Note::lang));
};

struct All {
  Timestamp stamp;
  std::optional<Mood> mood;
  bool loud = false;
  int level = 7;
  std::string title;
  std::vector<std::string> groups;
  bool optional_flag = false;
  std::optional<Note> note;
  std::vector<Item> items;
  std::optional<Mood> condition;
  bool operator==(const All&) const = default;
  static constexpr auto codec = element(
      "urn:all", "all", attr("stamp", &All::stamp, required), attr("mood", &All::mood),
      attr("loud", &All::loud), attr("level", &All::level), child_text("title", &All::title),
      child_texts("group", &All::groups), flag("urn:flag", "optional", &All::optional_flag),
      child(&All::note), children(&All::items), xml::condition("urn:moods", &All::condition));
};

struct Login {
  std::string name;
  Secret password;
  static constexpr auto codec = element("urn:login", "login", child_text("name", &Login::name),
                                        child_text("password", &Login::password));
};

template <typename T>
Result<T, DecodeError> read(std::string_view bytes) {
  const auto document = Document::parse(bytes);
  EXPECT_TRUE(document) << bytes;
  return decode<T>(document->root());
}

TEST(Codec, RoundTripsEveryKindOfField) {
  All all;
  all.stamp = *parse_timestamp("2002-09-10T23:08:25Z");
  EXPECT_EQ(to_xml(all), "<all xmlns='urn:all' stamp='2002-09-10T23:08:25Z'/>");
  EXPECT_EQ(read<All>(to_xml(all)).value(), all);
  all.mood = Mood::wild;
  all.loud = true;
  all.level = -3;
  all.title = "a & b";
  all.groups = {"x", "", "y"};
  all.optional_flag = true;
  all.note = Note{"en", "<hello>\r"};
  all.items = {{"1", 5}, {"", std::nullopt}};
  all.condition = Mood::calm;
  EXPECT_EQ(
      to_xml(all, "urn:all"),
      "<all stamp='2002-09-10T23:08:25Z' mood='quite-wild' loud='true' level='-3'>"
      "<title>a &amp; b</title><group>x</group><group/><group>y</group>"
      "<optional xmlns='urn:flag'/><note xmlns='urn:note' xml:lang='en'>&lt;hello&gt;&#13;</note>"
      "<item id='1' rank='5'/><item id=''/><calm xmlns='urn:moods'/></all>");
  EXPECT_EQ(read<All>(to_xml(all)).value(), all);
}

TEST(Codec, RoundTripsWhateverComes) {
  testing::expect_round_trip<All>();
  testing::expect_round_trip<Note>();
}

TEST(Codec, SecretsComeThrough) {
  const auto login = read<Login>(to_xml(Login{"n", Secret("p")}));
  ASSERT_TRUE(login);
  EXPECT_EQ(login->password.reveal(), "p");
  EXPECT_EQ(to_xml(Login{"n", Secret()}), "<login xmlns='urn:login'><name>n</name></login>");
}

TEST(Codec, RefusesWhatDoesNotFit) {
  using Kind = DecodeError::Kind;
  const struct {
    const char* bytes;
    DecodeError error;
  } table[] = {
      {"<all/>", {Kind::wrong_element, "all"}},
      {"<all xmlns='urn:all'/>", {Kind::missing, "stamp"}},
      {"<all xmlns='urn:all' stamp='yesterday'/>", {Kind::invalid, "stamp"}},
      {"<all xmlns='urn:all' stamp='2002-09-10T23:08:25Z' level='x'/>", {Kind::invalid, "level"}},
      {"<all xmlns='urn:all' stamp='2002-09-10T23:08:25Z' level='99999999999'/>",
       {Kind::invalid, "level"}},
      {"<all xmlns='urn:all' stamp='2002-09-10T23:08:25Z' mood='odd'/>", {Kind::invalid, "mood"}},
      {"<all xmlns='urn:all' stamp='2002-09-10T23:08:25Z'><item/></all>", {Kind::missing, "id"}},
  };
  for (const auto& row : table) {
    const auto decoded = read<All>(row.bytes);
    ASSERT_FALSE(decoded) << row.bytes;
    EXPECT_EQ(decoded.error(), row.error) << row.bytes;
  }
}

TEST(Codec, MatchesByName) {
  const auto document = Document::parse("<note xmlns='urn:note'><note/></note>");
  EXPECT_TRUE(matches<Note>(document->root()));
  EXPECT_FALSE(matches<All>(document->root()));
}

}  // namespace

template struct Codec<Note>;

}  // namespace xmpp::xml
