// Structured logging: the message is a constant, data are keys.
//
//   log::info(context, "resource bound", {kv("resource", resource), kv("tls", true)});
//
// A disabled level costs one relaxed load. The sink is a callback: xmppd hands records to a log
// thread, tests collect them. Secrets have no overload; message bodies and credentials are never
// logged.
//
// Thread-safety: any thread. The sink must be callable from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace xmpp::log {

enum class Level : std::uint8_t { error, warn, info, debug, trace };

[[nodiscard]] std::string_view to_string(Level level) noexcept;
[[nodiscard]] std::optional<Level> parse_level(std::string_view text) noexcept;

struct Field {
  std::string_view key;
  std::string value;
  bool is_number = false;  // JSON sinks print numbers and booleans unquoted
};

[[nodiscard]] inline Field kv(std::string_view key, std::string_view value) {
  return {key, std::string(value), false};
}
[[nodiscard]] inline Field kv(std::string_view key, const char* value) {
  return {key, std::string(value), false};
}
[[nodiscard]] inline Field kv(std::string_view key, bool value) {
  return {key, value ? "true" : "false", true};
}
template <typename T>
  requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
[[nodiscard]] Field kv(std::string_view key, T value) {
  return {key, std::to_string(value), true};
}

// What every record of one object repeats: who speaks.
struct Context {
  std::string_view component;  // "c2s", "storage", a module's name
  std::string stream;          // stream id, may be empty
  std::string jid;             // may be empty
};

struct Record {
  Level level;
  const Context& context;
  std::string_view message;
  std::initializer_list<Field> fields;
};

using Sink = void (*)(const Record& record, void* user);

// The record as one line of logfmt, without the time and without the newline; control characters
// escaped.
[[nodiscard]] std::string format_logfmt(const Record& record);

// Replaces the sink; `user` is passed back; nullptr restores the default, which writes
// format_logfmt() to stderr. Not to be called while other threads log.
void set_sink(Sink sink, void* user) noexcept;
void set_level(Level level) noexcept;

namespace detail {
// One for the process: an inline variable would be a copy of its own in every module that is built
// with hidden visibility.
extern std::atomic<Level> level;
void write(Level level, const Context& context, std::string_view message,
           std::initializer_list<Field> fields);
}  // namespace detail

[[nodiscard]] inline bool is_enabled(Level level) noexcept {
  return level <= detail::level.load(std::memory_order_relaxed);
}

inline void error(const Context& context, std::string_view message,
                  std::initializer_list<Field> fields = {}) {
  if (is_enabled(Level::error)) detail::write(Level::error, context, message, fields);
}
inline void warn(const Context& context, std::string_view message,
                 std::initializer_list<Field> fields = {}) {
  if (is_enabled(Level::warn)) detail::write(Level::warn, context, message, fields);
}
inline void info(const Context& context, std::string_view message,
                 std::initializer_list<Field> fields = {}) {
  if (is_enabled(Level::info)) detail::write(Level::info, context, message, fields);
}
inline void debug(const Context& context, std::string_view message,
                  std::initializer_list<Field> fields = {}) {
  if (is_enabled(Level::debug)) detail::write(Level::debug, context, message, fields);
}
inline void trace(const Context& context, std::string_view message,
                  std::initializer_list<Field> fields = {}) {
  if (is_enabled(Level::trace)) detail::write(Level::trace, context, message, fields);
}

}  // namespace xmpp::log
