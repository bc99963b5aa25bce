// The hash of entity capabilities: the examples of XEP-0115.
#include <gtest/gtest.h>

#include "xmppd/disco.h"

namespace xmppd {
namespace {

using xmpp::xep::DiscoInfo;

DiscoInfo info_with_features() {
  DiscoInfo info;
  for (const char* feature :
       {"http://jabber.org/protocol/muc", "http://jabber.org/protocol/caps",
        "http://jabber.org/protocol/disco#items", "http://jabber.org/protocol/disco#info"}) {
    info.features.push_back({feature});
  }
  return info;
}

TEST(Caps, SimpleExample) {  // section 5.2
  DiscoInfo info = info_with_features();
  info.identities.push_back({"client", "pc", "Exodus 0.9.1", ""});
  EXPECT_EQ(xmpp::xep::caps_text(info),
            "client/pc//Exodus 0.9.1<http://jabber.org/protocol/caps<"
            "http://jabber.org/protocol/disco#info<http://jabber.org/protocol/disco#items<"
            "http://jabber.org/protocol/muc<");
  EXPECT_EQ(make_caps(info).ver, "QgayPKawpkPSDYmwT/WM94uAlu0=");
  EXPECT_EQ(make_caps(info).hash, "sha-1");
}

TEST(Caps, ExampleWithLanguagesAndAForm) {  // section 5.3
  DiscoInfo info = info_with_features();
  info.identities.push_back({"client", "pc", "Psi 0.11", "en"});
  info.identities.push_back({"client", "pc", "\xce\xa8 0.11", "el"});
  auto& form = info.forms.emplace_back();
  form.type = xmpp::form::FormType::result;
  form.set_form_type("urn:xmpp:dataforms:softwareinfo");
  const auto add = [&form](const char* var, std::vector<std::string> values) {
    auto& field = form.fields.emplace_back();
    field.var = var;
    field.values = std::move(values);
  };
  add("software_version", {"0.11"});
  add("software", {"Psi"});
  add("os_version", {"10.5.1"});
  add("os", {"Mac"});
  add("ip_version", {"ipv6", "ipv4"});
  // Section 5.4: without a FORM_TYPE it does not count.
  info.forms.emplace_back().fields.emplace_back().var = "x";
  EXPECT_EQ(make_caps(info).ver, "q07IKJEyjvHSyhy//CH0CxmKi8w=");
}

}  // namespace
}  // namespace xmppd
