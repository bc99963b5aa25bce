// Jid: an XMPP address, prepared by RFC 7622 (PRECIS) when it was parsed; immutable; one allocation that
// copies share; comparing is comparing prepared bytes.
//
// The empty Jid (default constructed) means "no address", e.g. a stanza without `to`.
//
// Thread-safety: reference counts are atomic, the text never changes: may be shared between workers.
#pragma once

#include <atomic>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "xmpp/base/result.h"

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
  Jid() = default;
  // Parses and prepares "[local@]domain[/resource]" (RFC 7622 3.1; '@' and '/' split as 3.2 says).
  [[nodiscard]] static Result<Jid, JidError> parse(std::string_view text);
  // The same from parts; empty local or resource mean absent.
  [[nodiscard]] static Result<Jid, JidError> make(std::string_view local, std::string_view domain,
                                                  std::string_view resource = {});
  // From text that parse() gave before (the database, another node): not prepared again, only split.
  [[nodiscard]] static Jid from_prepared(std::string_view text);

  Jid(const Jid& other) noexcept : rep_(other.rep_) { retain(); }
  Jid(Jid&& other) noexcept : rep_(std::exchange(other.rep_, nullptr)) {}
  Jid& operator=(Jid other) noexcept {
    std::swap(rep_, other.rep_);
    return *this;
  }
  ~Jid() { release(); }

  [[nodiscard]] bool is_empty() const noexcept { return rep_ == nullptr; }
  explicit operator bool() const noexcept { return rep_ != nullptr; }
  [[nodiscard]] bool is_domain() const noexcept;  // no local, no resource
  [[nodiscard]] bool is_bare() const noexcept;    // no resource (true for a domain too)
  [[nodiscard]] bool is_full() const noexcept;    // with a resource

  [[nodiscard]] std::string_view str() const noexcept;       // the whole address
  [[nodiscard]] std::string_view bare_str() const noexcept;  // without the resource
  [[nodiscard]] std::string_view local() const noexcept;
  [[nodiscard]] std::string_view domain() const noexcept;
  [[nodiscard]] std::string_view resource() const noexcept;

  // Without the resource; no allocation if there is none.
  [[nodiscard]] Jid bare() const;
  // The domain alone.
  [[nodiscard]] Jid domain_jid() const;
  // This bare address with a resource, which is prepared. REQUIRES: !is_empty().
  [[nodiscard]] Result<Jid, JidError> with_resource(std::string_view resource) const;

  // siphash64 of bare_str() under process_hash_key(), computed once. Decides the owner and table slots.
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
  struct Rep;  // header and text in one allocation
  explicit Jid(Rep* rep) noexcept : rep_(rep) {}
  static Jid make_prepared(std::string_view local, std::string_view domain,
                           std::string_view resource);
  void retain() const noexcept;
  void release() noexcept;
  Rep* rep_ = nullptr;
};

}  // namespace xmpp
