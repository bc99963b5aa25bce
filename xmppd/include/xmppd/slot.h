// Slots: a module's private data on a core object.
//
//   SessionSlot<CarbonsState> slot_;                 // member of the module
//   slot_ = scope.session_slot<CarbonsState>();      // in attach()
//   session[slot_].enabled = true;                   // created on first use
//
// A value is destroyed with its object or with the module's Scope, whichever goes first.
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

// The values on one object. Costs one pointer until a value is made.
class SlotBag {
 public:
  template <typename T>
  [[nodiscard]] T& get(std::uint32_t index) {
    Value& value = at(index);
    if (!value) value = Value(new T(), [](void* data) { delete static_cast<T*>(data); });
    return *static_cast<T*>(value.get());
  }
  template <typename T>
  [[nodiscard]] T* find(std::uint32_t index) noexcept {
    if (!values_ || index >= values_->size()) return nullptr;
    return static_cast<T*>((*values_)[index].get());
  }
  void erase(std::uint32_t index) noexcept {
    if (values_ && index < values_->size()) (*values_)[index] = Value(nullptr, [](void*) {});
  }

 private:
  using Value = std::unique_ptr<void, void (*)(void*)>;
  Value& at(std::uint32_t index) {
    if (!values_) values_ = std::make_unique<std::vector<Value>>();
    while (values_->size() <= index) values_->emplace_back(nullptr, [](void*) {});
    return (*values_)[index];
  }
  std::unique_ptr<std::vector<Value>> values_;
};

}  // namespace xmppd
