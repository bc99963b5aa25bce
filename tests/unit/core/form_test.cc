// Data forms: markup and typed tables.
#include "xmpp/core/form.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace xmpp::form {
namespace {

std::optional<Form> parse(std::string_view markup) {
  auto document = xml::Document::parse(markup);
  EXPECT_TRUE(document) << markup;
  if (!document) return std::nullopt;
  auto form = xml::decode<Form>(document->root());
  if (!form) return std::nullopt;
  return *std::move(form);
}

std::string written(const Form& form) {
  return xml::to_xml(form);
}

struct RoomConfig {
  std::string name;
  bool persistent = false;
  int occupants = 20;
  Jid owner;
  std::vector<std::string> notes;
  std::vector<Jid> admins;
  bool operator==(const RoomConfig&) const = default;
};

constexpr auto kRoomConfigForm = table<RoomConfig>(
    "urn:room", field("name", &RoomConfig::name, "Name", FieldType::text_single, true),
    field("persistent", &RoomConfig::persistent, "Keep"), field("max", &RoomConfig::occupants),
    field("owner", &RoomConfig::owner), field("notes", &RoomConfig::notes),
    field("admins", &RoomConfig::admins));

TEST(FormTest, RoundTripsEverything) {
  const std::string markup =
      "<x xmlns='jabber:x:data' type='form'><title>Bot</title><instructions>one</instructions>"
      "<instructions>two</instructions><field var='FORM_TYPE' "
      "type='hidden'><value>jabber:bot</value>"
      "</field><field type='fixed'><value>Section</value></field>"
      "<field var='max' type='list-single' label='Max &amp; min'><desc>d</desc><required/>"
      "<value>20</value><option label='Ten'><value>10</value></option>"
      "<option><value>20</value></option></field></x>";
  const auto form = parse(markup);
  ASSERT_TRUE(form);
  EXPECT_EQ(form->form_type(), "jabber:bot");
  EXPECT_EQ(form->value("max"), "20");
  EXPECT_EQ(form->find("max")->options.size(), 2U);
  EXPECT_EQ(form->find("none"), nullptr);
  EXPECT_EQ(written(*form), markup);
}

TEST(FormTest, RoundTripsTables) {
  const std::string markup =
      "<x xmlns='jabber:x:data' type='result'><reported><field var='a' label='A'/></reported>"
      "<item><field var='a'><value>1</value></field></item>"
      "<item><field var='a'><value/></field></item></x>";
  const auto form = parse(markup);
  ASSERT_TRUE(form);
  ASSERT_EQ(form->items.size(), 2U);
  EXPECT_EQ(form->items[0].fields[0].value(), "1");
  EXPECT_EQ(parse(written(*form)), form);
}

TEST(FormTest, RefusesWhatIsNoForm) {
  EXPECT_FALSE(parse("<x xmlns='jabber:x:data'/>"));
  EXPECT_FALSE(parse("<x xmlns='jabber:x:data' type='odd'/>"));
  EXPECT_FALSE(parse("<x xmlns='urn:x' type='form'/>"));
  EXPECT_EQ(parse("<x xmlns='jabber:x:data' type='form'><field var='a' type='odd'/></x>")
                ->find("a")
                ->type,
            FieldType::text_single);
}

TEST(FormTest, TypedFormsRoundTrip) {
  RoomConfig config{"Tea", true, 5, *Jid::parse("a@b"), {"x", "y"}, {*Jid::parse("c@d")}};
  const Form offered = make_form(kRoomConfigForm, config);
  EXPECT_EQ(offered.form_type(), "urn:room");
  EXPECT_EQ(offered.find("persistent")->type, FieldType::boolean);
  EXPECT_TRUE(offered.find("name")->required);
  RoomConfig read;
  const Form submitted = *parse(written(make_submit(kRoomConfigForm, config)));
  EXPECT_TRUE(apply(kRoomConfigForm, submitted, read));
  EXPECT_EQ(read, config);
  EXPECT_EQ(make_result(kRoomConfigForm, config).type, FormType::result);
}

TEST(FormTest, SubmissionsKeepOmittedFieldsAndNameWrongOnes) {
  struct Case {
    const char* fields;
    const char* wrong;  // empty: applied
  };
  const Case cases[] = {
      {"<field var='name'><value>n</value></field>", ""},
      {"<field var='name'/><field var='unknown'><value>1</value></field>", ""},
      {"<field var='name'/><field var='persistent'><value>true</value></field>", ""},
      {"<field var='name'/><field var='owner'><value/></field>", ""},
      {"<field var='name'/><field var='admins'><value>a@b</value><value>A@b</value></field>", ""},
      {"", "name"},
      {"<field var='FORM_TYPE'><value>urn:other</value></field>", "FORM_TYPE"},
      {"<field var='name'/><field var='persistent'><value>yes</value></field>", "persistent"},
      {"<field var='name'/><field var='persistent'/>", "persistent"},
      {"<field var='name'/><field var='max'><value>many</value></field>", "max"},
      {"<field var='name'/><field var='max'><value>99999999999</value></field>", "max"},
      {"<field var='name'/><field var='max'><value>5x</value></field>", "max"},
      {"<field var='name'><value>a</value><value>b</value></field>", "name"},
      {"<field var='name'/><field var='owner'><value>a b@c</value></field>", "owner"},
      {"<field var='name'/><field var='admins'><value>@</value></field>", "admins"},
  };
  for (const Case& c : cases) {
    const RoomConfig before{"old", true, 7, *Jid::parse("o@p"), {"z"}, {}};
    RoomConfig config = before;
    const auto form =
        parse(std::string("<x xmlns='jabber:x:data' type='submit'>") + c.fields + "</x>");
    ASSERT_TRUE(form) << c.fields;
    const auto applied = apply(kRoomConfigForm, *form, config);
    if (*c.wrong == '\0') {
      EXPECT_TRUE(applied) << c.fields;
      EXPECT_EQ(config.occupants, 7) << "omitted fields keep their values";
      EXPECT_LE(config.admins.size(), 1U);
    } else {
      ASSERT_FALSE(applied) << c.fields;
      EXPECT_EQ(applied.error().var, c.wrong) << c.fields;
      EXPECT_EQ(config, before) << c.fields;
    }
  }
}

}  // namespace
}  // namespace xmpp::form
