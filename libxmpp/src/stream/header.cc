// Stream headers: what theirs must say, and ours. See stream/machine.h. Spec: RFC
// 6120 4.7, 4.8, 4.9.1, 4.9.3, 6.4.6.
#include <charconv>

#include "stream/machine.h"
#include "xmpp/core/namespaces.h"
#include "xmpp/xml/writer.h"

namespace xmpp {
namespace {

constexpr std::size_t kIdBytes = 12;    // of our stream ids, random
constexpr std::size_t kIdLimit = 256;   // of the peer's: longer ones are not kept
constexpr std::size_t kLangLimit = 35;  // RFC 5646 4.4.1
constexpr xml::Name kXmlLang{ns::xml, "lang"};

constexpr bool is_space(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// The prefix of the start tag `<prefix:local ...`; empty if it has none.
std::string_view prefix_of(std::string_view raw) {
  raw.remove_prefix(raw.empty() ? 0 : 1);
  const std::string_view name = raw.substr(0, raw.find_first_of(" \t\r\n/>"));
  const std::size_t colon = name.find(':');
  return colon == std::string_view::npos ? std::string_view() : name.substr(0, colon);
}

// The default namespace that a (well-formed) start tag declares; nullopt if it declares none. A
// namespace name that is written with references is none that we know, so it may stay as it is.
std::optional<std::string_view> default_ns_of(std::string_view raw) {
  std::size_t at = raw.find_first_of(" \t\r\n/>");
  while (at < raw.size()) {
    while (at < raw.size() && is_space(raw[at])) ++at;
    const std::size_t equals = raw.find('=', at);
    if (equals == std::string_view::npos) break;
    std::string_view name = raw.substr(at, equals - at);
    while (!name.empty() && is_space(name.back())) name.remove_suffix(1);
    const std::size_t open = raw.find_first_of("'\"", equals);
    if (open == std::string_view::npos) break;
    const std::size_t end = raw.find(raw[open], open + 1);
    if (end == std::string_view::npos) break;
    if (name == "xmlns") return raw.substr(open + 1, end - open - 1);
    at = end + 1;
  }
  return std::nullopt;
}

// RFC 6120 4.7.5: "major.minor", numbers; 1.0 is the least that we speak.
bool is_supported_version(std::string_view version) {
  const char* const end = version.data() + version.size();
  unsigned major = 0;
  unsigned minor = 0;
  const auto dot = std::from_chars(version.data(), end, major);
  if (dot.ec != std::errc() || dot.ptr == end || *dot.ptr != '.') return false;
  const auto rest = std::from_chars(dot.ptr + 1, end, minor);
  return rest.ec == std::errc() && rest.ptr == end && major >= 1;
}

std::string parse_lang(const xml::Element& header) {
  std::string lang = header.attr_ns(kXmlLang).value_or("");
  for (const char c : lang) {
    const bool fine =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    if (!fine) return {};
  }
  if (lang.size() > kLangLimit) lang.clear();
  return lang;
}

// The checks that are the same for both roles.
std::optional<StreamError> check_header(const xml::Element& header, std::string_view content_ns) {
  if (header.ns() != ns::streams) return StreamError{StreamCondition::invalid_namespace, {}};
  if (header.name() != "stream") return StreamError{StreamCondition::bad_format, {}};
  const std::string_view prefix = prefix_of(header.raw());
  if (!prefix.empty() && prefix != "stream") {
    return StreamError{StreamCondition::bad_namespace_prefix, {}};
  }
  const std::optional<std::string_view> declared = default_ns_of(header.raw());
  if (declared && *declared != content_ns && *declared != ns::streams) {
    return StreamError{StreamCondition::invalid_namespace, {}};
  }
  if (!is_supported_version(header.attr("version").value_or(""))) {
    return StreamError{StreamCondition::unsupported_version, {}};
  }
  return std::nullopt;
}

void write_attr(std::string& out, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  out += ' ';
  out += name;
  out += "='";
  xml::escape_attr(out, value);
  out += '\'';
}

}  // namespace

void StreamMachine::on_header(const xml::Document& document) {
  const xml::Element header = document.root();
  if (!is_receiver()) {
    gain(StreamBits::header_received);
    if (std::optional<StreamError> error = check_header(header, policy->content_ns)) {
      fail(std::move(*error));
      return;
    }
    id = header.attr("id").value_or("");
    if (id.size() > kIdLimit) id.clear();
    return;
  }
  // The domain first: an error's header states it, if it is one of ours (4.9.1.3).
  const std::optional<std::string> to = header.attr("to");
  std::string asked;
  if (to) {
    if (auto address = Jid::parse(*to); address && address->is_domain()) asked = address->domain();
  }
  const bool changed = !setup->domain.empty() && asked != setup->domain;
  gain(StreamBits::header_received);
  setup->peer = Jid();
  if (const std::optional<std::string> from = header.attr("from")) {
    if (auto address = Jid::parse(*from)) setup->peer = address->bare();
  }
  lang = parse_lang(header);
  std::optional<StreamError> error = check_header(header, policy->content_ns);
  if (error && (asked.empty() || changed)) {
    fail(std::move(*error));
    return;
  }
  if (asked.empty()) {
    fail({StreamCondition::improper_addressing, to ? "malformed to attribute" : "no to attribute"});
    return;
  }
  if (changed) {
    fail({StreamCondition::improper_addressing, "the to attribute must not change"});
    return;
  }
  if (!error && has_any(bits, StreamBits::authenticated) && names_somebody_else(jid)) {
    error = StreamError{StreamCondition::invalid_from, {}};
  }
  setup->asked = asked;
  setup->header_error = std::move(error);
  report(HeaderReceived{std::move(asked), setup->peer, lang}, Awaiting::accept);
}

bool StreamMachine::names_somebody_else(const Jid& identity) const noexcept {
  // Who is anonymous gets another name than it may have given.
  return has_any(bits, StreamBits::secure) && mechanism != sasl::MechanismId::anonymous &&
         !setup->peer.local().empty() && setup->peer != identity.bare();
}

void StreamMachine::write_header() {
  if (is_receiver()) id = setup->rng->hex(kIdBytes);
  write_with([this](std::string& out) {
    out += "<?xml version='1.0'?><stream:stream";
    if (is_receiver()) {
      // 4.7.1, 4.9.1.3: always there; empty before anybody has said that the domain is served.
      out += " from='";
      xml::escape_attr(out, setup->offer.domain.empty() ? setup->domain : setup->offer.domain);
      out += '\'';
      write_attr(out, "to", setup->peer.str());
      write_attr(out, "id", id);
    } else {
      // Who logs in is nobody's business before TLS (RFC 6120 4.7.1).
      if (has_any(bits, StreamBits::secure)) write_attr(out, "from", policy->jid.bare_str());
      write_attr(out, "to", policy->domain);
    }
    write_attr(out, "version", "1.0");
    write_attr(out, "xml:lang", policy->lang);
    write_attr(out, "xmlns", policy->content_ns);
    write_attr(out, "xmlns:stream", ns::streams);
    out += '>';
  });
  gain(StreamBits::header_sent);
}

}  // namespace xmpp
