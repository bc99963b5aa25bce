#include "xmpp/net/dns.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <sys/socket.h>
#include <unicode/uidna.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>

namespace xmpp::net {
namespace {

constexpr std::size_t kHeaderBytes = 12;
constexpr std::size_t kNameMax = 253;  // as text; 255 with its first length and its end (RFC 1035)
constexpr std::uint16_t kTypeSrv = 33;
constexpr std::uint16_t kClassIn = 1;
constexpr unsigned kRcodeOk = 0;
constexpr unsigned kRcodeNoSuchName = 3;

// Reads a DNS message; after any step beyond its end everything reads as zero and ok() is false.
class Cursor {
 public:
  explicit Cursor(std::span<const unsigned char> message) noexcept : message_(message) {}
  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] std::size_t at() const noexcept { return at_; }

  void skip(std::size_t count) noexcept {
    ok_ = ok_ && count <= message_.size() - at_;
    if (ok_) at_ += count;
  }
  std::uint16_t u16() noexcept {
    const std::size_t from = at_;
    skip(2);
    return ok_ ? static_cast<std::uint16_t>(message_[from] << 8 | message_[from + 1])
               : std::uint16_t{0};
  }
  std::uint32_t u32() noexcept {
    const std::uint32_t high = u16();
    return high << 16 | u16();
  }
  // A name with compression (RFC 1035 4.1.4); pointers must lead backwards, so it ends.
  std::string name() {
    std::string text;
    std::size_t position = at_;
    std::size_t lowest = at_;
    bool jumped = false;
    while (ok_) {
      if (position >= message_.size()) break;
      const unsigned length = message_[position];
      if (length == 0) {
        if (!jumped) at_ = position + 1;
        return text;
      }
      if ((length & 0xC0U) == 0xC0U) {
        if (position + 1 >= message_.size()) break;
        const std::size_t target = (length & 0x3FU) << 8 | message_[position + 1];
        if (target >= lowest) break;
        if (!jumped) at_ = position + 2;
        jumped = true;
        position = lowest = target;
        continue;
      }
      if ((length & 0xC0U) != 0 || position + 1 + length > message_.size()) break;
      if (!text.empty()) text += '.';
      if (text.size() + length > kNameMax) break;
      for (std::size_t i = 1; i <= length; ++i) text += static_cast<char>(message_[position + i]);
      position += 1 + length;
    }
    ok_ = false;
    return {};
  }

 private:
  std::span<const unsigned char> message_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

// A target is used as a host name from here on: anything that is none is refused. A label may hold
// dots on the wire; a name that had two or more in a row would be none.
bool is_host_name(std::string_view name) noexcept {
  if (name.starts_with('.') || name.ends_with('.') || name.find("..") != std::string_view::npos) {
    return false;
  }
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  });
}

bool parse_record(Cursor& cursor, SrvAnswer& answer) {
  cursor.name();
  const std::uint16_t type = cursor.u16();
  const std::uint16_t record_class = cursor.u16();
  const std::chrono::seconds ttl(std::min<std::uint32_t>(cursor.u32(), 0x7FFFFFFFU));
  const std::uint16_t length = cursor.u16();
  const std::size_t start = cursor.at();
  if (!cursor.ok()) return false;
  if (type != kTypeSrv || record_class != kClassIn) {
    cursor.skip(length);
    return cursor.ok();
  }
  SrvRecord record;
  record.priority = cursor.u16();
  record.weight = cursor.u16();
  record.port = cursor.u16();
  record.target = cursor.name();
  if (!cursor.ok() || cursor.at() != start + length) return false;
  if (!is_host_name(record.target)) return true;
  answer.ttl = answer.records.empty() ? ttl : std::min(answer.ttl, ttl);
  answer.records.push_back(std::move(record));
  return true;
}

class SystemDns final : public Dns {
 public:
  SrvAnswer find_srv(const std::string& name) override {
    struct __res_state state {};
    if (::res_ninit(&state) != 0) return {SrvAnswer::Status::failed};
    std::array<unsigned char, 16 * 1024> buffer;
    const int length =
        ::res_nquery(&state, name.c_str(), ns_c_in, ns_t_srv, buffer.data(), buffer.size());
    const int code = state.res_h_errno;
    ::res_nclose(&state);
    if (length < 0) {
      const bool none = code == HOST_NOT_FOUND || code == NO_DATA;
      return {none ? SrvAnswer::Status::none : SrvAnswer::Status::failed};
    }
    const auto size = std::min(static_cast<std::size_t>(length), buffer.size());
    return parse_srv_answer(std::span(buffer).first(size));
  }

  std::vector<std::string> find_addresses(const std::string& host) override {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_ADDRCONFIG;
    addrinfo* list = nullptr;
    // AI_ADDRCONFIG ignores loopback: on a machine without any other address ask again without.
    if (::getaddrinfo(host.c_str(), nullptr, &hints, &list) != 0) {
      hints.ai_flags = 0;
      if (::getaddrinfo(host.c_str(), nullptr, &hints, &list) != 0) return {};
    }
    std::vector<std::string> addresses;
    for (const addrinfo* entry = list; entry != nullptr; entry = entry->ai_next) {
      std::array<char, NI_MAXHOST> text;
      if (::getnameinfo(entry->ai_addr, entry->ai_addrlen, text.data(), text.size(), nullptr, 0,
                        NI_NUMERICHOST) == 0) {
        addresses.emplace_back(text.data());
      }
    }
    ::freeaddrinfo(list);
    return addresses;
  }
};

// Draws one of [first, last), which have the same priority, by weight.
std::vector<SrvRecord>::iterator draw(std::vector<SrvRecord>::iterator first,
                                      std::vector<SrvRecord>::iterator last, Rng& rng) {
  std::uint64_t sum = 0;
  for (auto record = first; record != last; ++record) sum += record->weight;
  const std::uint64_t lot = rng.below(sum + 1);
  std::uint64_t running = 0;
  for (auto record = first; record != last; ++record) {
    running += record->weight;
    if (running >= lot) return record;
  }
  return first;
}

}  // namespace

SrvAnswer parse_srv_answer(std::span<const unsigned char> message) {
  SrvAnswer answer{SrvAnswer::Status::failed};
  if (message.size() < kHeaderBytes) return answer;
  Cursor cursor(message);
  cursor.skip(2);  // id: checked by whoever asked
  const std::uint16_t flags = cursor.u16();
  const std::uint16_t questions = cursor.u16();
  const std::uint16_t answers = cursor.u16();
  cursor.skip(4);  // authority and additional records are of no interest
  const unsigned rcode = flags & 0xFU;
  if (rcode == kRcodeNoSuchName) return {SrvAnswer::Status::none};
  if (rcode != kRcodeOk) return answer;
  for (unsigned i = 0; i < questions; ++i) {
    cursor.name();
    cursor.skip(4);
  }
  for (unsigned i = 0; i < answers; ++i) {
    if (!cursor.ok() || !parse_record(cursor, answer)) return {SrvAnswer::Status::failed};
  }
  answer.status = answer.records.empty() ? SrvAnswer::Status::none : SrvAnswer::Status::found;
  return cursor.ok() ? answer : SrvAnswer{SrvAnswer::Status::failed};
}

void order_srv(std::vector<SrvRecord>& records, Rng& rng) {
  // Weight 0 first within a priority: it is then drawn only with the lot 0.
  std::stable_sort(records.begin(), records.end(), [](const SrvRecord& a, const SrvRecord& b) {
    return std::pair(a.priority, a.weight != 0) < std::pair(b.priority, b.weight != 0);
  });
  for (auto first = records.begin(); first != records.end(); ++first) {
    auto last = std::find_if(first, records.end(), [&](const SrvRecord& record) {
      return record.priority != first->priority;
    });
    // Only the drawn one moves, so that weight 0 stays first among the rest (RFC 2782).
    const auto drawn = draw(first, last, rng);
    std::rotate(first, drawn, drawn + 1);
  }
}

std::string to_a_labels(std::string_view domain) {
  const bool ascii = std::all_of(domain.begin(), domain.end(),
                                 [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  if (ascii) return std::string(domain);
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<UIDNA, decltype(&uidna_close)> idna(
      uidna_openUTS46(UIDNA_NONTRANSITIONAL_TO_ASCII, &status), &uidna_close);
  if (U_FAILURE(status)) return {};
  UIDNAInfo info = UIDNA_INFO_INITIALIZER;
  std::array<char, 256> out;
  const std::int32_t length =
      uidna_nameToASCII_UTF8(idna.get(), domain.data(), static_cast<std::int32_t>(domain.size()),
                             out.data(), static_cast<std::int32_t>(out.size()), &info, &status);
  if (U_FAILURE(status) || info.errors != 0 || length < 0) return {};
  return {out.data(), static_cast<std::size_t>(length)};
}

Dns& system_dns() {
  static SystemDns dns;
  return dns;
}

}  // namespace xmpp::net
