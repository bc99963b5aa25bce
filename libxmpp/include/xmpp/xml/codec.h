// Codec: one constexpr declaration per payload type gives decode, encode and match.
//
//   struct Delay {
//     Timestamp stamp;
//     std::string reason;
//     bool operator==(const Delay&) const = default;
//     static constexpr auto codec = xml::element(ns::delay, "delay",
//         xml::attr("stamp", &Delay::stamp, xml::required),
//         xml::text(&Delay::reason));
//   };
//   extern template struct xml::Codec<Delay>;   // in the header; in one .cc: template struct
//   xml::Codec<Delay>;
//
// Fields (all but flag take `xml::required` last):
//   attr("name", &T::x)             attribute; "xml:lang" is the one with a prefix
//   text(&T::x)                     the element's own text
//   child(&T::x)                    embedded payload with its own codec, U or std::optional<U>
//   children(&T::x)                 std::vector<U> of such
//   child_text([ns,] "name", &T::x) text of a child element
//   child_texts([ns,] "name", &T::x) std::vector of it
//   flag([ns,] "name", &T::x)       bool: is there an (empty) child?
//   condition([ns,] &T::x)          enum whose table names child elements: <not-authorized/>
// Values: what ValueCodec knows, or std::optional of it. Without a namespace, children are in the
// element's.
//
// What is absent decodes to the value of a default-constructed T, and a value that equals that of a
// default-constructed T is not written, unless required. Unknown attributes and children are
// ignored; of a child that may come once, the first counts.
//
// Thread-safety: any thread.
#pragma once

#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "xmpp/xml/document.h"
#include "xmpp/xml/value_codec.h"
#include "xmpp/xml/writer.h"

namespace xmpp::xml {

struct DecodeError {
  enum class Kind : std::uint8_t { wrong_element, missing, invalid };
  Kind kind = Kind::invalid;
  std::string_view name;  // of the attribute or element concerned; constant text

  bool operator==(const DecodeError&) const = default;
};

enum class Presence : bool { optional, required };
constexpr Presence required = Presence::required;

template <typename T>
struct Codec {
  static Result<T, DecodeError> decode(Element element);
  static void encode(Writer& writer, const T& value);
};

template <typename T>
[[nodiscard]] Result<T, DecodeError> decode(Element element) {
  return Codec<T>::decode(element);
}
template <typename T>
void encode(Writer& writer, const T& value) {
  Codec<T>::encode(writer, value);
}
template <typename T>
[[nodiscard]] std::string to_xml(const T& value, std::string_view default_ns = {}) {
  std::string out;
  Writer writer(out, default_ns);
  Codec<T>::encode(writer, value);
  return out;
}
// By name only.
template <typename T>
[[nodiscard]] bool matches(Element element) noexcept {
  return element.is(T::codec.name);
}

namespace detail {

using Failure = std::optional<DecodeError>;

template <typename T>
struct Optional : std::false_type {
  using Value = T;
};
template <typename T>
struct Optional<std::optional<T>> : std::true_type {
  using Value = T;
};

template <typename T>
bool is_same_value(const T& a, const T& b) {
  if constexpr (std::equality_comparable<T>) {
    return a == b;
  } else if constexpr (requires { a.empty(); }) {
    return a.empty() && b.empty();
  } else {
    return false;
  }
}

// The text of a value, or nullptr if it is not to be written.
template <typename V>
const std::string* value_text(const V& value, const V& initial, Presence presence,
                              std::string& buffer) {
  if (presence == Presence::optional && is_same_value(value, initial)) return nullptr;
  buffer.clear();
  if constexpr (Optional<V>::value) {
    if (!value) return nullptr;
    ValueCodec<typename Optional<V>::Value>::encode(buffer, *value);
  } else {
    ValueCodec<V>::encode(buffer, value);
  }
  return &buffer;
}

template <typename V>
Failure decode_value(V& value, std::string_view text, std::string_view name) {
  auto decoded = ValueCodec<typename Optional<V>::Value>::decode(text);
  if (!decoded) return DecodeError{DecodeError::Kind::invalid, name};
  value = std::move(*decoded);
  return std::nullopt;
}

inline Failure absent(Presence presence, std::string_view name) {
  if (presence == Presence::optional) return std::nullopt;
  return DecodeError{DecodeError::Kind::missing, name};
}

// `ns` of a field, or that of the element it belongs to.
constexpr std::string_view pick_ns(std::string_view ns, std::string_view element_ns) noexcept {
  return ns.empty() ? element_ns : ns;
}

template <typename T, typename V>
struct AttrField {
  static constexpr bool is_attribute = true;
  std::string_view name;
  V T::*member;
  Presence presence;

  Failure decode(Element element, std::string_view, T& value) const {
    std::string buffer;
    std::optional<std::string_view> found;
    if (name.starts_with("xml:")) {
      if (auto text = element.attr_ns({ns::xml, name.substr(4)})) found = buffer = std::move(*text);
    } else {
      found = element.attr(name, buffer);
    }
    if (!found) return absent(presence, name);
    return decode_value(value.*member, *found, name);
  }
  void encode(Writer& writer, std::string_view, const T& value, const T& initial) const {
    std::string buffer;
    if (const auto* text = value_text(value.*member, initial.*member, presence, buffer)) {
      writer.attr(name, *text);
    }
  }
};

template <typename T, typename V>
struct TextField {
  static constexpr bool is_attribute = false;
  V T::*member;
  Presence presence;

  Failure decode(Element element, std::string_view, T& value) const {
    std::string buffer;
    const std::string_view text = element.text(buffer);
    if (text.empty() && presence == Presence::optional) return std::nullopt;
    return decode_value(value.*member, text, "text");
  }
  void encode(Writer& writer, std::string_view, const T& value, const T& initial) const {
    std::string buffer;
    if (const auto* text = value_text(value.*member, initial.*member, presence, buffer)) {
      writer.text(*text);
    }
  }
};

template <typename T, typename V>
struct ChildField {
  static constexpr bool is_attribute = false;
  using Payload = typename Optional<V>::Value;
  V T::*member;
  Presence presence;

  Failure decode(Element element, std::string_view, T& value) const {
    const Element child = element.find_child(Payload::codec.name);
    if (!child) return absent(presence, Payload::codec.name.local);
    auto decoded = Codec<Payload>::decode(child);
    if (!decoded) return decoded.error();
    value.*member = std::move(*decoded);
    return std::nullopt;
  }
  void encode(Writer& writer, std::string_view, const T& value, const T& initial) const {
    if constexpr (Optional<V>::value) {
      if (value.*member) Codec<Payload>::encode(writer, *(value.*member));
    } else if (presence == Presence::required || !is_same_value(value.*member, initial.*member)) {
      Codec<Payload>::encode(writer, value.*member);
    }
  }
};

template <typename T, typename U>
struct ChildrenField {
  static constexpr bool is_attribute = false;
  std::vector<U> T::*member;
  Presence presence;

  Failure decode(Element element, std::string_view, T& value) const {
    for (const Element child : element.children()) {
      if (!child.is(U::codec.name)) continue;
      auto decoded = Codec<U>::decode(child);
      if (!decoded) return decoded.error();
      (value.*member).push_back(std::move(*decoded));
    }
    if ((value.*member).empty()) return absent(presence, U::codec.name.local);
    return std::nullopt;
  }
  void encode(Writer& writer, std::string_view, const T& value, const T&) const {
    for (const U& payload : value.*member) Codec<U>::encode(writer, payload);
  }
};

template <typename T, typename V>
struct ChildTextField {
  static constexpr bool is_attribute = false;
  std::string_view ns;
  std::string_view name;
  V T::*member;
  Presence presence;

  Failure decode(Element element, std::string_view element_ns, T& value) const {
    const Element child = element.find_child({pick_ns(ns, element_ns), name});
    if (!child) return absent(presence, name);
    std::string buffer;
    return decode_value(value.*member, child.text(buffer), name);
  }
  void encode(Writer& writer, std::string_view element_ns, const T& value, const T& initial) const {
    std::string buffer;
    if (const auto* text = value_text(value.*member, initial.*member, presence, buffer)) {
      writer.element(pick_ns(ns, element_ns), name, *text);
    }
  }
};

template <typename T, typename V>
struct ChildTextsField {
  static constexpr bool is_attribute = false;
  std::string_view ns;
  std::string_view name;
  std::vector<V> T::*member;
  Presence presence;

  Failure decode(Element element, std::string_view element_ns, T& value) const {
    const Name wanted(pick_ns(ns, element_ns), name);
    std::string buffer;
    for (const Element child : element.children()) {
      if (!child.is(wanted)) continue;
      V item{};
      if (auto failure = decode_value(item, child.text(buffer), name)) return failure;
      (value.*member).push_back(std::move(item));
    }
    if ((value.*member).empty()) return absent(presence, name);
    return std::nullopt;
  }
  void encode(Writer& writer, std::string_view element_ns, const T& value, const T&) const {
    std::string buffer;
    for (const V& item : value.*member) {
      buffer.clear();
      ValueCodec<V>::encode(buffer, item);
      writer.element(pick_ns(ns, element_ns), name, buffer);
    }
  }
};

template <typename T>
struct FlagField {
  static constexpr bool is_attribute = false;
  std::string_view ns;
  std::string_view name;
  bool T::*member;

  Failure decode(Element element, std::string_view element_ns, T& value) const {
    value.*member = static_cast<bool>(element.find_child({pick_ns(ns, element_ns), name}));
    return std::nullopt;
  }
  void encode(Writer& writer, std::string_view element_ns, const T& value, const T&) const {
    if (value.*member) writer.element(pick_ns(ns, element_ns), name);
  }
};

template <typename T, typename V>
struct ConditionField {
  static constexpr bool is_attribute = false;
  using Enum = typename Optional<V>::Value;
  std::string_view ns;
  V T::*member;
  Presence presence;

  Failure decode(Element element, std::string_view element_ns, T& value) const {
    for (const Element child : element.children()) {
      if (child.ns() != pick_ns(ns, element_ns)) continue;
      if (const auto found = find_enum<Enum>(child.name())) {
        value.*member = *found;
        return std::nullopt;
      }
    }
    return absent(presence, "condition");
  }
  void encode(Writer& writer, std::string_view element_ns, const T& value, const T& initial) const {
    std::string buffer;
    if (const auto* name = value_text(value.*member, initial.*member, presence, buffer)) {
      writer.element(pick_ns(ns, element_ns), *name);
    }
  }
};

template <typename... Fields>
struct ElementCodec {
  Name name;
  std::tuple<Fields...> fields;
};

}  // namespace detail

template <typename... Fields>
[[nodiscard]] constexpr auto element(std::string_view ns, std::string_view name, Fields... fields) {
  return detail::ElementCodec<Fields...>{Name(ns, name), std::tuple<Fields...>(fields...)};
}
template <typename T, typename V>
[[nodiscard]] constexpr auto attr(std::string_view name, V T::*member,
                                  Presence presence = Presence::optional) {
  return detail::AttrField<T, V>{name, member, presence};
}
template <typename T, typename V>
[[nodiscard]] constexpr auto text(V T::*member, Presence presence = Presence::optional) {
  return detail::TextField<T, V>{member, presence};
}
template <typename T, typename V>
[[nodiscard]] constexpr auto child(V T::*member, Presence presence = Presence::optional) {
  return detail::ChildField<T, V>{member, presence};
}
template <typename T, typename U>
[[nodiscard]] constexpr auto children(std::vector<U> T::*member,
                                      Presence presence = Presence::optional) {
  return detail::ChildrenField<T, U>{member, presence};
}
template <typename T, typename V>
[[nodiscard]] constexpr auto child_text(std::string_view ns, std::string_view name, V T::*member,
                                        Presence presence = Presence::optional) {
  return detail::ChildTextField<T, V>{ns, name, member, presence};
}
template <typename T, typename V>
[[nodiscard]] constexpr auto child_text(std::string_view name, V T::*member,
                                        Presence presence = Presence::optional) {
  return detail::ChildTextField<T, V>{{}, name, member, presence};
}
template <typename T, typename V>
[[nodiscard]] constexpr auto child_texts(std::string_view ns, std::string_view name,
                                         std::vector<V> T::*member,
                                         Presence presence = Presence::optional) {
  return detail::ChildTextsField<T, V>{ns, name, member, presence};
}
template <typename T, typename V>
[[nodiscard]] constexpr auto child_texts(std::string_view name, std::vector<V> T::*member,
                                         Presence presence = Presence::optional) {
  return detail::ChildTextsField<T, V>{{}, name, member, presence};
}
template <typename T>
[[nodiscard]] constexpr auto flag(std::string_view ns, std::string_view name, bool T::*member) {
  return detail::FlagField<T>{ns, name, member};
}
template <typename T>
[[nodiscard]] constexpr auto flag(std::string_view name, bool T::*member) {
  return detail::FlagField<T>{{}, name, member};
}
template <typename T, typename V>
[[nodiscard]] constexpr auto condition(std::string_view ns, V T::*member,
                                       Presence presence = Presence::optional) {
  return detail::ConditionField<T, V>{ns, member, presence};
}
template <typename T, typename V>
[[nodiscard]] constexpr auto condition(V T::*member, Presence presence = Presence::optional) {
  return detail::ConditionField<T, V>{{}, member, presence};
}

template <typename T>
Result<T, DecodeError> Codec<T>::decode(Element element) {
  if (!element || !element.is(T::codec.name)) {
    return Err(DecodeError{DecodeError::Kind::wrong_element, T::codec.name.local});
  }
  T value{};
  detail::Failure failure;
  std::apply(
      [&](const auto&... field) {
        (void)(... && !(failure = field.decode(element, T::codec.name.ns, value)));
      },
      T::codec.fields);
  if (failure) return Err(*failure);
  return value;
}

template <typename T>
void Codec<T>::encode(Writer& writer, const T& value) {
  const T initial{};
  writer.start(T::codec.name.ns, T::codec.name.local);
  // Attributes first, whatever the order of declaration.
  const auto encode_if = [&](const auto& field, bool attributes) {
    if (field.is_attribute == attributes) field.encode(writer, T::codec.name.ns, value, initial);
  };
  std::apply([&](const auto&... field) { (encode_if(field, true), ...); }, T::codec.fields);
  std::apply([&](const auto&... field) { (encode_if(field, false), ...); }, T::codec.fields);
  writer.end();
}

}  // namespace xmpp::xml
