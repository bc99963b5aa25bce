// Control protocol: any bytes, cut into lines as a connection does, then parsed and checked against
// every kind of argument. What is accepted must be written as JSON that parses again to the same
// request.
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/control_protocol.h"
#include "xmpp/base/utf8.h"

namespace {

using xmppd::ArgumentInfo;
using xmppd::ArgumentType;
using xmppd::CommandValue;

constexpr std::array kArguments = {
    ArgumentInfo{.name = "jid", .type = ArgumentType::jid, .is_required = false},
    ArgumentInfo{.name = "bare", .type = ArgumentType::bare_jid, .is_required = false},
    ArgumentInfo{.name = "host", .type = ArgumentType::host, .is_required = false},
    ArgumentInfo{.name = "text", .type = ArgumentType::text, .is_required = false},
    ArgumentInfo{.name = "n", .type = ArgumentType::integer, .is_required = false},
    ArgumentInfo{.name = "b", .type = ArgumentType::boolean, .is_required = false},
    ArgumentInfo{.name = "password", .type = ArgumentType::new_password, .is_required = false}};

void check(bool condition) {
  if (!condition) std::abort();
}

void try_line(std::string_view line) {
  auto request = xmppd::control::parse_request(line);
  if (!request) {
    check(xmpp::utf8::is_valid(
        xmppd::control::format_error(request.error().id, request.error().error)));
    return;
  }
  std::string json = "{\"command\":";
  xmppd::control::append_json(json, CommandValue(request->command));
  json += ",\"args\":";
  xmppd::control::append_json(json, CommandValue(request->args));
  json += '}';
  auto again = xmppd::control::parse_request(json);
  // Escapes may make the text longer than a line may be.
  if (json.size() <= xmppd::control::kLineBytesMax) {
    check(again && again->command == request->command && again->args == request->args);
  }
  const xmppd::CommandInfo command{.group = "g", .name = "c", .arguments = kArguments};
  auto arguments = xmppd::control::check_arguments(command, request->args);
  if (!arguments) check(!arguments.error().code.empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  xmppd::control::LineBuffer buffer;
  const std::size_t half = size / 2;
  for (const auto part : {input.substr(0, half), input.substr(half)}) {
    buffer.add(part);
    while (auto line = buffer.next()) try_line(*line);
  }
  try_line(input);
  return 0;
}
