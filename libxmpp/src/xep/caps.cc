// The codec of XEP-0115.
#include "xmpp/xep/caps.h"

#include <algorithm>
#include <tuple>
#include <vector>

namespace xmpp::xep {
namespace {

// Bytes in order, which std::string compares as unsigned: i;octet.
void add_sorted(std::string& text, std::vector<std::string> lines) {
  std::sort(lines.begin(), lines.end());
  for (const std::string& line : lines) (text += line) += '<';
}

void add_form(std::string& text, const form::Form& form) {
  (text += form.form_type()) += '<';
  std::vector<const form::Field*> fields;
  for (const form::Field& field : form.fields) {
    if (field.var != "FORM_TYPE") fields.push_back(&field);
  }
  std::sort(fields.begin(), fields.end(),
            [](const form::Field* a, const form::Field* b) { return a->var < b->var; });
  for (const form::Field* field : fields) {
    (text += field->var) += '<';
    add_sorted(text, field->values);
  }
}

}  // namespace

std::string caps_text(const DiscoInfo& info) {
  std::string text;
  auto identities = info.identities;
  std::sort(identities.begin(), identities.end(), [](const auto& a, const auto& b) {
    return std::tie(a.category, a.type, a.lang) < std::tie(b.category, b.type, b.lang);
  });
  for (const DiscoIdentity& one : identities) {
    text += one.category + "/" + one.type + "/" + one.lang + "/" + one.name + "<";
  }
  std::vector<std::string> features;
  for (const DiscoFeature& feature : info.features) features.push_back(feature.var);
  add_sorted(text, std::move(features));
  std::vector<const form::Form*> forms;
  for (const form::Form& form : info.forms) {
    // Section 5.4: a form without a type says nothing here.
    if (!form.form_type().empty()) forms.push_back(&form);
  }
  std::sort(forms.begin(), forms.end(), [](const form::Form* a, const form::Form* b) {
    return a->form_type() < b->form_type();
  });
  for (const form::Form* form : forms) add_form(text, *form);
  return text;
}

}  // namespace xmpp::xep

template struct xmpp::xml::Codec<xmpp::xep::Caps>;
