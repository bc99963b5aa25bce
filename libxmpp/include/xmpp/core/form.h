// XEP-0004 2.13.2 complete
// Data forms as values, and typed forms: one table says which fields stand for which
// members.
//
//   struct RoomConfig { std::string name; bool persistent = false; };
//   inline constexpr auto kRoomConfigForm = form::table<RoomConfig>(
//       "http://jabber.org/protocol/muc#roomconfig",
//       form::field("muc#roomconfig_roomname", &RoomConfig::name, "Name of the room"),
//       form::field("muc#roomconfig_persistentroom", &RoomConfig::persistent, "Keep it when
//       empty"));
//
//   Form offered = form::make_form(kRoomConfigForm, config);     // what the owner fills in
//   auto applied = form::apply(kRoomConfigForm, submitted, config);
//
// Thread-safety: values. Specifications: XEP-0004, XEP-0068 (FORM_TYPE).
#pragma once

#include <array>
#include <charconv>
#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "xmpp/base/result.h"
#include "xmpp/core/jid.h"
#include "xmpp/core/namespaces.h"
#include "xmpp/xml/codec.h"

namespace xmpp::form {

enum class FormType : std::uint8_t { form, submit, cancel, result };
constexpr auto enum_values(FormType) {
  return std::to_array<xml::EnumValue<FormType>>({{FormType::form, "form"},
                                                  {FormType::submit, "submit"},
                                                  {FormType::cancel, "cancel"},
                                                  {FormType::result, "result"}});
}

enum class FieldType : std::uint8_t {
  boolean,
  fixed,
  hidden,
  jid_multi,
  jid_single,
  list_multi,
  list_single,
  text_multi,
  text_private,
  text_single,
};
[[nodiscard]] std::string_view to_string(FieldType type) noexcept;

}  // namespace xmpp::form

// A type that nobody knows is text-single (XEP-0004 3.3).
template <>
struct xmpp::xml::ValueCodec<xmpp::form::FieldType> {
  static std::optional<form::FieldType> decode(std::string_view text) noexcept;
  static void encode(std::string& out, form::FieldType value) { out += form::to_string(value); }
};

namespace xmpp::form {

struct Option {
  std::string label;
  std::string value;
  bool operator==(const Option&) const = default;
  static constexpr auto codec =
      xml::element(ns::data_forms, "option", xml::attr("label", &Option::label),
                   xml::child_text("value", &Option::value, xml::required));
};

struct Field {
  std::string var;
  std::optional<FieldType> type;  // left out in submissions
  std::string label;
  std::string description;
  bool required = false;
  std::vector<std::string> values;
  std::vector<Option> options;

  // The first value; empty if there is none.
  [[nodiscard]] std::string_view value() const noexcept {
    return values.empty() ? std::string_view() : std::string_view(values.front());
  }
  bool operator==(const Field&) const = default;
  static constexpr auto codec = xml::element(
      ns::data_forms, "field", xml::attr("var", &Field::var), xml::attr("type", &Field::type),
      xml::attr("label", &Field::label), xml::child_text("desc", &Field::description),
      xml::flag("required", &Field::required), xml::child_texts("value", &Field::values),
      xml::children(&Field::options));
};

// The head of a table of results.
struct Reported {
  std::vector<Field> fields;
  bool operator==(const Reported&) const = default;
  static constexpr auto codec =
      xml::element(ns::data_forms, "reported", xml::children(&Reported::fields));
};

// One row.
struct Item {
  std::vector<Field> fields;
  bool operator==(const Item&) const = default;
  static constexpr auto codec = xml::element(ns::data_forms, "item", xml::children(&Item::fields));
};

struct Form {
  FormType type = FormType::form;
  std::string title;
  std::vector<std::string> instructions;
  std::vector<Field> fields;
  std::optional<Reported> reported;
  std::vector<Item> items;

  [[nodiscard]] const Field* find(std::string_view var) const noexcept;
  // The first value of a field; empty if there is no such field.
  [[nodiscard]] std::string_view value(std::string_view var) const noexcept;
  // XEP-0068.
  [[nodiscard]] std::string_view form_type() const noexcept { return value("FORM_TYPE"); }
  // Adds the hidden field FORM_TYPE.
  void set_form_type(std::string_view form_type);
  bool operator==(const Form&) const = default;
  static constexpr auto codec = xml::element(
      ns::data_forms, "x", xml::attr("type", &Form::type, xml::required),
      xml::child_text("title", &Form::title), xml::child_texts("instructions", &Form::instructions),
      xml::child(&Form::reported), xml::children(&Form::fields), xml::children(&Form::items));
};

}  // namespace xmpp::form

extern template struct xmpp::xml::Codec<xmpp::form::Form>;
extern template struct xmpp::xml::Codec<xmpp::form::Field>;

namespace xmpp::form {

// "1", "true", "0", "false" (XEP-0004 3.3).
[[nodiscard]] std::optional<bool> parse_boolean(std::string_view text) noexcept;

// How a member is a field: its usual type, to values, from values. Specialise for enums.
template <typename T>
struct Value;

template <>
struct Value<std::string> {
  static constexpr FieldType kType = FieldType::text_single;
  static void store(const std::string& from, std::vector<std::string>& to) { to.push_back(from); }
  static bool load(const std::vector<std::string>& from, std::string& to) {
    to = from.empty() ? std::string() : from.front();
    return from.size() <= 1;
  }
};
template <>
struct Value<bool> {
  static constexpr FieldType kType = FieldType::boolean;
  static void store(bool from, std::vector<std::string>& to) { to.emplace_back(from ? "1" : "0"); }
  static bool load(const std::vector<std::string>& from, bool& to) {
    const auto parsed = parse_boolean(from.size() == 1 ? from.front() : std::string_view());
    if (parsed) to = *parsed;
    return parsed.has_value();
  }
};
template <std::integral T>
struct Value<T> {
  static constexpr FieldType kType = FieldType::text_single;
  static void store(T from, std::vector<std::string>& to) { to.push_back(std::to_string(from)); }
  static bool load(const std::vector<std::string>& from, T& to) {
    if (from.size() != 1) return false;
    T parsed{};
    const char* const end = from.front().data() + from.front().size();
    const auto [rest, error] = std::from_chars(from.front().data(), end, parsed);
    if (error != std::errc() || rest != end) return false;
    to = parsed;
    return true;
  }
};
template <>
struct Value<Jid> {
  static constexpr FieldType kType = FieldType::jid_single;
  static void store(const Jid& from, std::vector<std::string>& to) {
    if (!from.is_empty()) to.emplace_back(from.str());
  }
  static bool load(const std::vector<std::string>& from, Jid& to);
};
template <>
struct Value<std::vector<std::string>> {
  static constexpr FieldType kType = FieldType::text_multi;
  static void store(const std::vector<std::string>& from, std::vector<std::string>& to) {
    to = from;
  }
  static bool load(const std::vector<std::string>& from, std::vector<std::string>& to) {
    to = from;
    return true;
  }
};
template <>
struct Value<std::vector<Jid>> {
  static constexpr FieldType kType = FieldType::jid_multi;
  static void store(const std::vector<Jid>& from, std::vector<std::string>& to);
  // Duplicates are dropped, as the XEP says.
  static bool load(const std::vector<std::string>& from, std::vector<Jid>& to);
};

template <typename Owner, typename Member>
struct FieldOf {
  std::string_view var;
  Member Owner::*member;
  std::string_view label;
  FieldType type = Value<Member>::kType;
  bool required = false;
};

template <typename Owner, typename Member>
[[nodiscard]] constexpr FieldOf<Owner, Member> field(std::string_view var, Member Owner::*member,
                                                     std::string_view label = {},
                                                     FieldType type = Value<Member>::kType,
                                                     bool required = false) noexcept {
  return {var, member, label, type, required};
}

template <typename Owner, typename... Members>
struct Table {
  std::string_view form_type;
  std::tuple<FieldOf<Owner, Members>...> fields;
};

template <typename Owner, typename... Members>
[[nodiscard]] constexpr Table<Owner, Members...> table(std::string_view form_type,
                                                       FieldOf<Owner, Members>... fields) noexcept {
  return {form_type, {fields...}};
}

namespace detail {

template <typename Owner, typename... Members>
[[nodiscard]] Form make(const Table<Owner, Members...>& table, const Owner& from, FormType type) {
  Form form;
  form.type = type;
  form.set_form_type(table.form_type);
  const auto add = [&form, &from, type]<typename Member>(const FieldOf<Owner, Member>& entry) {
    Field& field = form.fields.emplace_back();
    field.var = entry.var;
    if (type == FormType::form) {
      field.type = entry.type;
      field.label = entry.label;
      field.required = entry.required;
    }
    Value<Member>::store(from.*entry.member, field.values);
  };
  std::apply([&add](const auto&... entry) { (add(entry), ...); }, table.fields);
  return form;
}

}  // namespace detail

// The form to fill in, with the present values.
template <typename Owner, typename... Members>
[[nodiscard]] Form make_form(const Table<Owner, Members...>& table, const Owner& from) {
  return detail::make(table, from, FormType::form);
}
// The submission of all values.
template <typename Owner, typename... Members>
[[nodiscard]] Form make_submit(const Table<Owner, Members...>& table, const Owner& from) {
  return detail::make(table, from, FormType::submit);
}
// The values as information (disco extensions).
template <typename Owner, typename... Members>
[[nodiscard]] Form make_result(const Table<Owner, Members...>& table, const Owner& from) {
  return detail::make(table, from, FormType::result);
}

struct FormError {
  std::string var;  // the field that is wrong, or FORM_TYPE
};

// Reads a submission: fields that are left out keep their values, unknown ones are ignored
// (XEP-0004 3.1). On an error `to` is unchanged.
template <typename Owner, typename... Members>
[[nodiscard]] Result<void, FormError> apply(const Table<Owner, Members...>& table, const Form& form,
                                            Owner& to) {
  if (const auto given = form.form_type(); !given.empty() && given != table.form_type) {
    return Err(FormError{"FORM_TYPE"});
  }
  Owner changed = to;
  std::string_view wrong;
  const auto load = [&form, &changed,
                     &wrong]<typename Member>(const FieldOf<Owner, Member>& entry) {
    const Field* field = form.find(entry.var);
    if (field == nullptr) {
      if (entry.required) wrong = entry.var;
    } else if (!Value<Member>::load(field->values, changed.*entry.member)) {
      wrong = entry.var;
    }
    return wrong.empty();
  };
  std::apply([&load](const auto&... entry) { (load(entry) && ...); }, table.fields);
  if (!wrong.empty()) return Err(FormError{std::string(wrong)});
  to = std::move(changed);
  return {};
}

}  // namespace xmpp::form
