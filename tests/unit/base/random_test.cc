// Random sources: reproducible when seeded, unbiased bounds, no repetition across a fork.
#include "xmpp/base/random.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <set>
#include <thread>
#include <vector>

namespace xmpp {
namespace {

TEST(RandomTest, SeededSourceIsReproducible) {
  SeededRng a(1);
  SeededRng b(1);
  SeededRng c(2);
  std::vector<std::uint64_t> from_a;
  for (int i = 0; i < 10; ++i) {
    from_a.push_back(a.next_u64());
    EXPECT_EQ(from_a.back(), b.next_u64());
  }
  EXPECT_NE(from_a[0], c.next_u64());
}

TEST(RandomTest, FillsEverySize) {
  OsRng os;
  SeededRng seeded(1);
  for (Rng* rng : {static_cast<Rng*>(&os), static_cast<Rng*>(&seeded)}) {
    for (const std::size_t size : {0, 1, 7, 8, 9, 63, 64, 65, 255, 256, 257, 5000}) {
      std::vector<std::byte> bytes(size + 1, std::byte{0x5a});
      bool changed_last = false;
      for (int round = 0; round < 20; ++round) {
        rng->fill(std::span(bytes).first(size));
        changed_last = changed_last || size == 0 || bytes[size - 1] != std::byte{0x5a};
      }
      EXPECT_TRUE(changed_last);
      EXPECT_EQ(bytes[size], std::byte{0x5a});
    }
  }
}

TEST(RandomTest, BelowIsUniform) {
  SeededRng rng(5);
  std::array<int, 6> seen{};
  for (int i = 0; i < 6000; ++i) ++seen[rng.below(6)];
  for (const int count : seen) EXPECT_NEAR(count, 1000, 150);
  EXPECT_EQ(rng.below(1), 0U);
  for (int i = 0; i < 100; ++i) EXPECT_LT(rng.below((1ULL << 63) + 1), (1ULL << 63) + 1);
}

TEST(RandomTest, Hex) {
  SeededRng rng(5);
  const std::string text = rng.hex(16);
  EXPECT_EQ(text.size(), 32U);
  EXPECT_EQ(text.find_first_not_of("0123456789abcdef"), std::string::npos);
}

TEST(RandomTest, OsSourceDoesNotRepeat) {
  std::set<std::uint64_t> seen;
  OsRng rng;
  for (int i = 0; i < 1000; ++i) seen.insert(rng.next_u64());
  std::uint64_t other = 0;
  std::thread([&other] { other = OsRng().next_u64(); }).join();
  seen.insert(other);
  EXPECT_EQ(seen.size(), 1001U);
}

TEST(RandomTest, ChildOfAForkDoesNotRepeatItsParent) {
  OsRng rng;
  (void)rng.next_u64();  // fills the buffer
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const std::uint64_t value = rng.next_u64();
    _exit(write(ends[1], &value, sizeof value) == sizeof value ? 0 : 1);
  }
  const std::uint64_t ours = rng.next_u64();
  std::uint64_t theirs = 0;
  ASSERT_EQ(read(ends[0], &theirs, sizeof theirs), static_cast<ssize_t>(sizeof theirs));
  EXPECT_NE(ours, theirs);
  int status = 0;
  waitpid(child, &status, 0);
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace xmpp
