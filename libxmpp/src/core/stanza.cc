// Parsing envelopes, writing stanzas, answers. RFC 6120 8, RFC 6121 4.7.1 and 5.2.2.
#include "xmpp/core/stanza.h"

#include <cstring>

#include "core/error_names.h"
#include "xmpp/core/namespaces.h"
#include "xmpp/xml/writer.h"

namespace xmpp {
namespace {

constexpr auto kKindNames = std::to_array<std::string_view>({"message", "presence", "iq"});
// In the order of the enum; normal (unless stated) and available are left out when written.
constexpr auto kTypeNames = std::to_array<std::string_view>(
    {"", "chat", "groupchat", "headline", "", "unavailable", "subscribe", "subscribed",
     "unsubscribe", "unsubscribed", "probe", "get", "set", "result", "error"});
static_assert(kTypeNames.size() == static_cast<std::size_t>(StanzaType::error) + 1);

constexpr std::string_view kNormal = "normal";
constexpr xml::Name kLang{ns::xml, "lang"};
constexpr xml::Name kError{ns::client, "error"};

bool is_content(xml::Atom ns) noexcept {
  return ns == xml::Atom::ns_client || ns == xml::Atom::ns_server || ns == xml::Atom::ns_component;
}

std::optional<StanzaKind> find_kind(xml::Element element) noexcept {
  switch (element.name_atom()) {
    case xml::Atom::message:
      return StanzaKind::message;
    case xml::Atom::presence:
      return StanzaKind::presence;
    case xml::Atom::iq:
      return StanzaKind::iq;
    default:
      return std::nullopt;
  }
}

// The type that stands in the envelope where the attribute is absent or wrong.
constexpr StanzaType default_type_of(StanzaKind kind) noexcept {
  switch (kind) {
    case StanzaKind::message:
      return StanzaType::normal;
    case StanzaKind::presence:
      return StanzaType::available;
    case StanzaKind::iq:
      break;
  }
  return StanzaType::get;
}

// nullopt: a value that the kind does not know, or an iq without type.
std::optional<StanzaType> parse_type(StanzaKind kind,
                                     std::optional<std::string_view> text) noexcept {
  if (!text) {
    if (kind == StanzaKind::iq) return std::nullopt;
    return default_type_of(kind);
  }
  // RFC 6121 5.2.2: what a client does not understand is a normal message; so it is for a server.
  if (kind == StanzaKind::message && text->empty()) return StanzaType::normal;
  const auto type = text->empty() ? std::nullopt : find_by_name<StanzaType>(kTypeNames, *text);
  if (type && is_type_of(kind, *type)) return type;
  if (kind == StanzaKind::message) return StanzaType::normal;
  return std::nullopt;
}

// Reads an address attribute, unless `out` is that address already; false if it is malformed.
bool parse_address(xml::Element element, xml::Atom name, std::string& buffer, Jid& out) {
  const auto text = element.attr(name, buffer);
  // Parsing prepared text gives the same text again.
  if (text && out && *text == out.str()) return true;
  out = Jid();
  if (!text) return true;
  auto jid = Jid::parse(*text);
  if (!jid) return false;
  out = *std::move(jid);
  return true;
}

// Adds the payloads; returns how many child elements there were.
std::size_t add_payloads(Stanza& stanza, const xml::Document& document, xml::Element root) {
  std::size_t children = 0;
  for (xml::Element child = root.first_child(); child; child = child.next_sibling()) {
    ++children;
    // A child in another content namespace is no content of this stanza and cannot be told from
    // content in other dialects: it goes no further.
    if (is_content(child.ns_atom()) && child.ns_atom() != root.ns_atom()) continue;
    stanza.add(Payload(document, child));
  }
  return children;
}

// Collects the small pieces of a stanza, so that they reach the output as one.
class Pieces {
 public:
  explicit Pieces(std::string& out) noexcept : out_(out) {}

  void add(std::string_view text) {
    if (text.empty()) return;
    if (text.size() > sizeof(buffer_) - used_) {
      flush();
      if (text.size() > sizeof(buffer_)) {
        out_.append(text);
        return;
      }
    }
    std::memcpy(buffer_ + used_, text.data(), text.size());
    used_ += text.size();
  }
  // An attribute's value and the quote behind it.
  void add_value(std::string_view value) {
    if (xml::is_plain(value)) {
      add(value);
    } else {
      flush();
      xml::escape_attr(out_, value);
    }
    add("'");
  }
  void flush() {
    out_.append(buffer_, used_);
    used_ = 0;
  }

 private:
  std::string& out_;
  std::size_t used_ = 0;
  char buffer_[1024];
};

// `state_ns`: the start tag declares it.
void write(std::string& out, const Stanza& stanza, std::string_view content_ns, bool state_ns) {
  const Envelope& envelope = stanza.envelope();
  const std::string_view name = to_string(envelope.kind);
  Pieces pieces(out);
  const auto add_attr = [&pieces](std::string_view start, std::string_view value) {
    if (value.empty()) return;
    pieces.add(start);
    pieces.add_value(value);
  };
  pieces.add("<");
  pieces.add(name);
  add_attr(" to='", envelope.to.str());
  add_attr(" from='", envelope.from.str());
  if (state_ns) add_attr(" xmlns='", content_ns);
  add_attr(" id='", envelope.id);
  const bool states_normal = envelope.states_normal && envelope.type == StanzaType::normal;
  add_attr(" type='", states_normal ? kNormal : to_string(envelope.type));
  add_attr(" xml:lang='", envelope.lang);
  if (stanza.payloads().empty()) {
    pieces.add("/>");
    pieces.flush();
    return;
  }
  pieces.add(">");
  // Neighbours in one document, the usual case, are one copy.
  std::string_view pending;
  for (const Payload& payload : stanza.payloads()) {
    const std::string_view bytes = payload.verbatim();
    if (!bytes.empty() && pending.data() + pending.size() == bytes.data()) {
      pending = {pending.data(), pending.size() + bytes.size()};
      continue;
    }
    pieces.add(pending);
    pending = bytes;
    if (bytes.empty()) {
      pieces.flush();
      payload.write(out, content_ns);
    }
  }
  pieces.add(pending);
  pieces.add("</");
  pieces.add(name);
  pieces.add(">");
  pieces.flush();
}

}  // namespace

std::string_view to_string(StanzaKind kind) noexcept {
  return kKindNames[static_cast<std::size_t>(kind)];
}

std::string_view to_string(StanzaType type) noexcept {
  return kTypeNames[static_cast<std::size_t>(type)];
}

bool is_type_of(StanzaKind kind, StanzaType type) noexcept {
  if (type == StanzaType::error) return true;
  switch (kind) {
    case StanzaKind::message:
      return type <= StanzaType::headline;
    case StanzaKind::presence:
      return type >= StanzaType::available && type <= StanzaType::probe;
    case StanzaKind::iq:
      return type >= StanzaType::get;
  }
  return false;
}

Stanza Stanza::message(StanzaType type, Jid to) {
  XMPP_DCHECK(is_type_of(StanzaKind::message, type));
  return Stanza(Envelope{.kind = StanzaKind::message, .type = type, .to = std::move(to)});
}

Stanza Stanza::presence(StanzaType type, Jid to) {
  XMPP_DCHECK(is_type_of(StanzaKind::presence, type));
  return Stanza(Envelope{.kind = StanzaKind::presence, .type = type, .to = std::move(to)});
}

Stanza Stanza::iq(StanzaType type, Jid to, std::string id) {
  XMPP_DCHECK(is_type_of(StanzaKind::iq, type));
  return Stanza(
      Envelope{.kind = StanzaKind::iq, .type = type, .id = std::move(id), .to = std::move(to)});
}

const Payload* Stanza::find(const xml::Name& name) const noexcept {
  for (const Payload& payload : payloads_) {
    if (payload.is(name)) return &payload;
  }
  return nullptr;
}

std::size_t Stanza::remove(const xml::Name& name) {
  return payloads_.erase_if([&name](const Payload& payload) { return payload.is(name); });
}

std::optional<std::string> Stanza::child_text(std::string_view name) const {
  const Payload* payload = find(xml::Name(ns::client, name));
  if (payload == nullptr) return std::nullopt;
  return payload->element().text();
}

void Stanza::add_text(std::string_view name, std::string_view text) {
  std::string markup;
  markup.reserve(name.size() * 2 + text.size() + 5);
  markup.append("<").append(name).append(">");
  xml::escape_text(markup, text);
  markup.append("</").append(name).append(">");
  add(Payload(xml::Name(ns::client, name), std::move(markup)));
}

std::optional<StanzaError> Stanza::error() const {
  const Payload* payload = find(kError);
  if (payload == nullptr) return std::nullopt;
  return parse_stanza_error(payload->element());
}

bool parse_stanza(const xml::Document& document, std::string_view content_ns,
                  ParsedStanza& parsed) {
  const xml::Element root = document.root();
  const auto kind = find_kind(root);
  if (!kind || root.ns() != content_ns) return false;

  Stanza& stanza = parsed.stanza;
  Envelope& envelope = stanza.envelope();
  envelope.kind = *kind;
  std::string buffer;
  if (const auto id = root.attr(xml::Atom::id, buffer)) envelope.id = *id;
  if (auto lang = root.attr_ns(kLang)) envelope.lang = *std::move(lang);
  const auto type_text = root.attr(xml::Atom::type, buffer);
  const auto type = parse_type(*kind, type_text);
  envelope.type = type.value_or(default_type_of(*kind));
  envelope.states_normal = type_text == kNormal && *kind == StanzaKind::message;
  const bool has_to = parse_address(root, xml::Atom::to, buffer, envelope.to);
  const bool has_from = parse_address(root, xml::Atom::from, buffer, envelope.from);
  const std::size_t children = add_payloads(stanza, document, root);

  if (!has_to || !has_from) {
    parsed.problem = StanzaError(StanzaCondition::jid_malformed);
  } else if (!type || (stanza.is_iq() && envelope.id.empty()) ||
             (stanza.is_request() && children != 1)) {
    // RFC 6120 8.1.3, 8.2.3: an iq has an id and a type, a request exactly one child element.
    parsed.problem = StanzaError(StanzaCondition::bad_request);
  }
  return true;
}

std::optional<ParsedStanza> parse_stanza(const xml::Document& document,
                                         std::string_view content_ns) {
  std::optional<ParsedStanza> parsed(std::in_place);
  if (!parse_stanza(document, content_ns, *parsed)) parsed.reset();
  return parsed;
}

void write_stanza(std::string& out, const Stanza& stanza, std::string_view content_ns) {
  write(out, stanza, content_ns, false);
}

std::string to_xml(const Stanza& stanza, std::string_view content_ns) {
  std::string out;
  write(out, stanza, content_ns, true);
  return out;
}

Stanza make_result(const Stanza& request) {
  XMPP_ASSERT(request.is_request());
  Stanza result = Stanza::iq(StanzaType::result, request.from(), request.id());
  result.envelope().from = request.to();
  return result;
}

Stanza make_error(const Stanza& stanza, const StanzaError& error) {
  XMPP_ASSERT(can_bounce(stanza));
  Stanza answer(Envelope{.kind = stanza.kind(),
                         .type = StanzaType::error,
                         .id = stanza.id(),
                         .from = stanza.to(),
                         .to = stanza.from()});
  std::string markup;
  write_stanza_error(markup, error);
  answer.add(Payload(kError, std::move(markup)));
  return answer;
}

bool can_bounce(const Stanza& stanza) noexcept {
  return !stanza.is_error() && stanza.type() != StanzaType::result;
}

}  // namespace xmpp
