// Jid: an XMPP address, prepared by RFC 7622 (PRECIS) when it was parsed; immutable; one allocation
// that copies share; comparing is comparing prepared bytes.
//
// The empty Jid (default constructed) means "no address", e.g. a stanza without `to`.
//
// Thread-safety: reference counts are atomic, the text never changes: may be shared between
// workers. Invariants: (1) the text is prepared: parsing it again gives the same text. (2) No part
// is longer than kPartBytesMax.
#pragma once

#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "xmpp/base/result.h"
#include "xmpp/xml/value_codec.h"

namespace xmpp {

enum class JidError : std::uint8_t {
  empty,             // no domainpart, or an empty part beside a separator
  too_long,          // a part over 1,023 bytes after preparation
  bad_localpart,     // code points that UsernameCaseMapped or RFC 7622 3.3.1 refuse
  bad_domainpart,    // neither an IDNA domain nor an IP literal
  bad_resourcepart,  // code points that OpaqueString refuses
};
[[nodiscard]] std::string_view to_string(JidError error) noexcept;

class Jid {
 public:
  // Bytes of a localpart, domainpart or resourcepart after preparation (RFC 7622 3.1).
  static constexpr std::size_t kPartBytesMax = 1023;

  Jid() = default;
  // Parses and prepares "[local@]domain[/resource]" (RFC 7622 3.1; '@' and '/' split as 3.2 says).
  [[nodiscard]] static Result<Jid, JidError> parse(std::string_view text);
  // The same from parts; empty local or resource mean absent.
  [[nodiscard]] static Result<Jid, JidError> make(std::string_view local, std::string_view domain,
                                                  std::string_view resource = {});
  // From text that parse() gave before (the database, another node): not prepared again, only
  // split.
  [[nodiscard]] static Jid from_prepared(std::string_view text);

  Jid(const Jid& other) noexcept : rep_(other.rep_) {
    if (rep_ != nullptr) rep_->references.fetch_add(1, std::memory_order_relaxed);
  }
  Jid(Jid&& other) noexcept : rep_(std::exchange(other.rep_, nullptr)) {}
  Jid& operator=(Jid other) noexcept {
    std::swap(rep_, other.rep_);
    return *this;
  }
  ~Jid() {
    if (rep_ != nullptr) release();
  }

  [[nodiscard]] bool is_empty() const noexcept { return rep_ == nullptr; }
  explicit operator bool() const noexcept { return rep_ != nullptr; }
  // No local, no resource.
  [[nodiscard]] bool is_domain() const noexcept {
    return rep_ != nullptr && rep_->local_size == 0 && rep_->resource_size == 0;
  }
  // No resource (true for a domain too).
  [[nodiscard]] bool is_bare() const noexcept {
    return rep_ != nullptr && rep_->resource_size == 0;
  }
  // With a resource.
  [[nodiscard]] bool is_full() const noexcept {
    return rep_ != nullptr && rep_->resource_size != 0;
  }

  // The whole address.
  [[nodiscard]] std::string_view str() const noexcept {
    return rep_ == nullptr ? std::string_view() : std::string_view(rep_->text(), rep_->size());
  }
  // Without the resource.
  [[nodiscard]] std::string_view bare_str() const noexcept {
    return rep_ == nullptr ? std::string_view() : std::string_view(rep_->text(), rep_->bare_size());
  }
  [[nodiscard]] std::string_view local() const noexcept {
    return rep_ == nullptr ? std::string_view() : std::string_view(rep_->text(), rep_->local_size);
  }
  [[nodiscard]] std::string_view domain() const noexcept {
    if (rep_ == nullptr) return {};
    return {rep_->text() + rep_->domain_begin(), rep_->domain_size};
  }
  [[nodiscard]] std::string_view resource() const noexcept {
    if (!is_full()) return {};
    return {rep_->text() + rep_->bare_size() + 1, rep_->resource_size};
  }

  // Without the resource; no allocation if there is none.
  [[nodiscard]] Jid bare() const;
  // The domain alone.
  [[nodiscard]] Jid domain_jid() const;
  // This bare address with a resource, which is prepared. REQUIRES: !is_empty().
  [[nodiscard]] Result<Jid, JidError> with_resource(std::string_view resource) const;

  // siphash64 of bare_str() under process_hash_key(), computed once. Decides the owner and table
  // slots.
  [[nodiscard]] std::uint64_t bare_hash() const noexcept;

  friend bool operator==(const Jid& a, const Jid& b) noexcept {
    return a.rep_ == b.rep_ || a.str() == b.str();
  }
  friend std::strong_ordering operator<=>(const Jid& a, const Jid& b) noexcept {
    return a.str() <=> b.str();
  }
  [[nodiscard]] bool bare_equals(const Jid& other) const noexcept {
    return bare_str() == other.bare_str();
  }

 private:
  // Header of the allocation; the text "[local@]domain[/resource]" follows it.
  struct Rep {
    std::atomic<std::uint32_t> references;
    std::uint16_t local_size;
    std::uint16_t domain_size;
    std::uint16_t resource_size;
    std::atomic<std::uint64_t> bare_hash;  // 0: not computed yet

    [[nodiscard]] char* text() noexcept { return reinterpret_cast<char*>(this + 1); }
    [[nodiscard]] const char* text() const noexcept {
      return reinterpret_cast<const char*>(this + 1);
    }
    [[nodiscard]] std::size_t domain_begin() const noexcept {
      return local_size == 0 ? 0U : local_size + 1U;
    }
    [[nodiscard]] std::size_t bare_size() const noexcept { return domain_begin() + domain_size; }
    [[nodiscard]] std::size_t size() const noexcept {
      return bare_size() + (resource_size == 0 ? 0U : resource_size + 1U);
    }
  };
  explicit Jid(Rep* rep) noexcept : rep_(rep) {}
  static Rep* allocate(std::size_t text_bytes);
  static Jid make_prepared(std::string_view local, std::string_view domain,
                           std::string_view resource);
  static Jid parse_ascii(std::string_view local, std::string_view domain,
                         std::string_view resource);
  void release() noexcept;
  Rep* rep_ = nullptr;
};

}  // namespace xmpp

// Addresses in payloads: an attribute or text that is no address makes the payload invalid.
template <>
struct xmpp::xml::ValueCodec<xmpp::Jid> {
  static std::optional<Jid> decode(std::string_view text);
  static void encode(std::string& out, const Jid& value) { out += value.str(); }
};
