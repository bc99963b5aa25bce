// XEP-0157 1.1.1 complete
// Tells whom to turn to: addresses in a form of the host's disco#info.
#include <string>
#include <string_view>

#include "xmpp/core/form.h"
#include "xmppd/module.h"

namespace xmppd::mod::contact_info {

class ContactInfo final : public Module {
 public:
  void attach(Scope& scope) override {
    xmpp::form::Form form;
    form.type = xmpp::form::FormType::result;
    form.set_form_type(xmpp::ns::server_info);
    add(form, "abuse-addresses", *abuse_);
    add(form, "admin-addresses", *admin_);
    add(form, "feedback-addresses", *feedback_);
    add(form, "sales-addresses", *sales_);
    add(form, "security-addresses", *security_);
    add(form, "status-addresses", *status_);
    add(form, "support-addresses", *support_);
    if (form.fields.size() > 1) scope.form(std::move(form));
  }

 private:
  // URIs contain no white space.
  static void add(xmpp::form::Form& form, std::string_view var, std::string_view addresses) {
    constexpr std::string_view kSpace = " \t\r\n";
    xmpp::form::Field field;
    field.var = var;
    field.type = xmpp::form::FieldType::list_multi;
    for (auto begin = addresses.find_first_not_of(kSpace); begin != std::string_view::npos;
         begin = addresses.find_first_not_of(kSpace)) {
      addresses.remove_prefix(begin);
      const auto size = std::min(addresses.find_first_of(kSpace), addresses.size());
      field.values.emplace_back(addresses.substr(0, size));
      addresses.remove_prefix(size);
    }
    if (!field.values.empty()) form.fields.push_back(std::move(field));
  }

  Option<std::string> abuse_{
      *this, "abuse", "", {}, "URIs for complaints, with spaces between them."};
  Option<std::string> admin_{*this, "admin", "", {}, "URIs of the administrators."};
  Option<std::string> feedback_{*this, "feedback", "", {}, "URIs for feedback."};
  Option<std::string> sales_{*this, "sales", "", {}, "URIs for sales."};
  Option<std::string> security_{*this, "security", "", {}, "URIs for concerns of security."};
  Option<std::string> status_{*this, "status", "", {}, "URIs that tell the state of the service."};
  Option<std::string> support_{*this, "support", "", {}, "URIs for help."};
};
XMPPD_MODULE(ContactInfo,
             {.name = "contact_info", .xep = "0157", .summary = "Tells contact addresses"});

}  // namespace xmppd::mod::contact_info
