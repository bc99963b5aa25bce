// Sendable: what may travel to another thread by value. Arguments and results of storage closures
// and of cross-owner calls satisfy it, so that no view, pointer or reference into one worker's
// state reaches another.
//
// A type of one's own opts out with `using not_sendable = void;`.
//
// Thread-safety: compile time only.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace xmppd {

namespace sendable_detail {

template <typename T>
inline constexpr bool kIsValue =
    !std::is_reference_v<T> && !std::is_pointer_v<T> && !std::is_member_pointer_v<T> &&
    !requires { typename T::not_sendable; };
template <typename C, typename Traits>
inline constexpr bool kIsValue<std::basic_string_view<C, Traits>> = false;
template <typename T, std::size_t N>
inline constexpr bool kIsValue<std::span<T, N>> = false;
template <typename T>
inline constexpr bool kIsValue<std::reference_wrapper<T>> = false;
template <typename T>
inline constexpr bool kIsValue<std::shared_ptr<T>> = std::is_const_v<T>;  // shared immutable data
template <typename T>
inline constexpr bool kIsValue<std::weak_ptr<T>> = false;
template <typename T>
inline constexpr bool kIsValue<std::optional<T>> = kIsValue<T>;
template <typename T, typename A>
inline constexpr bool kIsValue<std::vector<T, A>> = kIsValue<T>;
template <typename K, typename V, typename C, typename A>
inline constexpr bool kIsValue<std::map<K, V, C, A>> = kIsValue<K> && kIsValue<V>;
template <typename A, typename B>
inline constexpr bool kIsValue<std::pair<A, B>> = kIsValue<A> && kIsValue<B>;
template <typename... T>
inline constexpr bool kIsValue<std::tuple<T...>> = (kIsValue<T> && ...);

}  // namespace sendable_detail

// A value that another thread may own: no reference, pointer or view, also not inside a standard
// container.
template <typename T>
concept Sendable = std::is_object_v<T> && std::move_constructible<T> &&
                   sendable_detail::kIsValue<std::remove_cv_t<T>>;

// A closure that captures nothing, so nothing is smuggled in a capture.
template <typename F>
concept Captureless = std::is_empty_v<F> && std::is_class_v<F>;

}  // namespace xmppd
