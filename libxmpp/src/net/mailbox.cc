#include "xmpp/net/mailbox.h"

namespace xmpp::net {

Mailbox::~Mailbox() {
  // What a dropped mail owned may have posted more in its destructor.
  while (Mail* mail = take()) {
    while (mail != nullptr) {
      Mail* next = mail->next;
      mail->act(mail, false);
      mail = next;
    }
  }
}

bool Mailbox::push(Mail* newest, Mail* oldest, std::size_t count) noexcept {
  // Counted before it is visible, so that settle() cannot go below zero.
  depth_.fetch_add(count, std::memory_order_relaxed);
  Mail* head = head_.load();
  do {
    oldest->next = head;
  } while (!head_.compare_exchange_weak(head, newest));
  // The plain load spares producers the exclusive cache line while the consumer is awake. Both are
  // seq_cst: either we see `sleeping`, or the consumer's second look sees our mail.
  return sleeping_.load() && sleeping_.exchange(false);
}

Mail* Mailbox::take() noexcept {
  if (head_.load(std::memory_order_relaxed) == nullptr) return nullptr;
  Mail* mail = head_.exchange(nullptr);
  Mail* oldest_first = nullptr;
  while (mail != nullptr) {
    Mail* older = mail->next;
    mail->next = oldest_first;
    oldest_first = mail;
    mail = older;
  }
  return oldest_first;
}

bool Mailbox::is_empty() const noexcept {
  return head_.load() == nullptr;
}

bool Mailbox::prepare_sleep() noexcept {
  sleeping_.store(true);
  if (head_.load() == nullptr) return true;
  sleeping_.store(false);
  return false;
}

void Mailbox::awake() noexcept {
  sleeping_.store(false);
}

Outbox::~Outbox() {
  while (newest_ != nullptr) {
    Mail* mail = newest_;
    newest_ = mail->next;
    mail->act(mail, false);
  }
}

}  // namespace xmpp::net
