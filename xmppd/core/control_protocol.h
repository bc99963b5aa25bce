// The control protocol's text: request lines to values, answers and the catalogue to lines. Pure;
// the socket is control.cc's business.
//
//   {"id":1,"command":"user.add","args":{"jid":"a@b","password":"..."}}
//   {"id":1,"result":...}   or   {"id":1,"error":{"code":"not-found","text":"..."}}
//   and before that any number of {"id":1,"item":...} if the request has "stream":true
//
// Thread-safety: functions any thread, LineBuffer one thread. Documentation: docs/control.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "xmpp/base/result.h"
#include "xmppd/command.h"

namespace xmppd::control {

inline constexpr std::size_t kLineBytesMax = 1024 * 1024;  // without the line end
inline constexpr int kDepthMax = 8;                        // of a request's JSON
inline constexpr std::size_t kIdBytesMax = 64;

// What the client calls its request; echoed. monostate: unknown, shown as null.
using RequestId = std::variant<std::monostate, std::int64_t, std::string>;

struct Request {
  RequestId id;
  std::string command;
  CommandValue::Object args;
  bool wants_items = false;  // "stream": true: a long list may come item by item
};
struct RequestError {
  RequestId id;  // as far as it could be read
  CommandError error;
};

[[nodiscard]] xmpp::Result<Request, RequestError> parse_request(std::string_view line);

// Types, required ones, unknown names. Passwords are taken out of `args` and wiped there.
[[nodiscard]] xmpp::Result<CommandArguments, CommandError> check_arguments(
    const CommandInfo& command, CommandValue::Object& args);

// Lines, with their line end.
[[nodiscard]] std::string format_result(const RequestId& id, const CommandValue& result);
[[nodiscard]] std::string format_error(const RequestId& id, const CommandError& error);
// One of a list's items, before the result.
[[nodiscard]] std::string format_item(const RequestId& id, const CommandValue& item);

// One command as the catalogue shows it.
[[nodiscard]] CommandValue describe(const CommandInfo& command);

// JSON on one line.
void append_json(std::string& out, const CommandValue& value);

// Cuts input into lines. A line over kLineBytesMax is never kept whole.
class LineBuffer {
 public:
  ~LineBuffer();  // wipes
  void add(std::string_view bytes);
  // The next line without its end; empty lines are skipped; nullopt: there is none yet. Lasts until
  // the next call.
  [[nodiscard]] std::optional<std::string_view> next();
  // Has a line grown over the limit? Then no more lines come.
  [[nodiscard]] bool is_overlong() const noexcept { return is_overlong_; }

 private:
  std::string text_;
  std::size_t used_ = 0;  // bytes of text_ that were handed out
  std::size_t seen_ = 0;  // bytes of text_ known to hold no line end, from used_ on
  bool is_overlong_ = false;
};

}  // namespace xmppd::control
