// Payload and PayloadList: slices of received documents and encoded markup.
#include <limits>

#include "xmpp/core/namespaces.h"
#include "xmpp/core/stanza.h"
#include "xmpp/xml/writer.h"

namespace xmpp {
namespace {

bool is_content(xml::Atom ns) noexcept {
  return ns == xml::Atom::ns_client || ns == xml::Atom::ns_server || ns == xml::Atom::ns_component;
}

// What we encoded ourselves is parsed whatever its size (a roster of thousands of items).
constexpr xml::Limits kNoLimits{.stanza_bytes = std::size_t{1} << 29,
                                .depth = 4096,
                                .attributes = 4096,
                                .nodes = std::size_t{1} << 24};

}  // namespace

Payload::Payload(const xml::Name& name, std::string markup)
    : encoded_(new Encoded{
          {1}, {nullptr}, std::string(name.ns), std::string(name.local), std::move(markup)}) {}

void Payload::release() noexcept {
  if (encoded_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    delete encoded_->parsed.load(std::memory_order_acquire);
    delete encoded_;
  }
}

bool Payload::is(const xml::Name& name) const noexcept {
  if (encoded_ != nullptr) return encoded_->name == name.local && encoded_->ns == name.ns;
  if (name.ns_atom == xml::Atom::ns_client) {
    if (!is_content(element_.ns_atom())) return false;
    return name.local_atom != xml::Atom::unknown ? element_.name_atom() == name.local_atom
                                                 : element_.name() == name.local;
  }
  return element_.is(name);
}

std::string_view Payload::name() const noexcept {
  return encoded_ != nullptr ? std::string_view(encoded_->name) : element_.name();
}

std::string_view Payload::ns() const noexcept {
  if (encoded_ != nullptr) return encoded_->ns;
  return is_content(element_.ns_atom()) ? ns::client : element_.ns();
}

xml::Element Payload::element() const {
  if (encoded_ == nullptr) return element_;
  const Parsed* parsed = encoded_->parsed.load(std::memory_order_acquire);
  if (parsed != nullptr) return parsed->element;
  auto document = xml::Document::parse(encoded_->markup, ns::client, kNoLimits);
  XMPP_ASSERT(document);
  auto mine = std::make_unique<Parsed>();
  mine->document = *std::move(document);
  mine->element = mine->document.root();
  if (encoded_->parsed.compare_exchange_strong(parsed, mine.get(), std::memory_order_acq_rel)) {
    return mine.release()->element;
  }
  return parsed->element;
}

std::string_view Payload::verbatim() const noexcept {
  if (encoded_ != nullptr) return encoded_->markup;
  return element_.is_portable() ? element_.raw() : std::string_view();
}

void Payload::write(std::string& out, std::string_view content_ns) const {
  if (const std::string_view bytes = verbatim(); !bytes.empty()) {
    out.append(bytes);
    return;
  }
  // An element in its source's content namespace becomes one in ours: it is written as if it stood
  // in its own dialect, and so without xmlns.
  const bool content = is_content(element_.ns_atom());
  xml::Writer writer(out, content ? element_.ns() : content_ns);
  writer.write(element_);
}

void PayloadList::reserve(std::size_t capacity) {
  if (capacity <= capacity_) return;
  auto* data = static_cast<Payload*>(::operator new(capacity * sizeof(Payload)));
  std::uninitialized_move_n(data_, size_, data);
  std::destroy_n(data_, size_);
  if (data_ != inline_data()) ::operator delete(data_);
  data_ = data;
  capacity_ = static_cast<std::uint32_t>(capacity);
}

void PayloadList::take_memory(PayloadList& other) noexcept {
  data_ = std::exchange(other.data_, other.inline_data());
  size_ = std::exchange(other.size_, 0);
  capacity_ = std::exchange(other.capacity_, static_cast<std::uint32_t>(kInline));
}

void PayloadList::free() noexcept {
  clear();
  if (data_ == inline_data()) return;
  ::operator delete(data_);
  data_ = inline_data();
  capacity_ = kInline;
}

}  // namespace xmpp
