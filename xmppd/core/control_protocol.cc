#include "core/control_protocol.h"

#include <Poco/Exception.h>
#include <Poco/JSON/Object.h>
#include <Poco/JSON/Parser.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <stdexcept>
#include <utility>

#include "core/config.h"
#include "xmpp/base/utf8.h"

namespace xmppd::control {
namespace {

using Poco::Dynamic::Var;

struct BadValue : std::runtime_error {
  using std::runtime_error::runtime_error;
};

std::string to_text(const Var& from) {
  auto text = from.extract<std::string>();
  if (!xmpp::utf8::is_valid(text)) throw BadValue("text that is not UTF-8");
  return text;
}

CommandValue to_value(const Var& from) {
  if (from.isEmpty()) return {};
  if (from.isBoolean()) return from.convert<bool>();
  if (from.isString()) return to_text(from);
  if (from.isInteger()) return from.convert<Poco::Int64>();
  if (from.type() == typeid(Poco::JSON::Array::Ptr)) {
    CommandValue::List list;
    for (const auto& item : *from.extract<Poco::JSON::Array::Ptr>()) list.push_back(to_value(item));
    return list;
  }
  throw BadValue("a value of a kind that no argument has");
}

RequestId read_id(const Var& from) {
  if (from.isEmpty() || from.isBoolean()) return {};
  if (from.isString()) {
    auto text = to_text(from);
    if (text.size() <= kIdBytesMax) return text;
  } else if (from.isInteger()) {
    return static_cast<std::int64_t>(from.convert<Poco::Int64>());
  }
  throw BadValue("id is neither a number nor a short text");
}

Request read_request(const Poco::JSON::Object& object, RequestId& id) {
  id = read_id(object.get("id"));
  for (const auto& [key, value] : object) {
    if (key != "id" && key != "command" && key != "args" && key != "stream")
      throw BadValue("unknown member in request");
  }
  Request request{.id = id};
  const Var command = object.get("command");
  if (command.isEmpty() || !command.isString()) throw BadValue("command is missing");
  request.command = to_text(command);
  const Var stream = object.get("stream");
  if (!stream.isEmpty() && !stream.isBoolean()) throw BadValue("stream is not true or false");
  request.wants_items = stream.isBoolean() && stream.convert<bool>();
  const Var args = object.get("args");
  if (args.isEmpty()) return request;
  if (args.type() != typeid(Poco::JSON::Object::Ptr)) throw BadValue("args is not an object");
  for (const auto& [key, value] : *args.extract<Poco::JSON::Object::Ptr>()) {
    if (!xmpp::utf8::is_valid(key)) throw BadValue("text that is not UTF-8");
    request.args.emplace_back(key, to_value(value));
  }
  return request;
}

CommandError bad_argument(const ArgumentInfo& info, std::string_view expected) {
  return {"bad-argument", std::string(info.name) + ": expected " + std::string(expected)};
}

xmpp::Result<CommandArguments::Value, CommandError> check_address(const ArgumentInfo& info,
                                                                  const std::string& text) {
  auto jid = xmpp::Jid::parse(text);
  const bool is_host = info.type == ArgumentType::host;
  const bool is_right = jid && (is_host ? jid->is_domain()
                                        : !jid->local().empty() &&
                                              (info.type == ArgumentType::jid || jid->is_bare()));
  if (is_right) return CommandArguments::Value(*jid);
  const std::string_view form = is_host ? "a domain"
                                : info.type == ArgumentType::bare_jid
                                    ? "user@host"
                                    : "user@host or user@host/resource";
  // Never the text itself: it may be a mistyped password.
  return xmpp::Err(bad_argument(info, form));
}

xmpp::Result<CommandArguments::Value, CommandError> check_value(const ArgumentInfo& info,
                                                                CommandValue& from) {
  using Value = CommandArguments::Value;
  auto* text = std::get_if<std::string>(&from.value);
  switch (info.type) {
    case ArgumentType::integer:
      if (const auto* number = std::get_if<std::int64_t>(&from.value)) return Value(*number);
      return xmpp::Err(bad_argument(info, "a whole number"));
    case ArgumentType::boolean:
      if (const auto* flag = std::get_if<bool>(&from.value)) return Value(*flag);
      return xmpp::Err(bad_argument(info, "true or false"));
    case ArgumentType::text:
      if (text != nullptr) return Value(std::move(*text));
      return xmpp::Err(bad_argument(info, "text"));
    case ArgumentType::new_password: {
      if (text == nullptr) return xmpp::Err(bad_argument(info, "text"));
      xmpp::Secret secret(*text);
      xmpp::wipe(*text);
      return Value(std::move(secret));
    }
    case ArgumentType::jid:
    case ArgumentType::bare_jid:
    case ArgumentType::host:
      break;
  }
  if (text == nullptr) return xmpp::Err(bad_argument(info, "text"));
  return check_address(info, *text);
}

const ArgumentInfo* find_argument(const CommandInfo& command, std::string_view name) {
  for (const auto& info : command.arguments) {
    if (info.name == name) return &info;
  }
  return nullptr;
}

CommandError unknown_argument(const CommandInfo& command, const std::string& name) {
  std::vector<std::string> known;
  for (const auto& info : command.arguments) known.emplace_back(info.name);
  return {"bad-argument",
          command.full_name() + " has no such argument" + did_you_mean(name, known)};
}

void append_text(std::string& out, std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20 || byte == 0x7F) {
      out += "\\u00";
      out += digits[byte >> 4U];
      out += digits[byte & 15U];
    } else {
      out += c;
    }
  }
  out += '"';
}

void append_number(std::string& out, std::int64_t number) {
  std::array<char, 24> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

CommandValue id_value(const RequestId& id) {
  if (const auto* number = std::get_if<std::int64_t>(&id)) return *number;
  if (const auto* text = std::get_if<std::string>(&id)) return *text;
  return {};
}

}  // namespace

xmpp::Result<Request, RequestError> parse_request(std::string_view line) {
  const auto refuse = [](RequestId id, std::string text) {
    return xmpp::Err(RequestError{std::move(id), {"bad-request", std::move(text)}});
  };
  if (line.size() > kLineBytesMax) return refuse({}, "the line is too long");
  if (!xmpp::utf8::is_valid(line)) return refuse({}, "the line is not UTF-8");
  RequestId id;
  try {
    Poco::JSON::Parser parser;
    parser.setDepth(kDepthMax);
    parser.setAllowNullByte(false);
    const Var parsed = parser.parse(std::string(line));
    if (parsed.type() != typeid(Poco::JSON::Object::Ptr)) {
      return refuse({}, "a request is a JSON object on one line");
    }
    return read_request(*parsed.extract<Poco::JSON::Object::Ptr>(), id);
  } catch (const BadValue& error) {
    return refuse(std::move(id), error.what());
  } catch (const std::exception&) {
    // The parser's own text quotes the input, which may hold a password.
    return refuse(std::move(id), "the line is not valid JSON");
  }
}

xmpp::Result<CommandArguments, CommandError> check_arguments(const CommandInfo& command,
                                                             CommandValue::Object& args) {
  CommandArguments checked;
  for (auto& [name, value] : args) {
    const ArgumentInfo* info = find_argument(command, name);
    if (info == nullptr) return xmpp::Err(unknown_argument(command, name));
    if (std::holds_alternative<std::monostate>(value.value)) continue;  // null: not given
    auto one = check_value(*info, value);
    if (!one) return xmpp::Err(one.error());
    checked.set(name, std::move(*one));
  }
  for (const auto& info : command.arguments) {
    bool is_given = false;
    for (const auto& [name, value] : args) {
      is_given = is_given || (name == info.name && value.value.index() != 0);
    }
    if (info.is_required && !is_given) {
      return xmpp::Err(CommandError{"bad-argument", std::string(info.name) + " is missing"});
    }
  }
  return checked;
}

std::string format_result(const RequestId& id, const CommandValue& result) {
  std::string line = "{\"id\":";
  append_json(line, id_value(id));
  line += ",\"result\":";
  append_json(line, result);
  line += "}\n";
  return line;
}

std::string format_item(const RequestId& id, const CommandValue& item) {
  std::string line = "{\"id\":";
  append_json(line, id_value(id));
  line += ",\"item\":";
  append_json(line, item);
  line += "}\n";
  return line;
}

std::string format_error(const RequestId& id, const CommandError& error) {
  std::string line = "{\"id\":";
  append_json(line, id_value(id));
  line += ",\"error\":";
  append_json(line, CommandValue::Object{{"code", error.code}, {"text", error.text}});
  line += "}\n";
  return line;
}

CommandValue describe(const CommandInfo& command) {
  CommandValue::List arguments;
  for (const auto& info : command.arguments) {
    arguments.push_back(CommandValue::Object{{"name", info.name},
                                             {"type", to_string(info.type)},
                                             {"help", info.help},
                                             {"required", info.is_required},
                                             {"option", info.is_option}});
  }
  return CommandValue::Object{{"command", command.full_name()},
                              {"group", command.group},
                              {"name", command.name},
                              {"help", command.help},
                              {"destructive", command.is_destructive},
                              {"ends_server", command.ends_server},
                              {"role", to_string(command.role)},
                              {"arguments", std::move(arguments)}};
}

void append_json(std::string& out, const CommandValue& value) {
  if (const auto* flag = std::get_if<bool>(&value.value)) {
    out += *flag ? "true" : "false";
  } else if (const auto* number = std::get_if<std::int64_t>(&value.value)) {
    append_number(out, *number);
  } else if (const auto* text = std::get_if<std::string>(&value.value)) {
    append_text(out, *text);
  } else if (const auto* list = std::get_if<CommandValue::List>(&value.value)) {
    char separator = '[';
    for (const auto& item : *list) {
      out += std::exchange(separator, ',');
      append_json(out, item);
    }
    out += separator == '[' ? "[]" : "]";
  } else if (const auto* object = std::get_if<CommandValue::Object>(&value.value)) {
    char separator = '{';
    for (const auto& [key, item] : *object) {
      out += std::exchange(separator, ',');
      append_text(out, key);
      out += ':';
      append_json(out, item);
    }
    out += separator == '{' ? "{}" : "}";
  } else {
    out += "null";
  }
}

LineBuffer::~LineBuffer() {
  xmpp::wipe(text_);
}

void LineBuffer::add(std::string_view bytes) {
  if (is_overlong_) return;
  if (text_.capacity() - text_.size() < bytes.size()) {
    // By hand, so that what is left behind can be wiped.
    std::string larger;
    larger.reserve(std::max(2 * (text_.size() - used_), text_.size() - used_ + bytes.size()));
    larger.append(text_, used_);
    xmpp::wipe(text_);
    text_ = std::move(larger);
    used_ = 0;
  }
  text_ += bytes;
}

std::optional<std::string_view> LineBuffer::next() {
  while (!is_overlong_) {
    const auto end = text_.find('\n', used_ + seen_);
    const auto size = (end == std::string::npos ? text_.size() : end) - used_;
    if (size > kLineBytesMax) {
      is_overlong_ = true;
      xmpp::wipe(text_);
      used_ = seen_ = 0;
      break;
    }
    if (end == std::string::npos) {
      seen_ = size;
      if (size == 0) {
        xmpp::wipe(text_);
        used_ = 0;
      }
      break;
    }
    std::string_view line(text_.data() + used_, size);
    used_ = end + 1;
    seen_ = 0;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (!line.empty()) return line;
  }
  return std::nullopt;
}

}  // namespace xmppd::control
