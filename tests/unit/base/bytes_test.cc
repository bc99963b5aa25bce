// Block, Slice and OutputChain: sharing, coalescing, partial consumption, and a seeded comparison
// with a plain string.
#include "xmpp/base/bytes.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include "xmpp/base/random.h"

namespace xmpp {
namespace {

constexpr std::size_t kLong = OutputChain::kReferenceFrom;

std::size_t segments(const OutputChain& chain) {
  std::array<iovec, 64> out{};
  return chain.gather(out);
}

TEST(BlockTest, SharesItsBytes) {
  EXPECT_FALSE(Block());
  EXPECT_TRUE(Block().view().empty());
  EXPECT_TRUE(Block::make("").empty());
  const Block block = Block::make(std::string_view("a\0b", 3));
  Block copy = block;
  EXPECT_EQ(copy.view(), std::string_view("a\0b", 3));
  EXPECT_EQ(copy.data(), block.data());
  const Block moved = std::move(copy);
  EXPECT_EQ(moved.data(), block.data());
  const Block filled = Block::make(4, [](char* out) { std::memcpy(out, "wxyz", 4); });
  EXPECT_EQ(filled.view(), "wxyz");
}

TEST(BlockTest, IsSharedBetweenThreads) {
  const Block block = Block::make("shared");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([block] {
      for (int i = 0; i < 1000; ++i) {
        const Block copy = block;
        ASSERT_EQ(copy.size(), 6U);
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST(SliceTest, KeepsItsBlockAlive) {
  Slice slice;
  {
    Block block = Block::make("hello world");
    const std::string_view view = block.view().substr(6);
    slice = Slice(std::move(block), view);
  }
  EXPECT_EQ(slice.view(), "world");
  const Slice moved = std::move(slice);
  EXPECT_EQ(moved.view(), "world");
  EXPECT_TRUE(slice.empty());
  EXPECT_EQ(Slice(Block::make("all")).view(), "all");
}

TEST(OutputChainTest, CoalescesSmallPieces) {
  OutputChain chain;
  EXPECT_TRUE(chain.empty());
  EXPECT_TRUE(chain.front().empty());
  chain.append("");
  chain.append(Slice());
  EXPECT_EQ(segments(chain), 0U);
  for (int i = 0; i < 1000; ++i) chain.append("0123456789");
  EXPECT_EQ(chain.size(), 10'000U);
  EXPECT_EQ(segments(chain), 1U);
  chain.append(std::string(40'000, 'x'));
  EXPECT_EQ(chain.size(), 50'000U);
  EXPECT_EQ(segments(chain), 4U);
}

TEST(OutputChainTest, ReferencesLongSlices) {
  const Slice is_long(Block::make(std::string(kLong, 'l')));
  const Slice is_short(Block::make(std::string(kLong - 1, 's')));
  OutputChain chain;
  chain.append("<");
  chain.append(is_short);
  EXPECT_EQ(segments(chain), 1U);
  chain.append(is_long);
  chain.append(">");
  std::array<iovec, 8> out{};
  ASSERT_EQ(chain.gather(out), 3U);
  EXPECT_EQ(out[1].iov_base, is_long.view().data());
  EXPECT_EQ(chain.str(), "<" + std::string(kLong - 1, 's') + std::string(kLong, 'l') + ">");
  EXPECT_EQ(chain.gather(std::span(out).first(2)), 2U);
}

TEST(OutputChainTest, ConsumesPartially) {
  OutputChain chain;
  chain.append("abc");
  chain.append(Slice(Block::make(std::string(kLong, 'l'))));
  chain.append("xyz");
  chain.consume(0);
  chain.consume(1);
  EXPECT_EQ(chain.front(), "bc");
  chain.consume(2);
  EXPECT_EQ(chain.front().size(), kLong);
  chain.consume(kLong - 1);
  EXPECT_EQ(chain.front(), "l");
  chain.consume(2);
  EXPECT_EQ(chain.str(), "yz");
  chain.append("!");
  EXPECT_EQ(chain.front(), "yz!");
  chain.consume(3);
  EXPECT_TRUE(chain.empty());
  EXPECT_EQ(segments(chain), 0U);
}

TEST(OutputChainTest, MovesAndAppendsChains) {
  OutputChain a;
  a.append("a");
  OutputChain b;
  b.append(Slice(Block::make(std::string(kLong, 'l'))));
  b.append("tail");
  b.consume(1);
  a.append(std::move(b));
  EXPECT_TRUE(b.empty());
  EXPECT_EQ(a.str(), "a" + std::string(kLong - 1, 'l') + "tail");
  OutputChain c;
  c.append(std::move(a));
  EXPECT_EQ(c.size(), kLong + 4);
  EXPECT_TRUE(a.empty());
  EXPECT_EQ(a.size(), 0U);
  OutputChain d(std::move(c));
  EXPECT_TRUE(c.empty());
  c = std::move(d);
  EXPECT_TRUE(d.empty());
  EXPECT_EQ(c.size(), kLong + 4);
  c.append(OutputChain());
  c.clear();
  EXPECT_EQ(c.size(), 0U);
}

// One random step on the chain and on the string that models it.
void random_step(SeededRng& rng, OutputChain& chain, std::string& model) {
  const std::string text(rng.below(4) == 0 ? rng.below(3 * kLong) : rng.below(20),
                         static_cast<char>('a' + rng.below(26)));
  switch (rng.below(4)) {
    case 0:
      chain.append(text);
      model += text;
      break;
    case 1:
      chain.append(Slice(Block::make(text)));
      model += text;
      break;
    case 2: {
      OutputChain other;
      other.append(text);
      other.append(Slice(Block::make(text)));
      other.consume(text.size() / 2);
      chain.append(std::move(other));
      model += (text + text).substr(text.size() / 2);
      break;
    }
    default: {
      const std::size_t count = rng.below(10) == 0 ? model.size() : rng.below(model.size() + 1) / 2;
      chain.consume(count);
      model.erase(0, count);
      break;
    }
  }
}

TEST(OutputChainTest, BehavesLikeAString) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    SeededRng rng(seed);
    OutputChain chain;
    std::string model;
    for (int step = 0; step < 200; ++step) {
      random_step(rng, chain, model);
      ASSERT_EQ(chain.size(), model.size());
      ASSERT_EQ(chain.str(), model) << "seed " << seed << " step " << step;
      ASSERT_EQ(chain.front().empty(), model.empty());
    }
  }
}

TEST(OutputChainDeathTest, ConsumingTooMuchIsAProgramError) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  OutputChain chain;
  chain.append("a");
  EXPECT_DEATH(chain.consume(2), "count <= size_");
}

}  // namespace
}  // namespace xmpp
