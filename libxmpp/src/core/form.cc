// Data forms to and from markup; values of typed fields.
#include "xmpp/core/form.h"

#include <algorithm>

#include "core/error_names.h"

namespace xmpp::form {
namespace {

constexpr auto kFormTypes = std::to_array<std::string_view>({"form", "submit", "cancel", "result"});
constexpr auto kFieldTypes = std::to_array<std::string_view>(
    {"boolean", "fixed", "hidden", "jid-multi", "jid-single", "list-multi", "list-single",
     "text-multi", "text-private", "text-single"});

bool is(xml::Element element, std::string_view name) noexcept {
  return element.name() == name && element.ns() == ns::data_forms;
}

Option parse_option(xml::Element element) {
  Option option;
  option.label = element.attr("label").value_or("");
  for (xml::Element child : element.children()) {
    if (is(child, "value")) option.value = child.text();
  }
  return option;
}

Field parse_field(xml::Element element) {
  Field field;
  field.var = element.attr("var").value_or("");
  field.label = element.attr("label").value_or("");
  if (const auto type = element.attr("type")) {
    field.type = find_by_name<FieldType>(kFieldTypes, *type).value_or(FieldType::text_single);
  }
  for (xml::Element child : element.children()) {
    if (is(child, "value")) {
      field.values.push_back(child.text());
    } else if (is(child, "option")) {
      field.options.push_back(parse_option(child));
    } else if (is(child, "desc")) {
      field.description = child.text();
    } else if (is(child, "required")) {
      field.required = true;
    }
  }
  return field;
}

std::vector<Field> parse_fields(xml::Element element) {
  std::vector<Field> fields;
  for (xml::Element child : element.children()) {
    if (is(child, "field")) fields.push_back(parse_field(child));
  }
  return fields;
}

void write_field(xml::Writer& writer, const Field& field) {
  writer.start(ns::data_forms, "field");
  if (!field.var.empty()) writer.attr("var", field.var);
  if (field.type) writer.attr("type", to_string(*field.type));
  if (!field.label.empty()) writer.attr("label", field.label);
  if (!field.description.empty()) writer.element(ns::data_forms, "desc", field.description);
  if (field.required) writer.element(ns::data_forms, "required");
  for (const std::string& value : field.values) writer.element(ns::data_forms, "value", value);
  for (const Option& option : field.options) {
    writer.start(ns::data_forms, "option");
    if (!option.label.empty()) writer.attr("label", option.label);
    writer.element(ns::data_forms, "value", option.value);
    writer.end();
  }
  writer.end();
}

void write_fields(xml::Writer& writer, std::string_view name, const std::vector<Field>& fields) {
  writer.start(ns::data_forms, name);
  for (const Field& field : fields) write_field(writer, field);
  writer.end();
}

}  // namespace

std::string_view to_string(FormType type) noexcept {
  return kFormTypes[static_cast<std::size_t>(type)];
}

std::string_view to_string(FieldType type) noexcept {
  return kFieldTypes[static_cast<std::size_t>(type)];
}

const Field* Form::find(std::string_view var) const noexcept {
  for (const Field& field : fields) {
    if (field.var == var) return &field;
  }
  return nullptr;
}

std::string_view Form::value(std::string_view var) const noexcept {
  const Field* field = find(var);
  return field == nullptr ? std::string_view() : field->value();
}

void Form::set_form_type(std::string_view form_type) {
  Field field;
  field.var = "FORM_TYPE";
  field.type = FieldType::hidden;
  field.values.emplace_back(form_type);
  fields.insert(fields.begin(), std::move(field));
}

std::optional<Form> parse_form(xml::Element element) {
  if (!element.is_valid() || !element.is(Form::kName)) return std::nullopt;
  const auto type = find_by_name<FormType>(kFormTypes, element.attr("type").value_or(""));
  if (!type) return std::nullopt;
  Form form;
  form.type = *type;
  for (xml::Element child : element.children()) {
    if (is(child, "field")) {
      form.fields.push_back(parse_field(child));
    } else if (is(child, "item")) {
      form.items.push_back(parse_fields(child));
    } else if (is(child, "reported")) {
      form.reported = parse_fields(child);
    } else if (is(child, "title")) {
      form.title = child.text();
    } else if (is(child, "instructions")) {
      form.instructions.push_back(child.text());
    }
  }
  return form;
}

void write_form(xml::Writer& writer, const Form& form) {
  writer.start(ns::data_forms, "x");
  writer.attr("type", to_string(form.type));
  if (!form.title.empty()) writer.element(ns::data_forms, "title", form.title);
  for (const std::string& line : form.instructions) {
    writer.element(ns::data_forms, "instructions", line);
  }
  if (!form.reported.empty()) write_fields(writer, "reported", form.reported);
  for (const Field& field : form.fields) write_field(writer, field);
  for (const auto& item : form.items) write_fields(writer, "item", item);
  writer.end();
}

std::optional<bool> parse_boolean(std::string_view text) noexcept {
  if (text == "1" || text == "true") return true;
  if (text == "0" || text == "false") return false;
  return std::nullopt;
}

bool Value<Jid>::load(const std::vector<std::string>& from, Jid& to) {
  if (from.empty() || (from.size() == 1 && from.front().empty())) {
    to = {};
    return true;
  }
  auto parsed = Jid::parse(from.front());
  if (from.size() > 1 || !parsed) return false;
  to = *std::move(parsed);
  return true;
}

void Value<std::vector<Jid>>::store(const std::vector<Jid>& from, std::vector<std::string>& to) {
  for (const Jid& jid : from) to.emplace_back(jid.str());
}

bool Value<std::vector<Jid>>::load(const std::vector<std::string>& from, std::vector<Jid>& to) {
  std::vector<Jid> jids;
  for (const std::string& text : from) {
    auto jid = Jid::parse(text);
    if (!jid) return false;
    if (std::find(jids.begin(), jids.end(), *jid) == jids.end()) jids.push_back(*std::move(jid));
  }
  to = std::move(jids);
  return true;
}

}  // namespace xmpp::form
