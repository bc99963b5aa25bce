// IntrusiveList: a doubly linked list through hooks that the elements bring along. No allocation,
// O(1) unlinking without knowing the list; an element leaves its list when it dies.
//
//   struct Link : ListHook<struct DirtyTag>, ListHook<struct WaiterTag> { ... };
//   IntrusiveList<Link, DirtyTag> dirty;
//   while (Link* link = dirty.pop_front()) link->flush();     // safe whatever flush() links or
//   destroys
//
// Thread-safety: one thread. Invariants: (1) an element is in at most one list per tag. (2) The
// list does not own its elements; its destructor unlinks them.
#pragma once

#include <cstddef>
#include <iterator>
#include <type_traits>

#include "xmpp/base/assert.h"

namespace xmpp {

struct DefaultListTag;

template <typename Tag = DefaultListTag>
class ListHook {
 public:
  ListHook() noexcept = default;
  // Copying or moving an element does not move its place in a list.
  ListHook(const ListHook& /*other*/) noexcept {}
  ListHook& operator=(const ListHook& /*other*/) noexcept { return *this; }
  ~ListHook() { unlink(); }

  [[nodiscard]] bool is_linked() const noexcept { return next_ != this; }
  // Does nothing if not linked.
  void unlink() noexcept {
    previous_->next_ = next_;
    next_->previous_ = previous_;
    previous_ = next_ = this;
  }

 private:
  template <typename T, typename U>
  friend class IntrusiveList;
  void insert_before(ListHook& position) noexcept {
    XMPP_ASSERT(!is_linked());
    next_ = &position;
    previous_ = position.previous_;
    previous_->next_ = this;
    position.previous_ = this;
  }
  ListHook* previous_ = this;
  ListHook* next_ = this;
};

template <typename T, typename Tag = DefaultListTag>
class IntrusiveList {
  using Hook = ListHook<Tag>;

 public:
  // Forward only. Unlinking the element that an iterator stands on invalidates that iterator, no
  // other.
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using pointer = T*;
    using reference = T&;
    Iterator() = default;
    T& operator*() const noexcept { return static_cast<T&>(*at_); }
    T* operator->() const noexcept { return &**this; }
    Iterator& operator++() noexcept {
      at_ = IntrusiveList::next(at_);
      return *this;
    }
    Iterator operator++(int) noexcept {
      Iterator old = *this;
      ++*this;
      return old;
    }
    bool operator==(const Iterator&) const = default;

   private:
    friend class IntrusiveList;
    explicit Iterator(Hook* at) noexcept : at_(at) {}
    Hook* at_ = nullptr;
  };

  IntrusiveList() = default;
  IntrusiveList(IntrusiveList&& other) noexcept { splice_back(other); }
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;
  ~IntrusiveList() { clear(); }

  [[nodiscard]] bool empty() const noexcept { return !ends_.is_linked(); }
  // REQUIRES: the element is in no list of this tag.
  void push_back(T& element) noexcept { hook(element).insert_before(ends_); }
  void push_front(T& element) noexcept { hook(element).insert_before(*ends_.next_); }
  // Unlinks and returns the first element, nullptr if there is none.
  T* pop_front() noexcept {
    if (empty()) return nullptr;
    T& element = front();
    hook(element).unlink();
    return &element;
  }
  // REQUIRES: !empty().
  [[nodiscard]] T& front() noexcept {
    XMPP_ASSERT(!empty());
    return static_cast<T&>(*ends_.next_);
  }
  [[nodiscard]] T& back() noexcept {
    XMPP_ASSERT(!empty());
    return static_cast<T&>(*ends_.previous_);
  }
  // Moves all elements of `other` behind ours.
  void splice_back(IntrusiveList& other) noexcept {
    if (this == &other || other.empty()) return;
    Hook* first = other.ends_.next_;
    Hook* last = other.ends_.previous_;
    other.ends_.next_ = other.ends_.previous_ = &other.ends_;
    first->previous_ = ends_.previous_;
    ends_.previous_->next_ = first;
    last->next_ = &ends_;
    ends_.previous_ = last;
  }
  // Unlinks every element.
  void clear() noexcept {
    while (pop_front() != nullptr) {
    }
  }

  [[nodiscard]] Iterator begin() noexcept { return Iterator(ends_.next_); }
  [[nodiscard]] Iterator end() noexcept { return Iterator(&ends_); }

  // Unlinks `element`, which must be in a list of this tag or in none.
  static void unlink(T& element) noexcept { hook(element).unlink(); }
  [[nodiscard]] static bool is_linked(const T& element) noexcept {
    return static_cast<const Hook&>(element).is_linked();
  }

 private:
  static Hook& hook(T& element) noexcept {
    static_assert(std::is_base_of_v<Hook, T>);
    return element;
  }
  static Hook* next(Hook* hook) noexcept { return hook->next_; }
  Hook ends_;  // next_: first element, previous_: last
};

}  // namespace xmpp
