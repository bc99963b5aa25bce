// Secret: comparison, wiping, and nothing left behind by moves.
#include "xmpp/base/secret.h"

#include <gtest/gtest.h>

namespace xmpp {
namespace {

TEST(SecretTest, ComparesBytes) {
  EXPECT_TRUE(equal_constant_time("", ""));
  EXPECT_TRUE(equal_constant_time("pencil", "pencil"));
  EXPECT_FALSE(equal_constant_time("pencil", "pencim"));
  EXPECT_FALSE(equal_constant_time("pencil", "Pencil"));
  EXPECT_FALSE(equal_constant_time("pencil", "pencils"));
  EXPECT_FALSE(equal_constant_time(std::string_view("a\0", 2), "a"));
}

TEST(SecretTest, WipesTheSpareCapacityToo) {
  std::string text = "a long password that lives on the heap";
  text.resize(4);
  const char* bytes = text.data();
  const std::size_t capacity = text.capacity();
  wipe(text);
  EXPECT_TRUE(text.empty());
  ASSERT_EQ(text.data(), bytes);
  ASSERT_EQ(text.capacity(), capacity);
  text.resize(capacity, '\0');
  EXPECT_EQ(text, std::string(capacity, '\0'));
}

TEST(SecretTest, CopiesMovesAndForgets) {
  Secret a(std::string("short"));
  Secret b = a;
  EXPECT_EQ(b.reveal(), "short");
  Secret c = std::move(a);
  EXPECT_TRUE(a.empty());
  EXPECT_STREQ(a.reveal().data() + 1, "");  // the small buffer was wiped, not only shortened
  b = c;
  Secret& alias = b;
  b = alias;
  b = std::move(alias);
  EXPECT_EQ(b.reveal(), "short");
  b = Secret(std::string("another"));
  EXPECT_EQ(b.reveal(), "another");
}

}  // namespace
}  // namespace xmpp
