// UTF-8: the boundaries of every well-formed range, and agreement with an independent decoder.
#include "xmpp/base/utf8.h"

#include <gtest/gtest.h>

#include <vector>

#include "xmpp/base/random.h"

namespace xmpp::utf8 {
namespace {

// Straight from the definition: decode generously, then check range, shortest form and surrogates.
bool model_is_valid(std::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size();) {
    const auto byte = [&](std::size_t k) { return static_cast<unsigned char>(bytes[i + k]); };
    const unsigned lead = byte(0);
    const std::size_t length = lead < 0x80           ? 1
                               : (lead >> 5) == 0x6  ? 2
                               : (lead >> 4) == 0xe  ? 3
                               : (lead >> 3) == 0x1e ? 4
                                                     : 0;
    if (length == 0 || i + length > bytes.size()) return false;
    std::uint32_t point = length == 1 ? lead : lead & (0x7fU >> length);
    for (std::size_t k = 1; k < length; ++k) {
      if ((byte(k) >> 6) != 2) return false;
      point = point << 6 | (byte(k) & 0x3f);
    }
    constexpr std::uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < kSmallest[length] || point > 0x10ffff) return false;
    if (point >= 0xd800 && point <= 0xdfff) return false;
    i += length;
  }
  return true;
}

TEST(Utf8Test, EveryScalarValueRoundTrips) {
  std::string text;
  for (char32_t point = 0; point <= 0x10ffff; point += point < 0x11000 ? 1 : 61) {
    if (point >= 0xd800 && point <= 0xdfff) continue;
    text.clear();
    append(text, point);
    ASSERT_TRUE(is_valid(text)) << static_cast<std::uint32_t>(point);
    ASSERT_EQ(count(text), 1U);
    std::size_t position = 0;
    ASSERT_EQ(decode(text, position), point);
    ASSERT_EQ(position, text.size());
  }
}

TEST(Utf8Test, RefusesIllFormedSequences) {
  for (const char* text : {"\x80",
                           "\xbf",
                           "\xc0\x80",
                           "\xc1\xbf",
                           "\xc2",
                           "\xc2\x7f",
                           "\xc2\xc0",
                           "\xe0\x9f\xbf",
                           "\xe0\x80\x80",
                           "\xe1\x80",
                           "\xe1\x80\x7f",
                           "\xed\xa0\x80",
                           "\xed\xbf\xbf",
                           "\xf0\x8f\xbf\xbf",
                           "\xf0\x90\x80",
                           "\xf4\x90\x80\x80",
                           "\xf5\x80\x80\x80",
                           "\xf8\x88\x80\x80\x80",
                           "\xfe",
                           "\xff"}) {
    for (const std::size_t before : {0, 1, 7, 8, 9, 16}) {
      const std::string padded = std::string(before, 'a') + text + std::string(8, 'b');
      EXPECT_FALSE(is_valid(padded));
      EXPECT_FALSE(is_valid(std::string(before, 'a') + text));
      EXPECT_FALSE(is_ascii(padded));
    }
  }
}

TEST(Utf8Test, AcceptsTheBoundaries) {
  for (const char* text :
       {"", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_valid(text));
  }
  EXPECT_TRUE(is_valid(std::string_view("\0", 1)));
  EXPECT_TRUE(is_ascii(std::string(33, 'a')));
}

TEST(Utf8Test, AgreesWithTheModel) {
  SeededRng rng(11);
  const std::vector<std::string> pieces = {
      "a",    "12345678", "\xc3\xa9",         "\xe2\x82\xac", "\xf0\x9f\x98\x80",
      "\x80", "\xed\xa0", "\xf4\x90\x80\x80", "\xe2\x82",     "\xf0\x9f\x98",
      "\xc3"};
  int valid = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    const bool is_wild = rng.below(2) == 0;
    for (std::uint64_t n = rng.below(10); n > 0; --n) text += pieces[rng.below(is_wild ? 11 : 5)];
    if (is_wild && !text.empty()) text[rng.below(text.size())] = static_cast<char>(rng.below(256));
    ASSERT_EQ(is_valid(text), model_is_valid(text)) << i;
    valid += is_valid(text) ? 1 : 0;
  }
  EXPECT_GT(valid, 5000);
}

TEST(Utf8Test, CountsAndDecodes) {
  const std::string text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
  EXPECT_EQ(count(text), 4U);
  std::vector<char32_t> points;
  for (std::size_t position = 0; position < text.size();) points.push_back(decode(text, position));
  EXPECT_EQ(points, std::vector<char32_t>({'a', 0xe9, 0x20ac, 0x1f600}));
}

}  // namespace
}  // namespace xmpp::utf8
