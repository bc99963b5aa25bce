#include "xmppd/option.h"

#include <algorithm>

#include "xmppd/module.h"

namespace xmppd {

std::string to_string(const OptionValue& value) {
  struct Visitor {
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(std::int64_t v) const { return std::to_string(v); }
    std::string operator()(const std::string& v) const { return "\"" + v + "\""; }
    std::string operator()(xmpp::Duration v) const {
      return "\"" + xmpp::format_duration(v) + "\"";
    }
  };
  return std::visit(Visitor{}, value);
}

OptionBase::OptionBase(Module& module, OptionInfo info)
    : value_(info.fallback), info_(std::move(info)) {
  module.options_.push_back(this);
}

std::string OptionBase::expected() const {
  if (std::holds_alternative<bool>(info_.fallback)) return "expected true or false";
  if (std::holds_alternative<std::string>(info_.fallback)) {
    if (info_.choices.empty()) return "expected a text";
    std::string text = "expected ";
    for (std::size_t i = 0; i < info_.choices.size(); ++i) {
      if (i > 0) text += i + 1 == info_.choices.size() ? " or " : ", ";
      text += to_string(OptionValue(std::string(info_.choices[i])));
    }
    return text;
  }
  const bool is_time = std::holds_alternative<xmpp::Duration>(info_.fallback);
  return std::string(is_time ? "expected a duration" : "expected a whole number") + " from " +
         to_string(info_.lowest) + " to " + to_string(info_.highest);
}

std::string OptionBase::assign(OptionValue value) {
  const auto refusal = [this](const OptionValue& found) {
    return expected() + ", found " + to_string(found);
  };
  // A duration is written as text in the file.
  if (std::holds_alternative<xmpp::Duration>(info_.fallback)) {
    if (auto* text = std::get_if<std::string>(&value)) {
      auto parsed = xmpp::parse_duration(*text);
      if (!parsed) return refusal(value);
      value = *parsed;
    }
  }
  if (value.index() != info_.fallback.index()) return refusal(value);
  if (auto* text = std::get_if<std::string>(&value)) {
    if (!info_.choices.empty() &&
        std::find(info_.choices.begin(), info_.choices.end(), *text) == info_.choices.end()) {
      return refusal(value);
    }
  } else if (!std::holds_alternative<bool>(value) &&
             (value < info_.lowest || info_.highest < value)) {
    return refusal(value);
  }
  value_ = std::move(value);
  return {};
}

}  // namespace xmppd
