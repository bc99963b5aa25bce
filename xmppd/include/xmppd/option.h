// Options are declared as members of a module: typed, bounded, documented, with a default. The core
// fills them from [profile.NAME.module.MODULE] before attach(); an unknown key or a value out of
// bounds is refused with file, line and column, and docs and `xmppctl options` print the
// declarations.
//
//   Option<std::string> allow_{*this, "allow", "none", {"none", "all"}, "Who may register."};
//   Option<std::int64_t> limit_{*this, "limit", 10, 1, 1000, "Registrations per hour."};
//   Option<xmpp::Duration> interval_{*this, "interval", 60s, 5s, 1h, "Time between pings."};
//   Option<bool> strict_{*this, "strict", true, "Refuse what the RFC only discourages."};
//
// Thread-safety: set before attach(), read-only afterwards (a reload makes new instances or values
// on the worker itself).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "xmpp/base/time.h"
#include "xmppd/export.h"

namespace xmppd {

class Module;

using OptionValue = std::variant<bool, std::int64_t, std::string, xmpp::Duration>;

// As the configuration file writes it.
[[nodiscard]] XMPPD_API std::string to_string(const OptionValue& value);

// What documentation and validation need to know of an option.
struct OptionInfo {
  std::string_view name;
  OptionValue fallback;
  OptionValue lowest;  // numbers and durations
  OptionValue highest;
  std::vector<std::string_view> choices;  // strings: empty means any text
  std::string_view help;
};

class XMPPD_API OptionBase {
 public:
  OptionBase(Module& module, OptionInfo info);
  OptionBase(const OptionBase&) = delete;
  OptionBase& operator=(const OptionBase&) = delete;
  [[nodiscard]] const OptionInfo& info() const noexcept { return info_; }
  [[nodiscard]] const OptionValue& value() const noexcept { return value_; }
  // Sets the value; the result is empty, or says what was expected.
  [[nodiscard]] std::string assign(OptionValue value);
  // "expected a whole number from 1 to 10"
  [[nodiscard]] std::string expected() const;

 protected:
  ~OptionBase() = default;
  OptionValue value_;

 private:
  OptionInfo info_;
};

template <typename T>
class Option final : public OptionBase {
 public:
  // Numbers and durations.
  Option(Module& module, std::string_view name, T fallback, T lowest, T highest,
         std::string_view help)
      : OptionBase(module, {name, fallback, lowest, highest, {}, help}) {}
  // Booleans.
  Option(Module& module, std::string_view name, T fallback, std::string_view help)
      : OptionBase(module, {name, fallback, fallback, fallback, {}, help}) {}
  // Texts, from a list of choices unless that is empty.
  Option(Module& module, std::string_view name, T fallback, std::vector<std::string_view> choices,
         std::string_view help)
      : OptionBase(module, {name, fallback, fallback, fallback, std::move(choices), help}) {}

  [[nodiscard]] const T& operator*() const noexcept { return *std::get_if<T>(&value_); }
};

}  // namespace xmppd
