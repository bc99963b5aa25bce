// Addresses and stanzas from hostile text: preparation is idempotent, splitting prepared text gives
// the same parts, equal text means equal addresses; a stanza means the same after it was written in
// any dialect.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "xmpp/base/assert.h"
#include "xmpp/base/utf8.h"
#include "xmpp/core/jid.h"
#include "xmpp/core/namespaces.h"
#include "xmpp/core/prep.h"
#include "xmpp/core/stanza.h"

namespace {

void check_address(std::string_view text) {
  const auto jid = xmpp::Jid::parse(text);
  if (!jid) return;
  XMPP_ASSERT(xmpp::utf8::is_valid(jid->str()));
  const auto again = xmpp::Jid::parse(jid->str());
  XMPP_ASSERT(again && *again == *jid);
  const xmpp::Jid split = xmpp::Jid::from_prepared(jid->str());
  XMPP_ASSERT(split.local() == jid->local() && split.domain() == jid->domain() &&
              split.resource() == jid->resource());
  const auto made = xmpp::Jid::make(jid->local(), jid->domain(), jid->resource());
  XMPP_ASSERT(made && *made == *jid);
  XMPP_ASSERT(jid->bare().bare_hash() == jid->bare_hash());
  XMPP_ASSERT(jid->local().find_first_of("\"&'/:<>@ ") == std::string_view::npos);
  XMPP_ASSERT(jid->domain().find_first_of("/@<>&' ") == std::string_view::npos);
  static_cast<void>(xmpp::prep::nodeprep_differs(jid->local()));
}

void check_stanza(std::string_view markup) {
  const auto document = xmpp::xml::Document::parse(markup, xmpp::ns::client);
  if (!document) return;
  const auto parsed = xmpp::parse_stanza(*document, xmpp::ns::client);
  if (!parsed) return;
  for (const std::string_view dialect : {xmpp::ns::client, xmpp::ns::server}) {
    std::string out;
    xmpp::write_stanza(out, parsed->stanza, dialect);
    const auto reparsed = xmpp::xml::Document::parse(out, dialect);
    XMPP_ASSERT(reparsed);
    const auto again = xmpp::parse_stanza(*reparsed, dialect);
    XMPP_ASSERT(again && again->stanza.payloads().size() == parsed->stanza.payloads().size());
    XMPP_ASSERT(xmpp::to_xml(again->stanza, xmpp::ns::client).size() > 0);
    for (std::size_t i = 0; i < again->stanza.payloads().size(); ++i) {
      const xmpp::Payload& a = again->stanza.payloads()[i];
      const xmpp::Payload& b = parsed->stanza.payloads()[i];
      XMPP_ASSERT(a.name() == b.name() && a.ns() == b.ns());
      XMPP_ASSERT(a.element().text() == b.element().text());
    }
  }
  if (xmpp::can_bounce(parsed->stanza)) {
    const xmpp::Stanza error =
        xmpp::make_error(parsed->stanza, xmpp::StanzaCondition::service_unavailable);
    XMPP_ASSERT(error.error());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_address(text);
  check_stanza(text);
  return 0;
}
