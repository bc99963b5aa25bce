// PRECIS as the RFCs have it, by examples: contexts (RFC 5892 A), classes (RFC 8264 9, RFC
// 8265 3.3), direction (RFC 5893 2). What an address does with it is in jid_test.cc.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "xmpp/core/prep.h"

namespace xmpp::prep {
namespace {

std::string in_hex(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char c : text) {
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

TEST(Precis, Contexts) {
  struct Case {
    std::string_view text;
    bool holds;
  };
  const Case cases[] = {
      {"\xE0\xA4\x95\xE0\xA5\x8D\xE2\x80\x8C\xE0\xA4\xB7", true},  // A.1: behind a virama
      {"\xD8\xA8\xE2\x80\x8C\xD8\xA8", true},                      // between dual-joining letters
      {"\xD8\xA8\xD9\x8E\xE2\x80\x8C\xD9\x8E\xD8\xA8", true},      // transparent marks between
      {"\xD8\xA8\xE2\x80\x8C\xD8\xA7", true},                      // right-joining behind
      {"\xD8\xA7\xE2\x80\x8C\xD8\xA8", false},                     // right-joining before
      {"\xEA\xA1\xB2\xE2\x80\x8C\xEA\xA1\x80", true},              // left-joining before
      {"\xE2\x80\x8C\xD8\xA8", false},                             // at the start
      {"\xD8\xA8\xE2\x80\x8C", false},                             // at the end
      {"a\xE2\x80\x8C"
       "b",
       false},
      {"\xD9\x8E\xE2\x80\x8C\xD8\xA8", false},                     // nothing but marks before
      {"\xE0\xA4\x95\xE0\xA5\x8D\xE2\x80\x8D\xE0\xA4\xB7", true},  // A.2
      {"\xE0\xA4\x95\xE0\xA5\x8D\xE2\x80\x8D", true},
      {"\xD8\xA8\xE2\x80\x8D\xD8\xA8", false},  // joining does not help
      {"\xE2\x80\x8D", false},
      {"l\xC2\xB7l", true},   // A.3
      {"L\xC2\xB7L", false},  // judged before the case mapping, as RFC 8265 3.3.2 has it
      {"l\xC2\xB7", false},
      {"\xC2\xB7l", false},
      {"l\xC2\xB7"
       "a",
       false},
      {"\xCD\xB5\xCE\xB1", true},  // A.4
      {"\xCD\xB5\xCE\x91", true},
      {"\xCD\xB5"
       "a",
       false},
      {"\xCE\xB1\xCD\xB5", false},
      {"\xD7\x90\xD7\xB3", true},  // A.5
      {"\xD7\xB3\xD7\x90", false},
      {"\xD7\x90\xD7\xB4\xD7\x91", true},  // A.6
      {"\xD7\xB4", false},
      {"\xE3\x82\xA2\xE3\x83\xBB", true},  // A.7
      {"\xE3\x83\xBB\xE3\x81\x82", true},
      {"\xE3\x83\xBB\xE6\xBC\xA2", true},
      {"a\xE3\x83\xBB"
       "b",
       false},
      {"\xE3\x83\xBB", false},
      {"\xD7\x90\xD9\xA1\xD9\xA2", true},   // A.8
      {"\xD7\x90\xDB\xB1\xDB\xB2", true},   // A.9
      {"\xD8\xA8\xD9\xA1\xDB\xB2", false},  // both
      {"\xD8\xA8\xDB\xB2\xD9\xA1", false},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(prepare_resource(c.text).has_value(), c.holds) << in_hex(c.text);
    EXPECT_EQ(prepare_local(c.text).has_value(), c.holds) << in_hex(c.text);
  }
}

TEST(Precis, IdentifierClassWidthCaseAndNormalization) {
  struct Case {
    std::string_view text;
    std::string_view prepared;  // empty: refused
  };
  const Case cases[] = {
      {"\xC3\x9F", "\xC3\x9F"},
      {"\xE1\xBA\x9E", "\xC3\x9F"},
      {"\xE3\x80\x87", "\xE3\x80\x87"},
      {"\xDB\xBD", "\xDB\xBD"},
      {"\xDB\xBE", "\xDB\xBE"},
      {"\xE0\xBC\x8B", "\xE0\xBC\x8B"},
      {"\xD9\x80", ""},
      {"\xD7\x90\xDF\xBA", ""},
      {"\xE3\x80\xAE", ""},
      {"\xE3\x80\xB1", ""},
      {"\xE3\x80\xB5", ""},
      {"\xE3\x80\xBB", ""},
      {"\xE1\x84\x80", ""},
      {"\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB", ""},
      {"\xE3\x84\xB1", ""},
      {"\xED\x95\x9C", "\xED\x95\x9C"},
      {"\xE2\x84\xAB", ""},
      {"\xE2\x84\xAA", ""},
      {"\xC7\x85", ""},
      {"\xE2\x85\xA3", ""},
      {"\xC2\xB2", ""},
      {"\xE2\x83\x9D", ""},
      {"\xEF\xBD\xB6\xEF\xBE\x9E", "\xE3\x82\xAC"},
      {"\xEF\xBF\xA3", ""},
      {"\xE3\x80\x80", ""},
      {"\xEF\xBE\xA1", ""},
      {"\xEF\xBC\xA1", "a"},
      {"\xCD\x8F", ""},
      {"a\xCD\x8F"
       "b",
       ""},
      {"\xE1\x85\x9F", ""},
      {"a\xEF\xB8\x8F", ""},
      {"\xF3\xA0\x81\x81", ""},
      {"\xEE\x80\x80", ""},
      {"\xEF\xB7\x90", ""},
      {"\xF0\x9F\xBF\xBE", ""},
      {"\xC4\xB0", "i\xCC\x87"},
      {"\xE1\x8E\xA0", "\xEA\xAD\xB0"},
      {"\xE1\xB2\x90", "\xE1\x83\x90"},
      {"a\xCC\x81", "\xC3\xA1"},
      {"\xF0\x90\x90\x80", "\xF0\x90\x90\xA8"},
      {"\xCD\x80", ""},
      {"\xE1\xBF\xAF", ""},
      {"+", "+"},
      {"a\xE2\x82\xAC", ""},
  };
  for (const Case& c : cases) {
    const auto prepared = prepare_local(c.text);
    EXPECT_EQ(prepared ? in_hex(*prepared) : "", in_hex(c.prepared)) << in_hex(c.text);
    EXPECT_TRUE(!prepared || prepare_local(*prepared).value() == *prepared) << in_hex(c.text);
  }
}

TEST(Precis, FreeformClassKeepsWidthCaseAndCompatibility) {
  struct Case {
    std::string_view text;
    std::string_view prepared;  // empty: refused
  };
  const Case cases[] = {
      {"\xE2\x84\xAB", "\xC3\x85"},
      {"\xE2\x84\xAA", "K"},
      {"\xE2\x85\xA3", "\xE2\x85\xA3"},
      {"\xC7\x85", "\xC7\x85"},
      {"\xE2\x83\x9D", "\xE2\x83\x9D"},
      {"\xEF\xBD\xB6\xEF\xBE\x9E", "\xEF\xBD\xB6\xEF\xBE\x9E"},
      {"\xE3\x80\x80", " "},
      {"\xE1\x9A\x80", " "},
      {"\xE3\x84\xB1", "\xE3\x84\xB1"},
      {"\xE1\x84\x80", ""},
      {"\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB", ""},
      {"\xD9\x80", ""},
      {"\xE3\x80\xAE", ""},
      {"a\xEF\xB8\x8F", ""},
      {"\xCD\x8F", ""},
      {"\xE2\x80\xA8", ""},
      {"\xC2\xAD", ""},
      {"\xEF\xBF\xBD", "\xEF\xBF\xBD"},
      {"\xEE\x80\x80", ""},
  };
  for (const Case& c : cases) {
    const auto prepared = prepare_resource(c.text);
    EXPECT_EQ(prepared ? in_hex(*prepared) : "", in_hex(c.prepared)) << in_hex(c.text);
  }
}

TEST(Precis, Direction) {
  struct Case {
    std::string_view text;
    bool holds;
  };
  const Case cases[] = {
      {"\xD7\x90\xD7\x91"
       "1",
       true},
      {"\xD7\x90\xD7\x91\xD6\xB8", true},
      {"\xD7\x90-\xD7\x91", true},
      {"\xD7\x90"
       "1\xD7\x91",
       true},
      {"\xD8\xA8"
       "1",
       true},
      {"\xD8\xA8\xD9\xA1", true},
      {"1\xD7\x90\xD7\x91", false},
      {"-\xD7\x90", false},
      {"\xD7\x90\xD7\x91-", false},
      {"\xD7\x90"
       "1-",
       false},
      {"\xD8\xA8"
       "1\xD9\xA1",
       false},
      {"\xD7\x90"
       "a",
       false},
      {"a\xD7\x90", false},
      {"a\xD9\xA1", false},
      {"\xD9\xA1", false},
      {"\xD6\xB8\xD7\x90", false},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(prepare_local(c.text).has_value(), c.holds) << in_hex(c.text);
    EXPECT_TRUE(prepare_resource(c.text)) << in_hex(c.text);
  }
}

}  // namespace
}  // namespace xmpp::prep
