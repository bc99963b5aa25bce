// Random values of codec types, for property tests:
//
//   xml::testing::expect_round_trip<xep::Delay>();
//
// Types with a ValueCodec of their own need a specialisation of Generator.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <iterator>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "xmpp/xml/codec.h"

namespace xmpp::xml::testing {

using Random = std::mt19937;

template <typename T>
struct Generator {
  // A payload: every field.
  static T make(Random& random) {
    T value{};
    std::apply([&](const auto&... field) { (fill(value.*(field.member), random), ...); },
               T::codec.fields);
    return value;
  }

 private:
  template <typename V>
  static void fill(V& member, Random& random) {
    member = Generator<V>::make(random);
  }
};

template <>
struct Generator<std::string> {
  // Never empty: optional text that is empty reads as absent.
  static std::string make(Random& random) {
    static constexpr std::string_view kPieces[] = {
        "a",     "Z9",   " ",  "&",  "<",   ">",        "'",
        "\"",    "\r",   "\n", "\t", "]]>", "\xC3\xA9", "\xF0\x9F\x98\x80",
        "&amp;", "<!--",
    };
    std::string text(1, static_cast<char>('a' + random() % 26));
    for (auto n = random() % 6; n > 0; --n) text += kPieces[random() % std::size(kPieces)];
    return text;
  }
};

template <>
struct Generator<Secret> {
  static Secret make(Random& random) { return Secret(Generator<std::string>::make(random)); }
};

template <>
struct Generator<bool> {
  static bool make(Random& random) { return random() % 2 == 0; }
};

template <>
struct Generator<Timestamp> {  // whole milliseconds from 1970 to 2069
  static Timestamp make(Random& random) {
    const auto seconds = std::chrono::seconds(random() % 3'150'000'000U);
    return Timestamp(seconds) + std::chrono::milliseconds(random() % 3 == 0 ? random() % 1000 : 0);
  }
};

template <std::integral T>
struct Generator<T> {
  static T make(Random& random) { return static_cast<T>(random()); }
};

template <ListedEnum T>
struct Generator<T> {
  static T make(Random& random) {
    const auto values = enum_values(T{});
    return values[random() % std::size(values)].value;
  }
};

template <typename T>
struct Generator<std::optional<T>> {
  static std::optional<T> make(Random& random) {
    if (random() % 3 == 0) return std::nullopt;
    return Generator<T>::make(random);
  }
};

template <typename T>
struct Generator<std::vector<T>> {
  static std::vector<T> make(Random& random) {
    std::vector<T> values;
    for (auto n = random() % 4; n > 0; --n) values.push_back(Generator<T>::make(random));
    return values;
  }
};

// decode(parse(to_xml(x))) equals x, for random x; also inside another default namespace.
template <typename T>
void expect_round_trip(std::size_t rounds = 200, std::uint32_t seed = 1) {
  Random random(seed);
  for (std::size_t i = 0; i < rounds; ++i) {
    const T value = Generator<T>::make(random);
    const std::string_view default_ns = i % 2 == 0 ? std::string_view() : T::codec.name.ns;
    const std::string bytes = to_xml(value, default_ns);
    const auto document = Document::parse(bytes, default_ns);
    ASSERT_TRUE(document) << bytes;
    const auto decoded = decode<T>(document->root());
    ASSERT_TRUE(decoded) << bytes << "\nrefused: " << decoded.error().name;
    ASSERT_EQ(*decoded == value, true) << bytes << "\nbecame\n" << to_xml(*decoded, default_ns);
  }
}

}  // namespace xmpp::xml::testing
