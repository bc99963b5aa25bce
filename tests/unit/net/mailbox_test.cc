#include "xmpp/net/mailbox.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace xmpp::net {
namespace {

void run_all(Mail* mail) {
  while (mail != nullptr) {
    Mail* next = mail->next;
    mail->act(mail, true);
    mail = next;
  }
}

struct Numbered : Mail {
  Numbered(int from, int what) noexcept : Mail(&free), producer(from), number(what) {}
  static void free(Mail* mail, bool) { delete static_cast<Numbered*>(mail); }
  int producer;
  int number;
};

TEST(Mailbox, TakesEverythingOldestFirst) {
  Mailbox box;
  std::vector<int> seen;
  for (int i = 0; i < 3; ++i) {
    Mail* mail = make_mail([&seen, i] { seen.push_back(i); });
    EXPECT_FALSE(box.push(mail, mail, 1));
  }
  Outbox chain;
  for (int i = 3; i < 6; ++i) chain.add(make_mail([&seen, i] { seen.push_back(i); }));
  EXPECT_EQ(chain.size(), 3u);
  chain.publish([&](Mail* newest, Mail* oldest, std::size_t count) {
    EXPECT_FALSE(box.push(newest, oldest, count));
  });
  EXPECT_TRUE(chain.is_empty());
  EXPECT_EQ(box.depth(), 6u);
  run_all(box.take());
  EXPECT_EQ(seen, (std::vector<int>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(box.take(), nullptr);
  EXPECT_TRUE(box.is_empty());
  EXPECT_EQ(box.depth(), 6u);
  box.settle(6);
  EXPECT_EQ(box.depth(), 0u);
}

TEST(Mailbox, DropsWhatIsLeftWithoutRunningIt) {
  auto token = std::make_shared<int>(0);
  bool ran = false;
  {
    Mailbox box;
    Mail* mail = make_mail([token, &ran] { ran = true; });
    EXPECT_FALSE(box.push(mail, mail, 1));
    Outbox unpublished;
    unpublished.add(make_mail([token, &ran] { ran = true; }));
    EXPECT_EQ(token.use_count(), 3);
  }
  EXPECT_EQ(token.use_count(), 1);
  EXPECT_FALSE(ran);
}

TEST(Mailbox, OnlyTheFirstPushWakesASleeper) {
  Mailbox box;
  EXPECT_TRUE(box.prepare_sleep());
  Mail* first = make_mail([] {});
  EXPECT_TRUE(box.push(first, first, 1));
  Mail* second = make_mail([] {});
  EXPECT_FALSE(box.push(second, second, 1));
  EXPECT_FALSE(box.prepare_sleep());  // mail arrived
  run_all(box.take());
  EXPECT_TRUE(box.prepare_sleep());
  box.awake();
  Mail* third = make_mail([] {});
  EXPECT_FALSE(box.push(third, third, 1));
}

TEST(Mailbox, IsFifoPerProducerAndLosesNoWakeup) {
  constexpr int kProducers = 4;
  static constexpr int kMails = 4000;
  Mailbox box;
  std::atomic<int> wakes{0};  // stands in for the eventfd
  std::vector<std::jthread> producers;
  for (int p = 0; p < kProducers; ++p) {
    producers.emplace_back([&box, &wakes, p] {
      int number = 0;
      while (number < kMails) {
        Outbox chain;
        const int end = std::min(kMails, number + 1 + number % 5);
        while (number < end) chain.add(new Numbered(p, number++));
        chain.publish([&](Mail* newest, Mail* oldest, std::size_t count) {
          if (!box.push(newest, oldest, count)) return;
          wakes.fetch_add(1);
          wakes.notify_one();
        });
      }
    });
  }
  std::vector<int> next(kProducers, 0);
  int total = 0;
  int seen_wakes = 0;
  while (total < kProducers * kMails) {
    // A lost wake-up would hang here (and the test's time limit would report it).
    if (box.prepare_sleep()) {
      wakes.wait(seen_wakes);
      seen_wakes = wakes.load();
      box.awake();
    }
    std::size_t count = 0;
    for (Mail* mail = box.take(); mail != nullptr;) {
      auto* numbered = static_cast<Numbered*>(mail);
      ASSERT_EQ(numbered->number, next[static_cast<std::size_t>(numbered->producer)]++);
      mail = mail->next;
      numbered->act(numbered, true);
      ++count;
    }
    box.settle(count);
    total += static_cast<int>(count);
  }
  EXPECT_EQ(box.depth(), 0u);
}

}  // namespace
}  // namespace xmpp::net
