// Slots: a module's private data on a core object.
//
//   SessionSlot<CarbonsState> slot_;                 // member of the module
//   slot_ = scope.session_slot<CarbonsState>();      // in attach()
//   session[slot_].enabled = true;                   // created on first use
//
// A value is destroyed with its object or with the module's Scope, whichever goes first. One that
// must survive a reload of its module, or a restart of the server with its session (stream
// management), says how it becomes bytes and comes back:
//
//   struct CarbonsState {
//     static constexpr std::string_view kSlotName = "state";      // unique in the module
//     std::string save() const;                                   // empty: nothing worth keeping
//     static std::optional<CarbonsState> restore(std::string_view saved);  // nullopt: start anew
//     bool enabled = false;
//   };
//
// The bytes may have been saved by another version of the module: restore() checks them. They wait
// at their object until the module asks for its slot; nobody else reads them.
//
// An AccountState is a slot on an account that is filled from storage before any hook runs for the
// account; see Scope::account_state().
//
// Thread-safety: the owner's worker. Invariant: a slot's index belongs to one (profile, worker) and
// is not reused while any object may hold a value for it.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "xmpp/base/assert.h"
#include "xmppd/export.h"

namespace xmppd {

class Account;
class Host;
class Session;

// A value in bytes, on its way to a later instance of its module.
struct SavedSlot {
  std::string module;
  std::string name;
  std::string bytes;
  friend bool operator==(const SavedSlot&, const SavedSlot&) = default;
};
// For storing them: one text, and back; nullopt: not such a text.
[[nodiscard]] XMPPD_API std::string to_bytes(const std::vector<SavedSlot>& saved);
[[nodiscard]] XMPPD_API std::optional<std::vector<SavedSlot>> parse_saved_slots(
    std::string_view bytes);

template <typename T>
concept SavedSlotType = requires(const T& value, std::string_view bytes) {
  { T::kSlotName } -> std::convertible_to<std::string_view>;
  { value.save() } -> std::convertible_to<std::string>;
  { T::restore(bytes) } -> std::convertible_to<std::optional<T>>;
};

// What was registered with scope.session_slot<T>() and the like. Kept by the profile's runtime as
// long as any value may exist.
struct SlotEntry {
  std::uint32_t index = 0;
  std::string module;
  std::string_view name;  // empty: values are not saved
  void (*destroy)(void* value) = nullptr;
  std::string (*save)(const void* value) = nullptr;
  void* (*restore)(std::string_view bytes) = nullptr;  // nullptr: start anew
};

template <typename T>
[[nodiscard]] SlotEntry slot_entry() {
  SlotEntry entry;
  entry.destroy = [](void* value) { delete static_cast<T*>(value); };
  if constexpr (SavedSlotType<T>) {
    entry.name = T::kSlotName;
    entry.save = [](const void* value) -> std::string {
      return static_cast<const T*>(value)->save();
    };
    entry.restore = [](std::string_view bytes) -> void* {
      std::optional<T> value = T::restore(bytes);
      return value ? new T(std::move(*value)) : nullptr;
    };
  }
  return entry;
}

template <typename Object, typename T>
class Slot {
 public:
  Slot() = default;
  explicit Slot(const SlotEntry& entry) noexcept : entry_(&entry) {}
  // REQUIRES: not default constructed.
  [[nodiscard]] const SlotEntry& entry() const noexcept {
    XMPP_ASSERT(entry_ != nullptr);
    return *entry_;
  }

 private:
  const SlotEntry* entry_ = nullptr;
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

// A value of a type that only its module knows, on its way into a slot.
using SlotValue = std::unique_ptr<void, void (*)(void*)>;
template <typename T>
[[nodiscard]] SlotValue make_slot_value(T value) {
  return {new T(std::move(value)), [](void* data) { delete static_cast<T*>(data); }};
}

// The values on one object. Costs two pointers until a value is made or held.
class XMPPD_API SlotBag {
 public:
  // REQUIRES: T is the type that the entry was made for; so for find().
  template <typename T>
  [[nodiscard]] T& get(const SlotEntry& entry) {
    if (T* known = find<T>(entry)) return *known;
    Value& value = at(entry.index);
    value = Value(new T(), &entry);
    return *static_cast<T*>(value.data);
  }
  // nullptr: there is no value yet.
  template <typename T>
  [[nodiscard]] T* find(const SlotEntry& entry) {
    if (held_) restore(entry);
    if (!values_ || entry.index >= values_->size()) return nullptr;
    return static_cast<T*>((*values_)[entry.index].data);
  }
  // `value` is of the entry's type.
  void put(const SlotEntry& entry, SlotValue value) {
    at(entry.index) = Value(value.release(), &entry);
  }
  void erase(std::uint32_t index) noexcept {
    if (values_ && index < values_->size()) (*values_)[index] = Value();
  }

  // The bytes of all values that can be saved, and those that are still held.
  [[nodiscard]] std::vector<SavedSlot> save() const;
  // Keeps the bytes until their module asks for its slot; later ones replace earlier ones of the
  // same module and name.
  void hold(std::vector<SavedSlot> saved);
  // As save() and hold() of one value: its module is being replaced. The value stays for tasks that
  // still use it.
  void set_aside(const SlotEntry& entry);

 private:
  struct Value {
    Value() = default;
    Value(void* what, const SlotEntry* by) noexcept : data(what), entry(by) {}
    Value(Value&& other) noexcept : data(std::exchange(other.data, nullptr)), entry(other.entry) {}
    Value& operator=(Value&& other) noexcept {
      Value old(std::move(*this));
      data = std::exchange(other.data, nullptr);
      entry = other.entry;
      return *this;
    }
    Value(const Value&) = delete;
    Value& operator=(const Value&) = delete;
    ~Value() {
      if (data != nullptr) entry->destroy(data);
    }
    void* data = nullptr;
    const SlotEntry* entry = nullptr;
  };
  Value& at(std::uint32_t index) {
    if (!values_) values_ = std::make_unique<std::vector<Value>>();
    if (values_->size() <= index) values_->resize(index + 1);
    return (*values_)[index];
  }
  // Makes the value of `entry` from held bytes, if there are any.
  void restore(const SlotEntry& entry);
  std::unique_ptr<std::vector<Value>> values_;
  std::unique_ptr<std::vector<SavedSlot>> held_;
};

}  // namespace xmppd
