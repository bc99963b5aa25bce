// SipHash-2-4 against vectors of the reference implementation (key 00..0f, message 00, 01, 02,
// ...).
#include "xmpp/base/hash.h"

#include <gtest/gtest.h>

#include <string>
#include <unordered_map>

namespace xmpp {
namespace {

constexpr HashKey kReferenceKey{0x0706050403020100, 0x0f0e0d0c0b0a0908};

TEST(HashTest, ReferenceVectors) {
  const std::uint64_t expected[] = {
      0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
      0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
      0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
      0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5,
  };
  std::string message;
  for (const std::uint64_t hash : expected) {
    EXPECT_EQ(siphash64(kReferenceKey, message), hash) << message.size();
    message += static_cast<char>(message.size());
  }
}

TEST(HashTest, DependsOnTheKey) {
  EXPECT_NE(siphash64({1, 2}, "romeo"), siphash64({1, 3}, "romeo"));
  EXPECT_NE(siphash64({1, 2}, "romeo"), siphash64({2, 2}, "romeo"));
}

TEST(HashTest, ProcessKeyCanBeSeeded) {
  const HashKey random = process_hash_key();
  seed_process_hash(7);
  const HashKey first = process_hash_key();
  seed_process_hash(8);
  EXPECT_NE(process_hash_key().k0, first.k0);
  seed_process_hash(7);
  EXPECT_EQ(process_hash_key().k0, first.k0);
  EXPECT_EQ(process_hash_key().k1, first.k1);
  EXPECT_NE(random.k0, first.k0);
}

TEST(HashTest, HeterogeneousLookup) {
  std::unordered_map<std::string, int, KeyedHash, std::equal_to<>> map;
  map.emplace("juliet", 1);
  EXPECT_NE(map.find(std::string_view("juliet")), map.end());
  EXPECT_EQ(map.find(std::string_view("romeo")), map.end());
}

}  // namespace
}  // namespace xmpp
