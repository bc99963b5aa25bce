// Jid: splitting, the ASCII fast path, storage. The preparation itself is in prep.cc.
#include "xmpp/core/jid.h"

#include <cstring>
#include <new>

#include "core/ascii.h"
#include "xmpp/base/assert.h"
#include "xmpp/base/hash.h"
#include "xmpp/core/prep.h"

namespace xmpp {
namespace {

struct Split {
  std::string_view local;
  std::string_view domain;
  std::string_view resource;
  bool has_local = false;
  bool has_resource = false;
};

// RFC 7622 3.1: what follows the first '/' is the resource; what precedes the first '@' in the rest
// is the local part. Done on the unprepared text, so a mapped separator never splits.
Split split(std::string_view text) noexcept {
  Split parts;
  if (const std::size_t slash = text.find('/'); slash != std::string_view::npos) {
    parts.resource = text.substr(slash + 1);
    parts.has_resource = true;
    text = text.substr(0, slash);
  }
  if (const std::size_t at = text.find('@'); at != std::string_view::npos) {
    parts.local = text.substr(0, at);
    parts.has_local = true;
    text = text.substr(at + 1);
  }
  parts.domain = text;
  return parts;
}

}  // namespace

std::string_view to_string(JidError error) noexcept {
  switch (error) {
    case JidError::empty:
      return "empty part";
    case JidError::too_long:
      return "part too long";
    case JidError::bad_localpart:
      return "bad localpart";
    case JidError::bad_domainpart:
      return "bad domainpart";
    case JidError::bad_resourcepart:
      return "bad resourcepart";
  }
  return {};
}

Jid::Rep* Jid::allocate(std::size_t text_bytes) {
  void* memory = ::operator new(sizeof(Rep) + text_bytes);
  return new (memory) Rep{{1}, 0, 0, 0, {0}};
}

void Jid::release() noexcept {
  // Alone with the text nobody can raise the count: the locked instruction is not needed.
  if (rep_->references.load(std::memory_order_acquire) == 1 ||
      rep_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    ::operator delete(rep_);
  }
}

// The common case in one pass per part straight into the allocation. An empty result means only
// that the slow path has to look.
Jid Jid::parse_ascii(std::string_view local, std::string_view domain, std::string_view resource) {
  if (!domain.empty() && domain.back() == '.') domain.remove_suffix(1);
  if (domain.empty() || local.size() > kPartBytesMax || domain.size() > kPartBytesMax ||
      resource.size() > kPartBytesMax) {
    return {};
  }
  Jid jid(allocate(local.size() + domain.size() + resource.size() + 2));
  Rep& rep = *jid.rep_;
  rep.local_size = static_cast<std::uint16_t>(local.size());
  rep.domain_size = static_cast<std::uint16_t>(domain.size());
  rep.resource_size = static_cast<std::uint16_t>(resource.size());
  char* out = rep.text();
  bool good = true;
  if (!local.empty()) {
    good = prep::map_ascii(prep::kLocalTable, local, out);
    out += local.size();
    *out++ = '@';
  }
  good = good && prep::map_ascii(prep::kDomainTable, domain, out) &&
         prep::has_plain_labels({out, domain.size()});
  out += domain.size();
  if (good && !resource.empty()) {
    *out++ = '/';
    good = prep::map_ascii(prep::kResourceTable, resource, out);
  }
  if (!good) return {};
  return jid;
}

Jid Jid::make_prepared(std::string_view local, std::string_view domain, std::string_view resource) {
  XMPP_ASSERT(local.size() <= kPartBytesMax && domain.size() <= kPartBytesMax &&
              resource.size() <= kPartBytesMax);
  Jid jid(allocate(local.size() + domain.size() + resource.size() + 2));
  Rep& rep = *jid.rep_;
  rep.local_size = static_cast<std::uint16_t>(local.size());
  rep.domain_size = static_cast<std::uint16_t>(domain.size());
  rep.resource_size = static_cast<std::uint16_t>(resource.size());
  char* out = rep.text();
  if (!local.empty()) {
    std::memcpy(out, local.data(), local.size());
    out += local.size();
    *out++ = '@';
  }
  std::memcpy(out, domain.data(), domain.size());
  out += domain.size();
  if (!resource.empty()) {
    *out++ = '/';
    std::memcpy(out, resource.data(), resource.size());
  }
  return jid;
}

Result<Jid, JidError> Jid::parse(std::string_view text) {
  const Split parts = split(text);
  if (parts.domain.empty() || (parts.has_local && parts.local.empty()) ||
      (parts.has_resource && parts.resource.empty())) {
    return Err(JidError::empty);
  }
  return make(parts.local, parts.domain, parts.resource);
}

Result<Jid, JidError> Jid::make(std::string_view local, std::string_view domain,
                                std::string_view resource) {
  if (domain.empty()) return Err(JidError::empty);
  if (Jid jid = parse_ascii(local, domain, resource)) return jid;

  std::string prepared_local;
  std::string prepared_resource;
  if (!local.empty()) {
    auto result = prep::prepare_local(local);
    if (!result) return Err(result.error());
    prepared_local = *std::move(result);
  }
  auto prepared_domain = prep::prepare_domain(domain);
  if (!prepared_domain) return Err(prepared_domain.error());
  if (!resource.empty()) {
    auto result = prep::prepare_resource(resource);
    if (!result) return Err(result.error());
    prepared_resource = *std::move(result);
  }
  return make_prepared(prepared_local, *prepared_domain, prepared_resource);
}

Jid Jid::from_prepared(std::string_view text) {
  const Split parts = split(text);
  // What we did not write ourselves (a damaged row) is no address, but no reason to abort either.
  if (parts.domain.empty() || parts.local.size() > kPartBytesMax ||
      parts.domain.size() > kPartBytesMax || parts.resource.size() > kPartBytesMax) {
    return {};
  }
  return make_prepared(parts.local, parts.domain, parts.resource);
}

Jid Jid::bare() const {
  if (!is_full()) return *this;
  Jid jid = make_prepared(local(), domain(), {});
  jid.rep_->bare_hash.store(rep_->bare_hash.load(std::memory_order_relaxed),
                            std::memory_order_relaxed);
  return jid;
}

Jid Jid::domain_jid() const {
  if (rep_ == nullptr || is_domain()) return *this;
  return make_prepared({}, domain(), {});
}

Result<Jid, JidError> Jid::with_resource(std::string_view resource) const {
  XMPP_ASSERT(!is_empty());
  auto prepared = prep::prepare_resource(resource);
  if (!prepared) return Err(prepared.error());
  return make_prepared(local(), domain(), *prepared);
}

std::uint64_t Jid::bare_hash() const noexcept {
  if (rep_ == nullptr) return siphash64(process_hash_key(), {});
  std::uint64_t hash = rep_->bare_hash.load(std::memory_order_relaxed);
  if (hash == 0) {
    // Two threads may both compute it; they store the same value. A true 0 is computed every time.
    hash = siphash64(process_hash_key(), bare_str());
    rep_->bare_hash.store(hash, std::memory_order_relaxed);
  }
  return hash;
}

}  // namespace xmpp

namespace xmpp::xml {

std::optional<Jid> ValueCodec<Jid>::decode(std::string_view text) {
  auto jid = Jid::parse(text);
  if (!jid) return std::nullopt;
  return *std::move(jid);
}

}  // namespace xmpp::xml
