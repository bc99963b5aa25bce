// Base64 and hexadecimal: the vectors of RFC 4648 section 10, and what strictness refuses.
#include "xmpp/base/encoding.h"

#include <gtest/gtest.h>

#include "xmpp/base/random.h"

namespace xmpp {
namespace {

TEST(EncodingTest, Base64Vectors) {
  const std::pair<std::string, std::string> vectors[] = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"fooba", "Zm9vYmE="},
      {"foobar", "Zm9vYmFy"},
      {"\xff\xfe\xfd", "//79"},
      {std::string(1, '\0'), "AA=="},
  };
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(base64_encode(bytes), text);
    EXPECT_EQ(base64_decode(text), bytes);
  }
}

TEST(EncodingTest, Base64IsStrict) {
  for (const char* text : {"Z",    "Zg",       "Zg=",    "Zg===", "====",  "=",        "==",
                           "Z===", "Zg==Zg==", "Zm9v\n", " Zm9v", "Zm 9v", "Zh==",     "Zm9=",
                           "Zm9-", "Zm9_",     "=m9v",   "Z=9v",  "Zm=v",  "Zm9v====", "Zm9\x80"}) {
    EXPECT_EQ(base64_decode(text), std::nullopt) << text;
  }
}

TEST(EncodingTest, Hex) {
  EXPECT_EQ(hex_encode(std::string_view("\x00\x7f\xff", 3)), "007fff");
  EXPECT_EQ(hex_decode("007fFF"), std::string("\x00\x7f\xff", 3));
  EXPECT_EQ(hex_decode(""), "");
  for (const char* text : {"0", "0g", "g0", "0x", " 0", "000"}) {
    EXPECT_EQ(hex_decode(text), std::nullopt) << text;
  }
}

TEST(EncodingTest, RoundTrips) {
  SeededRng rng(3);
  for (std::size_t size = 0; size < 200; ++size) {
    std::string bytes(size, '\0');
    rng.fill(std::as_writable_bytes(std::span(bytes.data(), size)));
    EXPECT_EQ(base64_decode(base64_encode(bytes)), bytes);
    EXPECT_EQ(hex_decode(hex_encode(bytes)), bytes);
  }
}

}  // namespace
}  // namespace xmpp
