// Stanza: a small editable envelope plus immutable payload slices.
//
// Editing means changing the envelope or adding and removing payloads; inside a payload nothing
// ever changes. Copying a stanza copies the envelope and takes references. Writing copies portable
// payload bytes verbatim and sends the rest through the canonical writer (architecture, section
// (c)).
//
// The content namespaces (jabber:client, jabber:server, jabber:component:accept) mean the same, so
// a stanza has no dialect: a payload in one of them is named with ns::client, wherever it came
// from.
//
// Thread-safety: one thread at a time may change it; const use may be shared between workers
// (everything behind the handles is immutable).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "xmpp/base/assert.h"
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
[[nodiscard]] bool is_type_of(StanzaKind kind, StanzaType type) noexcept;

struct Envelope {
  StanzaKind kind = StanzaKind::message;
  StanzaType type = StanzaType::normal;
  // A message says type='normal', the default, and goes on saying it.
  bool states_normal = false;
  std::string id;
  Jid from;
  Jid to;
  std::string lang;
};

// One child element of a stanza: an element of a received Document, or encoded bytes. A copy is one
// or two reference counts.
class Payload {
 public:
  // An element of a received document, which is kept alive.
  explicit Payload(xml::Element element) : document_(element.document()), element_(element) {
    XMPP_DCHECK(element.is_valid());
  }
  // The same if the caller holds the document already. REQUIRES: element is in `document`.
  Payload(const xml::Document& document, xml::Element element) noexcept
      : document_(document), element_(element) {}
  // Markup of one element: its namespace is declared on itself, or it is ns::client and none is
  // declared. REQUIRES: well-formed.
  Payload(const xml::Name& name, std::string markup);

  Payload(const Payload& other) noexcept
      : document_(other.document_), element_(other.element_), encoded_(other.encoded_) {
    if (encoded_ != nullptr) encoded_->references.fetch_add(1, std::memory_order_relaxed);
  }
  Payload(Payload&& other) noexcept
      : document_(std::move(other.document_)),
        element_(std::exchange(other.element_, {})),
        encoded_(std::exchange(other.encoded_, nullptr)) {}
  Payload& operator=(Payload other) noexcept {
    std::swap(document_, other.document_);
    std::swap(element_, other.element_);
    std::swap(encoded_, other.encoded_);
    return *this;
  }
  ~Payload() {
    if (encoded_ != nullptr) release();
  }

  // Names in a content namespace are matched with ns::client.
  [[nodiscard]] bool is(const xml::Name& name) const noexcept;
  [[nodiscard]] std::string_view name() const noexcept;
  [[nodiscard]] std::string_view ns() const noexcept;
  // The element; encoded bytes are parsed on first use. Valid while this payload or a copy lives.
  [[nodiscard]] xml::Element element() const;
  // Appends the payload as child of a stanza whose default namespace is `content_ns`.
  void write(std::string& out, std::string_view content_ns) const;
  // Where the bytes are if write() would copy them as they are; else empty.
  [[nodiscard]] std::string_view verbatim() const noexcept;

 private:
  struct Parsed {
    xml::Document document;
    xml::Element element;
  };
  struct Encoded {
    std::atomic<std::uint32_t> references;
    std::atomic<const Parsed*> parsed;  // by element(); whoever is first wins
    std::string ns;
    std::string name;
    std::string markup;
  };
  void release() noexcept;

  xml::Document document_;
  xml::Element element_;
  Encoded* encoded_ = nullptr;
};

// A vector of payloads that holds the usual few without allocating.
class PayloadList {
 public:
  static constexpr std::size_t kInline = 4;

  PayloadList() noexcept : data_(inline_data()) {}
  PayloadList(const PayloadList& other) : PayloadList() {
    reserve(other.size_);
    std::uninitialized_copy_n(other.data_, other.size_, data_);
    size_ = other.size_;
  }
  PayloadList(PayloadList&& other) noexcept : PayloadList() { take(other); }
  PayloadList& operator=(const PayloadList& other) {
    if (this != &other) *this = PayloadList(other);
    return *this;
  }
  PayloadList& operator=(PayloadList&& other) noexcept {
    if (this != &other) {
      free();
      take(other);
    }
    return *this;
  }
  ~PayloadList() {
    if (size_ != 0 || data_ != inline_data()) free();
  }

  [[nodiscard]] const Payload* begin() const noexcept { return data_; }
  [[nodiscard]] const Payload* end() const noexcept { return data_ + size_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  // REQUIRES: index < size().
  [[nodiscard]] const Payload& operator[](std::size_t index) const noexcept {
    XMPP_DCHECK(index < size_);
    return data_[index];
  }
  [[nodiscard]] const Payload& front() const noexcept { return (*this)[0]; }

  template <typename... Args>
  void emplace_back(Args&&... args) {
    if (size_ == capacity_) reserve(capacity_ * 2U);
    new (data_ + size_) Payload(std::forward<Args>(args)...);
    ++size_;
  }
  // Removes the payloads for which `predicate` holds; returns how many.
  template <typename Predicate>
  std::size_t erase_if(Predicate predicate) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < size_; ++i) {
      if (predicate(std::as_const(data_[i]))) continue;
      if (kept != i) data_[kept] = std::move(data_[i]);
      ++kept;
    }
    const std::size_t erased = size_ - kept;
    std::destroy_n(data_ + kept, erased);
    size_ = static_cast<std::uint32_t>(kept);
    return erased;
  }
  void clear() noexcept {
    std::destroy_n(data_, size_);
    size_ = 0;
  }

 private:
  [[nodiscard]] Payload* inline_data() noexcept { return reinterpret_cast<Payload*>(inline_); }
  void reserve(std::size_t capacity);
  // REQUIRES: this is empty and inline.
  void take(PayloadList& other) noexcept {
    if (other.data_ != other.inline_data()) {
      take_memory(other);
      return;
    }
    std::uninitialized_move_n(other.data_, other.size_, data_);
    size_ = other.size_;
    other.clear();
  }
  void take_memory(PayloadList& other) noexcept;
  void free() noexcept;

  Payload* data_;
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = kInline;
  alignas(Payload) std::byte inline_[kInline * sizeof(Payload)];
};

// A type that xml::decode and xml::encode know; its namespace is not ns::client.
template <typename T>
concept HasCodec = requires { T::codec.name; };

// Who counts a stanza: a stream of this process, and the stanza's number there. A stream of 0 is
// nobody.
struct Origin {
  std::uint64_t stream = 0;
  std::uint32_t number = 0;
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

  // Goes with copies of the stanza, but not into answers to it.
  [[nodiscard]] const Origin& origin() const noexcept { return origin_; }
  void set_origin(const Origin& origin) noexcept { origin_ = origin; }

  [[nodiscard]] const PayloadList& payloads() const noexcept { return payloads_; }
  [[nodiscard]] const Payload* find(const xml::Name& name) const noexcept;
  [[nodiscard]] bool has(const xml::Name& name) const noexcept { return find(name) != nullptr; }
  void add(Payload payload) { payloads_.emplace_back(std::move(payload)); }
  // Removes every payload with that name; returns how many.
  std::size_t remove(const xml::Name& name);
  void clear_payloads() noexcept { payloads_.clear(); }

  // Typed payloads. Absent is nullopt; present but wrong is an error.
  template <HasCodec T>
  [[nodiscard]] bool has() const noexcept {
    return has(T::codec.name);
  }
  template <HasCodec T>
  [[nodiscard]] Result<std::optional<T>, xml::DecodeError> get() const;
  template <HasCodec T>
  void add(const T& payload) {
    payloads_.emplace_back(T::codec.name, xml::to_xml(payload));
  }
  template <HasCodec T>
  std::size_t remove() {
    return remove(T::codec.name);
  }

  // Text of the child element `name` in the content namespace (body, subject, status...).
  [[nodiscard]] std::optional<std::string> child_text(std::string_view name) const;
  // Adds <name>text</name> in the content namespace.
  void add_text(std::string_view name, std::string_view text);

  // The error of an error stanza; nullopt if there is no <error/>.
  [[nodiscard]] std::optional<StanzaError> error() const;

 private:
  Envelope envelope_;
  Origin origin_;
  PayloadList payloads_;
};

template <HasCodec T>
Result<std::optional<T>, xml::DecodeError> Stanza::get() const {
  const Payload* payload = find(T::codec.name);
  if (payload == nullptr) return std::optional<T>();
  auto decoded = xml::decode<T>(payload->element());
  if (!decoded) return Err(decoded.error());
  return std::optional<T>(*std::move(decoded));
}

// What parsing a first-level element gave. `problem` is set if the envelope is wrong in a way that
// the sender must be told (jid-malformed, bad-request); the rest of the envelope is usable for the
// answer.
struct ParsedStanza {
  Stanza stanza;
  std::optional<StanzaError> problem;
};
// nullopt: not a stanza (name or namespace). `content_ns`: jabber:client, jabber:server or
// component.
[[nodiscard]] std::optional<ParsedStanza> parse_stanza(const xml::Document& document,
                                                       std::string_view content_ns);
// The same into `parsed`, where it stays; false: not a stanza. REQUIRES: `parsed` is new, but for
// `to`, which may hold a guess that saves parsing the address if it is right.
[[nodiscard]] bool parse_stanza(const xml::Document& document, std::string_view content_ns,
                                ParsedStanza& parsed);

// Appends the stanza for a stream whose content namespace `content_ns` is also its default
// namespace, with `to` as first attribute.
void write_stanza(std::string& out, const Stanza& stanza, std::string_view content_ns);
// For stores and places outside a stream: the start tag states xmlns.
[[nodiscard]] std::string to_xml(const Stanza& stanza, std::string_view content_ns);

// The empty result of an iq request: to and from swapped.
[[nodiscard]] Stanza make_result(const Stanza& request);
// The error answer to any stanza: to and from swapped, same kind and id. REQUIRES:
// can_bounce(stanza).
[[nodiscard]] Stanza make_error(const Stanza& stanza, const StanzaError& error);
// May this stanza be answered with an error? Not if it is an error or an iq result.
[[nodiscard]] bool can_bounce(const Stanza& stanza) noexcept;

}  // namespace xmpp
