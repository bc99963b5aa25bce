// SlotBag: values that become bytes and come back; see xmppd/slot.h.
#include "xmppd/slot.h"

#include <algorithm>
#include <charconv>

#include "core/backstop.h"

namespace xmppd {
namespace {

// What a module's save() gives; nothing if it throws.
std::optional<std::string> saved_bytes(const SlotEntry& entry, const void* value) {
  try {
    std::string bytes = entry.save(value);
    if (!bytes.empty()) return bytes;
  } catch (...) {
    note_exception({.component = entry.module}, "exception while data of a slot were saved");
  }
  return std::nullopt;
}

// A netstring: length, colon, bytes.
void append(std::string& to, std::string_view text) {
  to += std::to_string(text.size());
  to += ':';
  to += text;
}

std::optional<std::string> take(std::string_view& from) {
  std::size_t size = 0;
  const auto [end, error] = std::from_chars(from.data(), from.data() + from.size(), size);
  const auto digits = static_cast<std::size_t>(end - from.data());
  if (error != std::errc() || digits >= from.size() || *end != ':') return std::nullopt;
  from.remove_prefix(digits + 1);
  if (size > from.size()) return std::nullopt;
  std::string text(from.substr(0, size));
  from.remove_prefix(size);
  return text;
}

}  // namespace

std::string to_bytes(const std::vector<SavedSlot>& saved) {
  std::string bytes;
  for (const SavedSlot& one : saved) {
    append(bytes, one.module);
    append(bytes, one.name);
    append(bytes, one.bytes);
  }
  return bytes;
}

std::optional<std::vector<SavedSlot>> parse_saved_slots(std::string_view bytes) {
  std::vector<SavedSlot> saved;
  while (!bytes.empty()) {
    auto module = take(bytes);
    auto name = module ? take(bytes) : std::nullopt;
    auto value = name ? take(bytes) : std::nullopt;
    if (!value) return std::nullopt;
    saved.push_back({std::move(*module), std::move(*name), std::move(*value)});
  }
  return saved;
}

std::vector<SavedSlot> SlotBag::save() const {
  std::vector<SavedSlot> saved;
  if (held_) saved = *held_;
  if (!values_) return saved;
  for (const Value& value : *values_) {
    if (value.data == nullptr || value.entry->save == nullptr) continue;
    if (auto bytes = saved_bytes(*value.entry, value.data)) {
      saved.push_back({value.entry->module, std::string(value.entry->name), std::move(*bytes)});
    }
  }
  return saved;
}

void SlotBag::hold(std::vector<SavedSlot> saved) {
  if (saved.empty()) return;
  if (!held_) held_ = std::make_unique<std::vector<SavedSlot>>();
  for (SavedSlot& one : saved) {
    std::erase_if(*held_, [&](const SavedSlot& known) {
      return known.module == one.module && known.name == one.name;
    });
    held_->push_back(std::move(one));
  }
}

void SlotBag::set_aside(const SlotEntry& entry) {
  if (!values_ || entry.index >= values_->size()) return;
  const Value& value = (*values_)[entry.index];
  if (value.data == nullptr || entry.save == nullptr) return;
  if (auto bytes = saved_bytes(entry, value.data)) {
    std::vector<SavedSlot> one;
    one.push_back({entry.module, std::string(entry.name), std::move(*bytes)});
    hold(std::move(one));
  }
}

void SlotBag::restore(const SlotEntry& entry) {
  if (entry.restore == nullptr) return;
  const auto found = std::find_if(held_->begin(), held_->end(), [&](const SavedSlot& one) {
    return one.name == entry.name && one.module == entry.module;
  });
  if (found == held_->end()) return;
  const std::string bytes = std::move(found->bytes);
  held_->erase(found);
  if (held_->empty()) held_.reset();
  Value& value = at(entry.index);
  if (value.data != nullptr) return;  // a newer value was made meanwhile
  try {
    value = Value(entry.restore(bytes), &entry);
  } catch (...) {
    note_exception({.component = entry.module}, "exception while data of a slot were restored");
  }
}

}  // namespace xmppd
