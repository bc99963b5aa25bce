// The codec of XEP-0297.
#include "xmpp/xep/forward.h"

#include <string>
#include <utility>

namespace xmpp::xml {

using xep::Forwarded;

Result<Forwarded, DecodeError> Codec<Forwarded>::decode(Element element) {
  if (!element || !element.is(Forwarded::codec.name)) {
    return Err(DecodeError{DecodeError::Kind::wrong_element, Forwarded::codec.name.local});
  }
  Forwarded forwarded;
  bool has_stanza = false;
  for (const Element child : element.children()) {
    if (child.is(xep::Delay::codec.name)) {
      auto delay = Codec<xep::Delay>::decode(child);
      if (!delay) return Err(delay.error());
      forwarded.delay = std::move(*delay);
    } else if (child.ns() == ns::client && !has_stanza) {
      std::string text;
      Writer writer(text);
      writer.write(child);
      const auto document = Document::parse(text);
      if (!document) return Err(DecodeError{DecodeError::Kind::invalid, "stanza"});
      auto parsed = parse_stanza(*document, ns::client);
      if (!parsed || parsed->problem) return Err(DecodeError{DecodeError::Kind::invalid, "stanza"});
      forwarded.stanza = std::move(parsed->stanza);
      has_stanza = true;
    }
  }
  if (!has_stanza) return Err(DecodeError{DecodeError::Kind::missing, "stanza"});
  return forwarded;
}

void Codec<Forwarded>::encode(Writer& writer, const Forwarded& value) {
  writer.start(Forwarded::codec.name.ns, Forwarded::codec.name.local);
  if (value.delay) Codec<xep::Delay>::encode(writer, *value.delay);
  writer.raw(xmpp::to_xml(value.stanza, ns::client));
  writer.end();
}

}  // namespace xmpp::xml
