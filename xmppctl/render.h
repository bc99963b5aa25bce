// Results for eyes: lists of objects become aligned tables, objects "name  value" lines with such
// tables below, an object with a "text" just that sentence. Nothing here knows a command.
//
// Thread-safety: any thread. Invariant: no control character of the server's reaches the terminal.
#pragma once

#include <Poco/Dynamic/Var.h>

#include <string>
#include <string_view>

namespace xmppctl {

// With a line end, unless there is nothing to say.
[[nodiscard]] std::string render(const Poco::Dynamic::Var& result);
// The result as JSON on one line, members in the server's order.
[[nodiscard]] std::string to_json(const Poco::Dynamic::Var& result);
// {"error":{"code":...,"text":...}} on one line.
[[nodiscard]] std::string error_json(std::string_view code, std::string_view text);
// Without what a terminal would obey.
[[nodiscard]] std::string printable(std::string_view text);
// "4s", "3m 20s", "5h 12m", "2d 4h"
[[nodiscard]] std::string format_seconds(long long seconds);

}  // namespace xmppctl
