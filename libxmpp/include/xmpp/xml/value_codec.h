// ValueCodec<T>: a value as the text of an attribute or of an element. Specialise it for further
// types (core does so for Jid); an enum needs a table instead:
//
//   enum class Show { away, chat };
//   constexpr auto enum_values(Show) {  // found by argument-dependent lookup
//     return std::to_array<xml::EnumValue<Show>>({{Show::away, "away"}, {Show::chat, "chat"}});
//   }
//
// Thread-safety: any thread. Spec: XEP-0082 for Timestamp; XML Schema part 2 for bool and integers.
#pragma once

#include <array>
#include <charconv>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "xmpp/base/secret.h"
#include "xmpp/base/time.h"

namespace xmpp::xml {

// decode: from text to value, nullopt if it is none. encode: appends the text.
template <typename T>
struct ValueCodec;

template <typename E>
struct EnumValue {
  E value;
  std::string_view text;
};

template <typename E>
concept ListedEnum = std::is_enum_v<E> && requires(E value) { enum_values(value); };

// The text of a listed enum value; empty if it is not in the table.
template <ListedEnum E>
[[nodiscard]] constexpr std::string_view enum_text(E value) noexcept {
  for (const auto& entry : enum_values(value)) {
    if (entry.value == value) return entry.text;
  }
  return {};
}

template <ListedEnum E>
[[nodiscard]] constexpr std::optional<E> find_enum(std::string_view text) noexcept {
  for (const auto& entry : enum_values(E{})) {
    if (entry.text == text) return entry.value;
  }
  return std::nullopt;
}

// Without white space around it.
[[nodiscard]] std::string_view trim_space(std::string_view text) noexcept;

template <>
struct ValueCodec<std::string> {
  static std::optional<std::string> decode(std::string_view text) { return std::string(text); }
  static void encode(std::string& out, const std::string& value) { out += value; }
};

template <>
struct ValueCodec<Secret> {
  static std::optional<Secret> decode(std::string_view text) { return Secret(std::string(text)); }
  static void encode(std::string& out, const Secret& value) { out += value.reveal(); }
};

template <>
struct ValueCodec<bool> {
  static std::optional<bool> decode(std::string_view text) noexcept;  // true, false, 1, 0
  static void encode(std::string& out, bool value) { out += value ? "true" : "false"; }
};

template <>
struct ValueCodec<Timestamp> {
  static std::optional<Timestamp> decode(std::string_view text);
  static void encode(std::string& out, Timestamp value);
};

template <std::integral T>
struct ValueCodec<T> {
  static std::optional<T> decode(std::string_view text) noexcept {
    text = trim_space(text);
    if (text.starts_with('+')) text.remove_prefix(1);
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
  }
  static void encode(std::string& out, T value) { out += std::to_string(value); }
};

template <ListedEnum T>
struct ValueCodec<T> {
  static std::optional<T> decode(std::string_view text) noexcept { return find_enum<T>(text); }
  static void encode(std::string& out, T value) { out += enum_text(value); }
};

}  // namespace xmpp::xml
