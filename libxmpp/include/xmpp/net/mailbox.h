// Mailbox: multi-producer, single-consumer queue of Mail between workers; Outbox: what one producer
// collects during a turn and publishes at its end, one compare-exchange per destination.
//
// Sleep protocol: the consumer sets `sleeping`, looks again, and only then waits in its poller; a
// producer publishes first and wakes the consumer only if `sleeping.exchange(false)` was true.
// Everything on `head_` and `sleeping_` is seq_cst; no fences (ThreadSanitizer cannot see them).
//
// Thread-safety: push(), is_empty() and depth() any thread; the rest the consumer only; an Outbox
// one thread. Invariants: (1) FIFO per producer. (2) Mail is delivered or dropped exactly once and
// then frees itself.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

namespace xmpp::net {

// An intrusive message. `act(mail, true)` runs it and frees it; `act(mail, false)` only frees it.
struct Mail {
  using Act = void (*)(Mail*, bool run);
  explicit Mail(Act what) noexcept : act(what) {}
  Mail* next = nullptr;
  Act act;
};

// Mail from any callable; moves it, runs it once on the consumer.
template <typename F>
[[nodiscard]] Mail* make_mail(F&& call) {
  struct Call final : Mail {
    explicit Call(F&& c) : Mail(&run_and_free), body(std::forward<F>(c)) {}
    static void run_and_free(Mail* mail, bool run) {
      auto* self = static_cast<Call*>(mail);
      if (run) self->body();
      delete self;
    }
    std::decay_t<F> body;
  };
  return new Call(std::forward<F>(call));
}

class Mailbox {
 public:
  Mailbox() = default;
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;
  ~Mailbox();  // drops what is left

  // Publishes a chain linked newest to oldest (`newest`->next is older; `oldest`->next is
  // overwritten). Returns true if the consumer must be woken.
  [[nodiscard]] bool push(Mail* newest, Mail* oldest, std::size_t count) noexcept;
  // Everything published so far, oldest first, linked by `next`; nullptr if nothing.
  [[nodiscard]] Mail* take() noexcept;
  [[nodiscard]] bool is_empty() const noexcept;
  // Consumer: so many of the mails that take() gave have been run or dropped.
  void settle(std::size_t count) noexcept { depth_.fetch_sub(count, std::memory_order_relaxed); }
  // Mails pushed and not yet settled, approximately; any thread, for back-pressure and metrics.
  [[nodiscard]] std::size_t depth() const noexcept {
    return depth_.load(std::memory_order_relaxed);
  }

  // Announces sleep; false if mail arrived meanwhile (do not sleep then).
  [[nodiscard]] bool prepare_sleep() noexcept;
  void awake() noexcept;

 private:
  std::atomic<Mail*> head_{nullptr};
  std::atomic<bool> sleeping_{false};
  std::atomic<std::size_t> depth_{0};
};

// What one producer collects for one mailbox during a turn: newest first, ready for push().
class Outbox {
 public:
  Outbox() = default;
  Outbox(const Outbox&) = delete;
  Outbox& operator=(const Outbox&) = delete;
  ~Outbox();  // drops what was not published

  void add(Mail* mail) noexcept {
    mail->next = newest_;
    newest_ = mail;
    if (oldest_ == nullptr) oldest_ = mail;
    ++size_;
  }
  [[nodiscard]] bool is_empty() const noexcept { return newest_ == nullptr; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  // Hands the chain to `publish(newest, oldest, count)`, e.g. Reactor::post_chain; nothing if
  // empty.
  template <typename Publish>
  void publish(Publish&& publish) {
    if (newest_ == nullptr) return;
    Mail* newest = std::exchange(newest_, nullptr);
    Mail* oldest = std::exchange(oldest_, nullptr);
    publish(newest, oldest, std::exchange(size_, 0));
  }

 private:
  Mail* newest_ = nullptr;
  Mail* oldest_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace xmpp::net
