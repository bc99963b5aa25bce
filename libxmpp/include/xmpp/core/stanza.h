// Stanza: a small editable envelope plus immutable payload slices.
//
// Editing means changing the envelope or adding and removing payloads; inside a payload nothing ever
// changes. Copying a stanza copies the envelope and takes references. Writing copies portable payload bytes
// verbatim and sends the rest through the canonical writer (architecture, section (c)).
//
// Thread-safety: one thread at a time; may be moved to another worker (everything shared is immutable).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "xmpp/base/bytes.h"
#include "xmpp/core/jid.h"
#include "xmpp/core/stanza_error.h"
#include "xmpp/xml/codec.h"
#include "xmpp/xml/document.h"

namespace xmpp {

enum class StanzaKind : std::uint8_t { message, presence, iq };

// The types of all three kinds; is_type_of() says which belong together.
enum class StanzaType : std::uint8_t {
  // message
  normal,
  chat,
  groupchat,
  headline,
  // presence
  available,
  unavailable,
  subscribe,
  subscribed,
  unsubscribe,
  unsubscribed,
  probe,
  // iq
  get,
  set,
  result,
  // any kind
  error,
};

[[nodiscard]] std::string_view to_string(StanzaKind kind) noexcept;
// The `type` attribute; empty where the attribute is left out (normal, available).
[[nodiscard]] std::string_view to_string(StanzaType type) noexcept;

struct Envelope {
  StanzaKind kind = StanzaKind::message;
  StanzaType type = StanzaType::normal;
  std::string id;
  Jid from;
  Jid to;
  std::string lang;
};

// One child element of a stanza: an element of a received Document, or encoded bytes.
class Payload {
 public:
  Payload() = default;
  // An element of a received document, which is kept alive.
  explicit Payload(xml::Element element);
  // Markup of one element whose namespace is declared on itself or is the content namespace.
  Payload(xml::Name name, Block markup);

  [[nodiscard]] bool is(const xml::Name& name) const noexcept;
  [[nodiscard]] std::string_view name() const noexcept;
  [[nodiscard]] std::string_view ns() const noexcept;
  // The element; encoded bytes are parsed on first use.
  [[nodiscard]] xml::Element element() const;

 private:
  friend class Stanza;
  mutable xml::Document document_;
  mutable xml::Element element_;
  Block markup_;       // set for encoded payloads
  std::string name_;   // of encoded payloads
  std::string ns_;
};

class Stanza {
 public:
  Stanza() = default;
  explicit Stanza(Envelope envelope) : envelope_(std::move(envelope)) {}
  [[nodiscard]] static Stanza message(StanzaType type, Jid to);
  [[nodiscard]] static Stanza presence(StanzaType type = StanzaType::available, Jid to = {});
  [[nodiscard]] static Stanza iq(StanzaType type, Jid to, std::string id = {});

  [[nodiscard]] const Envelope& envelope() const noexcept { return envelope_; }
  [[nodiscard]] Envelope& envelope() noexcept { return envelope_; }
  [[nodiscard]] StanzaKind kind() const noexcept { return envelope_.kind; }
  [[nodiscard]] StanzaType type() const noexcept { return envelope_.type; }
  [[nodiscard]] const Jid& from() const noexcept { return envelope_.from; }
  [[nodiscard]] const Jid& to() const noexcept { return envelope_.to; }
  [[nodiscard]] const std::string& id() const noexcept { return envelope_.id; }
  [[nodiscard]] bool is_message() const noexcept { return kind() == StanzaKind::message; }
  [[nodiscard]] bool is_presence() const noexcept { return kind() == StanzaKind::presence; }
  [[nodiscard]] bool is_iq() const noexcept { return kind() == StanzaKind::iq; }
  [[nodiscard]] bool is_error() const noexcept { return type() == StanzaType::error; }
  // get or set: somebody waits for an answer.
  [[nodiscard]] bool is_request() const noexcept {
    return type() == StanzaType::get || type() == StanzaType::set;
  }

  [[nodiscard]] const std::vector<Payload>& payloads() const noexcept { return payloads_; }
  [[nodiscard]] const Payload* find(const xml::Name& name) const noexcept;
  [[nodiscard]] bool has(const xml::Name& name) const noexcept { return find(name) != nullptr; }
  void add(Payload payload) { payloads_.push_back(std::move(payload)); }
  // Removes every payload with that name; returns how many.
  std::size_t remove(const xml::Name& name);
  void clear_payloads() noexcept { payloads_.clear(); }

  // Typed payloads (T has a codec). Absent is nullopt; present but wrong is an error.
  template <typename T>
  [[nodiscard]] bool has() const noexcept;
  template <typename T>
  [[nodiscard]] Result<std::optional<T>, xml::DecodeError> get() const;
  template <typename T>
  void add(const T& payload);
  template <typename T>
  std::size_t remove();

  // Text of the child element `name` in the content namespace (body, subject, status...).
  [[nodiscard]] std::optional<std::string> child_text(std::string_view name) const;
  // Adds <name>text</name> in the content namespace.
  void add_text(std::string_view name, std::string_view text);

  // The error of an error stanza; nullopt if there is no readable <error/>.
  [[nodiscard]] std::optional<StanzaError> error() const;

 private:
  Envelope envelope_;
  std::vector<Payload> payloads_;
};

// What parsing a first-level element gave. `problem` is set if the envelope is wrong in a way that the
// sender must be told (jid-malformed, bad-request); the rest of the envelope is usable for the answer.
struct ParsedStanza {
  Stanza stanza;
  std::optional<StanzaError> problem;
};
// nullopt: not a stanza (name or namespace). `content_ns`: jabber:client, jabber:server or component.
[[nodiscard]] std::optional<ParsedStanza> parse_stanza(const xml::Document& document,
                                                       std::string_view content_ns);

// Appends the stanza for a stream whose content namespace `content_ns` is also its default namespace,
// with `to` as first attribute.
void write_stanza(std::string& out, const Stanza& stanza, std::string_view content_ns);
// For stores and places outside a stream: the start tag states xmlns.
[[nodiscard]] std::string to_xml(const Stanza& stanza, std::string_view content_ns);

// The empty result of an iq request: to and from swapped.
[[nodiscard]] Stanza make_result(const Stanza& request);
// The error answer to any stanza: to and from swapped, same kind and id. REQUIRES: !stanza.is_error() and
// not an iq result (an error is never answered with an error).
[[nodiscard]] Stanza make_error(const Stanza& stanza, const StanzaError& error);
// May this stanza be answered with an error?
[[nodiscard]] bool can_bounce(const Stanza& stanza) noexcept;

}  // namespace xmpp
