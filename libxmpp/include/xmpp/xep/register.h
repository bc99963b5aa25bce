// XEP-0077 2.4 partial: no redirection to a URL (jabber:x:oob)
// In-band registration: make an account, change its password, remove it.
//
// In a result a field that is present asks for it, with its present value; in a request it is the
// answer.
//
// Thread-safety: values.
#pragma once

#include <optional>
#include <string>

#include "xmpp/base/secret.h"
#include "xmpp/core/form.h"
#include "xmpp/core/namespaces.h"
#include "xmpp/xml/codec.h"

namespace xmpp::xep {

struct Register {
  bool registered = false;
  bool remove = false;
  std::string instructions;
  std::optional<std::string> username;
  std::optional<std::string> nick;
  std::optional<Secret> password;
  std::optional<std::string> name;
  std::optional<std::string> first;
  std::optional<std::string> last;
  std::optional<std::string> email;
  std::optional<std::string> address;
  std::optional<std::string> city;
  std::optional<std::string> state;
  std::optional<std::string> zip;
  std::optional<std::string> phone;
  std::optional<std::string> url;
  std::optional<std::string> date;
  std::optional<std::string> misc;
  std::optional<std::string> text;
  std::optional<std::string> key;
  std::optional<form::Form> form;

  static constexpr auto codec = xml::element(
      ns::register_, "query", xml::flag("registered", &Register::registered),
      xml::flag("remove", &Register::remove),
      xml::child_text("instructions", &Register::instructions),
      xml::child_text("username", &Register::username), xml::child_text("nick", &Register::nick),
      xml::child_text("password", &Register::password), xml::child_text("name", &Register::name),
      xml::child_text("first", &Register::first), xml::child_text("last", &Register::last),
      xml::child_text("email", &Register::email), xml::child_text("address", &Register::address),
      xml::child_text("city", &Register::city), xml::child_text("state", &Register::state),
      xml::child_text("zip", &Register::zip), xml::child_text("phone", &Register::phone),
      xml::child_text("url", &Register::url), xml::child_text("date", &Register::date),
      xml::child_text("misc", &Register::misc), xml::child_text("text", &Register::text),
      xml::child_text("key", &Register::key), xml::child(&Register::form));
};

// The stream feature (XEP-0077 8).
struct RegisterFeature {
  bool operator==(const RegisterFeature&) const = default;
  static constexpr auto codec = xml::element(ns::register_feature, "register");
};

}  // namespace xmpp::xep

extern template struct xmpp::xml::Codec<xmpp::xep::Register>;
extern template struct xmpp::xml::Codec<xmpp::xep::RegisterFeature>;
