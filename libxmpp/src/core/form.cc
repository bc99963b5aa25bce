// Data forms to and from markup; values of typed fields.
#include "xmpp/core/form.h"

#include <algorithm>

#include "core/error_names.h"

namespace xmpp::form {
namespace {

constexpr auto kFieldTypes = std::to_array<std::string_view>(
    {"boolean", "fixed", "hidden", "jid-multi", "jid-single", "list-multi", "list-single",
     "text-multi", "text-private", "text-single"});

}  // namespace

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

namespace xmpp::xml {

std::optional<form::FieldType> ValueCodec<form::FieldType>::decode(std::string_view text) noexcept {
  return find_by_name<form::FieldType>(form::kFieldTypes, text)
      .value_or(form::FieldType::text_single);
}

template struct Codec<form::Option>;
template struct Codec<form::Field>;
template struct Codec<form::Reported>;
template struct Codec<form::Item>;
template struct Codec<form::Form>;

}  // namespace xmpp::xml
