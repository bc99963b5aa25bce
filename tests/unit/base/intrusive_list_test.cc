// IntrusiveList: order, unlinking from the middle, elements in two lists, elements that die while
// linked.
#include "xmpp/base/intrusive_list.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace xmpp {
namespace {

struct DirtyTag;
struct Item : ListHook<>, ListHook<DirtyTag> {
  explicit Item(int v) : value(v) {}
  int value;
};
using Items = IntrusiveList<Item>;
using DirtyItems = IntrusiveList<Item, DirtyTag>;

template <typename List>
std::vector<int> values(List& list) {
  std::vector<int> out;
  for (Item& item : list) out.push_back(item.value);
  return out;
}

TEST(IntrusiveListTest, KeepsOrder) {
  Item a(1);
  Item b(2);
  Item c(3);
  Items list;
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.pop_front(), nullptr);
  list.push_back(b);
  list.push_back(c);
  list.push_front(a);
  EXPECT_EQ(values(list), std::vector<int>({1, 2, 3}));
  EXPECT_EQ(list.front().value, 1);
  EXPECT_EQ(list.back().value, 3);
  Items::unlink(b);
  Items::unlink(b);  // harmless
  EXPECT_FALSE(Items::is_linked(b));
  EXPECT_EQ(values(list), std::vector<int>({1, 3}));
  EXPECT_EQ(list.pop_front(), &a);
  EXPECT_EQ(list.pop_front(), &c);
  EXPECT_TRUE(list.empty());
}

TEST(IntrusiveListTest, OneElementInTwoLists) {
  Item a(1);
  Item b(2);
  Items list;
  DirtyItems dirty;
  list.push_back(a);
  list.push_back(b);
  dirty.push_back(b);
  EXPECT_FALSE(DirtyItems::is_linked(a));
  DirtyItems::unlink(b);
  EXPECT_TRUE(dirty.empty());
  EXPECT_EQ(values(list), std::vector<int>({1, 2}));
}

TEST(IntrusiveListTest, ElementsLeaveWhenTheyDie) {
  Items list;
  auto a = std::make_unique<Item>(1);
  auto b = std::make_unique<Item>(2);
  auto c = std::make_unique<Item>(3);
  for (auto* item : {a.get(), b.get(), c.get()}) list.push_back(*item);
  b.reset();
  EXPECT_EQ(values(list), std::vector<int>({1, 3}));
  a.reset();
  c.reset();
  EXPECT_TRUE(list.empty());
}

TEST(IntrusiveListTest, TheListMayDieFirst) {
  Item a(1);
  {
    Items list;
    list.push_back(a);
  }
  EXPECT_FALSE(Items::is_linked(a));
}

TEST(IntrusiveListTest, CopiesOfElementsAreNotLinked) {
  Item a(1);
  Items list;
  list.push_back(a);
  const Item copy = a;
  EXPECT_FALSE(Items::is_linked(copy));
  a = Item(5);
  EXPECT_EQ(values(list), std::vector<int>({5}));
}

TEST(IntrusiveListTest, SpliceAndMove) {
  Item a(1);
  Item b(2);
  Item c(3);
  Items one;
  Items two;
  one.push_back(a);
  two.push_back(b);
  two.push_back(c);
  one.splice_back(two);
  one.splice_back(two);
  one.splice_back(one);
  EXPECT_TRUE(two.empty());
  EXPECT_EQ(values(one), std::vector<int>({1, 2, 3}));
  Items three(std::move(one));
  EXPECT_EQ(values(three), std::vector<int>({1, 2, 3}));
  two.push_back(one.empty() ? *three.pop_front() : a);
  EXPECT_EQ(values(three), std::vector<int>({2, 3}));
  EXPECT_EQ(values(two), std::vector<int>({1}));
}

TEST(IntrusiveListTest, DrainingWhileElementsComeAndGo) {
  Item a(1);
  Item c(3);
  auto b = std::make_unique<Item>(2);
  DirtyItems dirty;
  dirty.push_back(a);
  dirty.push_back(*b);
  std::vector<int> seen;
  while (Item* item = dirty.pop_front()) {
    seen.push_back(item->value);
    if (item == &a) {
      b.reset();
      dirty.push_back(c);
    }
  }
  EXPECT_EQ(seen, std::vector<int>({1, 3}));
}

}  // namespace
}  // namespace xmpp
