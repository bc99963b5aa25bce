// See xmpp/base/log.h.
#include "xmpp/base/log.h"

#include <unistd.h>

#include <array>

namespace xmpp::log {

std::atomic<Level> detail::level{Level::info};

namespace {

constexpr std::array<std::string_view, 5> kNames = {"error", "warn", "info", "debug", "trace"};

void write_to_stderr(const Record& record, void* /*user*/) {
  std::string line = format_logfmt(record);
  line += '\n';
  // One write() per line, so that lines of several threads do not mix. There is nobody to tell if
  // it fails.
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

struct SinkAndUser {
  Sink sink = write_to_stderr;
  void* user = nullptr;
};
SinkAndUser current;

bool needs_quotes(std::string_view value) noexcept {
  if (value.empty()) return true;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte == 0x7f || c == '"' || c == '=' || c == '\\') return true;
  }
  return false;
}

// Escapes control characters, so that what a peer sent can neither forge a line nor drive a
// terminal.
void append_value(std::string& out, std::string_view value) {
  if (!needs_quotes(value)) {
    out += value;
    return;
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  out += '"';
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < ' ' || byte == 0x7f) {
      out += "\\x";
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

void append_pair(std::string& out, std::string_view key, std::string_view value) {
  if (!out.empty()) out += ' ';
  out += key;
  out += '=';
  append_value(out, value);
}

}  // namespace

std::string_view to_string(Level level) noexcept {
  return kNames[static_cast<std::size_t>(level)];
}

std::optional<Level> parse_level(std::string_view text) noexcept {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == text) return static_cast<Level>(i);
  }
  return std::nullopt;
}

std::string format_logfmt(const Record& record) {
  std::string line;
  append_pair(line, "level", to_string(record.level));
  if (!record.context.component.empty()) append_pair(line, "component", record.context.component);
  append_pair(line, "msg", record.message);
  if (!record.context.stream.empty()) append_pair(line, "stream", record.context.stream);
  if (!record.context.jid.empty()) append_pair(line, "jid", record.context.jid);
  for (const Field& field : record.fields) append_pair(line, field.key, field.value);
  return line;
}

void set_sink(Sink sink, void* user) noexcept {
  current = sink == nullptr ? SinkAndUser{} : SinkAndUser{sink, user};
}

void set_level(Level level) noexcept {
  detail::level.store(level, std::memory_order_relaxed);
}

void detail::write(Level severity, const Context& context, std::string_view message,
                   std::initializer_list<Field> fields) {
  current.sink(Record{severity, context, message, fields}, current.user);
}

}  // namespace xmpp::log
