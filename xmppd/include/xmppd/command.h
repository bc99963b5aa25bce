// Administration commands as data: one descriptor from which the control socket, xmppctl's command
// line and, later, ad-hoc commands (XEP-0050, XEP-0133) are derived; and the neutral values that
// commands take and give, so that no command knows of JSON or forms.
//
// Thread-safety: plain data. Invariant: texts in a CommandValue are valid UTF-8.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "xmpp/base/result.h"
#include "xmpp/base/secret.h"
#include "xmpp/core/jid.h"

namespace xmppd {

enum class ArgumentType : std::uint8_t {
  text,
  integer,
  boolean,
  jid,           // bare or full, with a localpart
  bare_jid,      // user@host
  host,          // a domain
  new_password,  // never shown; asked for twice if it is not given
};
[[nodiscard]] constexpr std::string_view to_string(ArgumentType type) noexcept {
  constexpr std::string_view names[] = {"text",     "integer", "boolean",     "jid",
                                        "bare-jid", "host",    "new-password"};
  return names[static_cast<std::size_t>(type)];
}

struct ArgumentInfo {
  std::string_view name;
  ArgumentType type = ArgumentType::text;
  std::string_view help = {};
  bool is_required = true;
  bool is_option = false;  // written --name VALUE; otherwise by its place
};

// Who may use a command over XMPP. The control socket is for operators, who may do everything.
enum class CommandRole : std::uint8_t { operator_only, host_admin, user };
[[nodiscard]] constexpr std::string_view to_string(CommandRole role) noexcept {
  constexpr std::string_view names[] = {"operator", "host-admin", "user"};
  return names[static_cast<std::size_t>(role)];
}

struct CommandInfo {
  std::string_view group;  // "user"; empty for `status`
  std::string_view name;
  std::string_view help = {};  // one line
  std::span<const ArgumentInfo> arguments = {};
  bool is_destructive = false;
  bool ends_server = false;  // success means that the process goes
  CommandRole role = CommandRole::operator_only;

  // "user.add", "status"
  [[nodiscard]] std::string full_name() const {
    return group.empty() ? std::string(name) : std::string(group) + '.' + std::string(name);
  }
};

// null, bool, number, text, list, object with its members in order.
struct CommandValue {
  using List = std::vector<CommandValue>;
  using Object = std::vector<std::pair<std::string, CommandValue>>;

  CommandValue() = default;
  CommandValue(bool v) : value(v) {}                    // NOLINT(google-explicit-constructor)
  CommandValue(std::int64_t v) : value(v) {}            // NOLINT(google-explicit-constructor)
  CommandValue(std::string v) : value(std::move(v)) {}  // NOLINT(google-explicit-constructor)
  CommandValue(std::string_view v)
      : value(std::string(v)) {}                          // NOLINT(google-explicit-constructor)
  CommandValue(const char* v) : value(std::string(v)) {}  // NOLINT(google-explicit-constructor)
  CommandValue(List v) : value(std::move(v)) {}           // NOLINT(google-explicit-constructor)
  CommandValue(Object v) : value(std::move(v)) {}         // NOLINT(google-explicit-constructor)
  [[nodiscard]] static CommandValue count(std::size_t n) { return static_cast<std::int64_t>(n); }

  std::variant<std::monostate, bool, std::int64_t, std::string, List, Object> value;
  friend bool operator==(const CommandValue&, const CommandValue&) = default;
};

// Why a command was refused or failed. `code` is one of those in docs/control.md.
struct CommandError {
  std::string code;
  std::string text;  // for people: what is wrong and what to do
};
using CommandResult = xmpp::Result<CommandValue, CommandError>;

// The arguments of a call, checked against the descriptor: required ones are there, types are
// right.
class CommandArguments {
 public:
  using Value = std::variant<bool, std::int64_t, std::string, xmpp::Jid, xmpp::Secret>;

  void set(std::string_view name, Value value) { values_.emplace_back(name, std::move(value)); }

  // nullptr: not given. T is what the argument's type says: std::string for text, std::int64_t,
  // bool, xmpp::Jid for jid, bare_jid and host, xmpp::Secret for new_password.
  template <typename T>
  [[nodiscard]] const T* find(std::string_view name) const noexcept {
    for (const auto& [known, value] : values_) {
      if (known == name) return std::get_if<T>(&value);
    }
    return nullptr;
  }
  // REQUIRES: a required argument of that type.
  template <typename T>
  [[nodiscard]] const T& get(std::string_view name) const noexcept {
    const T* found = find<T>(name);
    XMPP_ASSERT(found != nullptr);
    return *found;
  }

 private:
  std::vector<std::pair<std::string, Value>> values_;
};

}  // namespace xmppd
