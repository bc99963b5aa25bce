// Slots: a module's private data on a core object.
//
//   SessionSlot<CarbonsState> slot_;                 // member of the module
//   slot_ = scope.session_slot<CarbonsState>();      // in attach()
//   session[slot_].enabled = true;                   // created on first use
//
// A value is destroyed with its object or with the module's Scope, whichever goes first.
//
// An AccountState is a slot on an account that is filled from storage before any hook runs for the
// account; see Scope::account_state().
//
// Thread-safety: the owner's worker. Invariant: a slot's index belongs to one (profile, worker) and
// is not reused while any object may hold a value for it.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace xmppd {

class Account;
class Host;
class Session;

template <typename Object, typename T>
class Slot {
 public:
  Slot() = default;
  explicit Slot(std::uint32_t index) noexcept : index_(index) {}
  [[nodiscard]] std::uint32_t index() const noexcept { return index_; }

 private:
  std::uint32_t index_ = UINT32_MAX;
};
template <typename T>
using SessionSlot = Slot<Session, T>;
template <typename T>
using AccountSlot = Slot<Account, T>;
template <typename T>
using HostSlot = Slot<Host, T>;

// See Scope::account_state(). `account[state]` is what was loaded, and the module's to change; a
// default T while a module that was loaded just now waits for it.
template <typename T>
using AccountState = AccountSlot<T>;

// A value of a type that only its module knows.
using SlotValue = std::unique_ptr<void, void (*)(void*)>;
template <typename T>
[[nodiscard]] SlotValue make_slot_value(T value) {
  return {new T(std::move(value)), [](void* data) { delete static_cast<T*>(data); }};
}

// The values on one object. Costs one pointer until a value is made.
class SlotBag {
 public:
  template <typename T>
  [[nodiscard]] T& get(std::uint32_t index) {
    Value& value = at(index);
    if (!value) value = make_slot_value(T());
    return *static_cast<T*>(value.get());
  }
  template <typename T>
  [[nodiscard]] T* find(std::uint32_t index) noexcept {
    if (!values_ || index >= values_->size()) return nullptr;
    return static_cast<T*>((*values_)[index].get());
  }
  void put(std::uint32_t index, SlotValue value) { at(index) = std::move(value); }
  void erase(std::uint32_t index) noexcept {
    if (values_ && index < values_->size()) (*values_)[index] = Value(nullptr, [](void*) {});
  }

 private:
  using Value = SlotValue;
  Value& at(std::uint32_t index) {
    if (!values_) values_ = std::make_unique<std::vector<Value>>();
    while (values_->size() <= index) values_->emplace_back(nullptr, [](void*) {});
    return (*values_)[index];
  }
  std::unique_ptr<std::vector<Value>> values_;
};

}  // namespace xmppd
