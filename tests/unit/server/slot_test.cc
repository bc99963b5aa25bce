// SlotBag: values that survive their module or their object as bytes.
#include "xmppd/slot.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "core/backstop.h"

namespace xmppd {
namespace {

struct Counter {
  static constexpr std::string_view kSlotName = "counter";
  [[nodiscard]] std::string save() const { return value == 0 ? "" : std::to_string(value); }
  static std::optional<Counter> restore(std::string_view saved) {
    if (saved == "bad") return std::nullopt;
    if (saved == "worse") throw std::runtime_error("restore");
    return Counter{std::stoi(std::string(saved))};
  }
  int value = 0;
};

// Does not survive.
struct Plain {
  int value = 0;
};

struct ThrowsSaved {
  static constexpr std::string_view kSlotName = "throws";
  [[nodiscard]] static std::string save() { throw std::runtime_error("save"); }
  static std::optional<ThrowsSaved> restore(std::string_view) { return ThrowsSaved{}; }
};

template <typename T>
SlotEntry entry_of(std::uint32_t index, std::string module = "m") {
  auto entry = slot_entry<T>();
  entry.index = index;
  entry.module = std::move(module);
  return entry;
}

const std::vector<SavedSlot> kSeven = {{"m", "counter", "7"}};

TEST(SlotBag, SavesWhatCanBeSavedAndIsWorthIt) {
  const auto counter = entry_of<Counter>(0);
  const auto plain = entry_of<Plain>(1);
  const auto idle = entry_of<Counter>(5, "other");
  SlotBag bag;
  EXPECT_TRUE(bag.save().empty());
  bag.get<Counter>(counter).value = 7;
  bag.get<Plain>(plain).value = 8;
  (void)bag.get<Counter>(idle);
  EXPECT_EQ(bag.save(), kSeven);
}

TEST(SlotBag, HeldBytesWaitForTheirModule) {
  const auto counter = entry_of<Counter>(0);
  const auto others = entry_of<Counter>(1, "other");
  const auto plain = entry_of<Plain>(2);
  SlotBag bag;
  bag.hold(kSeven);
  EXPECT_EQ(bag.find<Counter>(others), nullptr);
  EXPECT_EQ(bag.find<Plain>(plain), nullptr);
  EXPECT_EQ(bag.save(), kSeven);  // still there, for another restart
  ASSERT_NE(bag.find<Counter>(counter), nullptr);
  EXPECT_EQ(bag.get<Counter>(counter).value, 7);
  bag.get<Counter>(counter).value = 0;
  EXPECT_TRUE(bag.save().empty());
}

TEST(SlotBag, LaterBytesReplaceEarlierOnesAndValuesReplaceBoth) {
  const auto counter = entry_of<Counter>(0);
  SlotBag bag;
  bag.hold({{"m", "counter", "1"}});
  bag.hold(kSeven);
  EXPECT_EQ(bag.save(), kSeven);
  EXPECT_EQ(bag.get<Counter>(counter).value, 7);
  bag.hold({{"m", "counter", "1"}});
  EXPECT_EQ(bag.get<Counter>(counter).value, 7);
}

TEST(SlotBag, StartsAnewFromBytesThatAreNoGood) {
  const auto counter = entry_of<Counter>(0);
  const auto before = exception_count();
  for (const char* bytes : {"bad", "worse"}) {
    SlotBag bag;
    bag.hold({{"m", "counter", bytes}});
    EXPECT_EQ(bag.get<Counter>(counter).value, 0);
    EXPECT_TRUE(bag.save().empty());
  }
  EXPECT_EQ(exception_count(), before + 1);
}

TEST(SlotBag, SetAsideForTheNextInstance) {
  const auto before = entry_of<Counter>(0);
  const auto after = entry_of<Counter>(3);
  SlotBag bag;
  bag.set_aside(before);  // nothing there
  bag.get<Counter>(before).value = 7;
  bag.set_aside(before);
  EXPECT_EQ(bag.get<Counter>(after).value, 7);
  EXPECT_EQ(bag.get<Counter>(before).value, 7);  // for tasks that still use it
  bag.erase(before.index);
  EXPECT_EQ(bag.save(), kSeven);
  const auto plain = entry_of<Plain>(1);
  bag.get<Plain>(plain).value = 1;
  bag.set_aside(plain);
  EXPECT_EQ(bag.save(), kSeven);
}

TEST(SlotBag, SurvivesAModuleThatThrows) {
  const auto throws = entry_of<ThrowsSaved>(0);
  SlotBag bag;
  (void)bag.get<ThrowsSaved>(throws);
  const auto before = exception_count();
  EXPECT_TRUE(bag.save().empty());
  bag.set_aside(throws);
  EXPECT_EQ(exception_count(), before + 2);
}

TEST(SavedSlots, GoThroughOneText) {
  const std::vector<SavedSlot> saved = {{"m", "counter", "7"}, {"n", "x", std::string("\0:3:", 4)}};
  const auto bytes = to_bytes(saved);
  EXPECT_EQ(parse_saved_slots(bytes), saved);
  EXPECT_EQ(parse_saved_slots(""), std::vector<SavedSlot>{});
  for (const char* wrong :
       {"1", "1:", "x:a", "1:a1:b", "1:a1:b9:c", ":", "-1:a1:b1:c", "99999999999999999999:a"}) {
    EXPECT_EQ(parse_saved_slots(wrong), std::nullopt) << wrong;
  }
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    const auto parsed = parse_saved_slots(std::string_view(bytes).substr(0, cut));
    EXPECT_TRUE(!parsed || parsed->size() == 1U) << cut;
  }
}

}  // namespace
}  // namespace xmppd
