// Gaps of an Audit and the text of a Tag.
#include "audit.h"

#include <algorithm>
#include <array>

namespace xmppbench {
namespace {

// "xb" run:8 "." sender:8 "." number:8 "." at:15
constexpr std::string_view kMark = "xb";
constexpr std::size_t kRun = 2;
constexpr std::size_t kSender = 11;
constexpr std::size_t kNumber = 20;
constexpr std::size_t kAt = 29;
constexpr std::size_t kAtDigits = 15;
static_assert(kAt + kAtDigits == Tag::kBytes);

void write_hex(char* out, std::uint64_t value, std::size_t digits) noexcept {
  while (digits-- > 0) {
    out[digits] = "0123456789abcdef"[value & 15U];
    value >>= 4U;
  }
}

constexpr std::array<std::int8_t, 256> make_digits() {
  std::array<std::int8_t, 256> values{};
  for (auto& value : values) value = -1;
  for (int i = 0; i < 10; ++i)
    values[static_cast<std::size_t>('0' + i)] = static_cast<std::int8_t>(i);
  for (int i = 0; i < 6; ++i) {
    values[static_cast<std::size_t>('a' + i)] = static_cast<std::int8_t>(10 + i);
  }
  return values;
}
constexpr auto kDigits = make_digits();

// False if there is something else than digits.
bool read_hex(const char* text, std::size_t digits, std::uint64_t& value) noexcept {
  int bad = 0;
  for (std::size_t i = 0; i < digits; ++i) {
    const std::int8_t digit = kDigits[static_cast<unsigned char>(text[i])];
    bad |= digit;
    value = value << 4U | static_cast<std::uint64_t>(digit & 15);
  }
  return bad >= 0;
}

}  // namespace

Audit::Arrival Audit::on_arrival(std::uint64_t number) {
  if (number >= next_) {
    if (number > next_) missing_.push_back({next_, number});
    next_ = number + 1;
    return Arrival::in_order;
  }
  const auto range = std::upper_bound(
      missing_.begin(), missing_.end(), number,
      [](std::uint64_t value, const Range& candidate) { return value < candidate.end; });
  if (range == missing_.end() || number < range->begin) return Arrival::duplicated;
  const Range after{number + 1, range->end};
  range->end = number;
  if (range->begin == range->end) {
    *range = after;
    if (range->begin == range->end) missing_.erase(range);
  } else if (after.begin != after.end) {
    missing_.insert(range + 1, after);
  }
  return Arrival::reordered;
}

std::uint64_t Audit::lost(std::uint64_t first, std::uint64_t sent) const noexcept {
  std::uint64_t lost = 0;
  const auto add = [&](std::uint64_t begin, std::uint64_t end) {
    begin = std::max(begin, first);
    end = std::min(end, sent);
    if (begin < end) lost += end - begin;
  };
  for (const Range& range : missing_) add(range.begin, range.end);
  add(next_, sent);
  return lost;
}

void Tag::write(char* out) const noexcept {
  kMark.copy(out, kMark.size());
  write_hex(out + kRun, run, 8);
  out[kSender - 1] = '.';
  write_hex(out + kSender, sender, 8);
  out[kNumber - 1] = '.';
  write_hex(out + kNumber, number, 8);
  out[kAt - 1] = '.';
  write_hex(out + kAt, static_cast<std::uint64_t>(at.time_since_epoch().count()), kAtDigits);
}

std::optional<Tag> Tag::parse(std::string_view body) noexcept {
  if (body.size() < kBytes || !body.starts_with(kMark)) return std::nullopt;
  std::uint64_t run = 0;
  std::uint64_t sender = 0;
  std::uint64_t number = 0;
  std::uint64_t at = 0;
  const char* text = body.data();
  if (!read_hex(text + kRun, 8, run) || !read_hex(text + kSender, 8, sender) ||
      !read_hex(text + kNumber, 8, number) || !read_hex(text + kAt, kAtDigits, at)) {
    return std::nullopt;
  }
  return Tag{static_cast<std::uint32_t>(run), static_cast<std::uint32_t>(sender),
             static_cast<std::uint32_t>(number),
             xmpp::Instant(xmpp::Duration(static_cast<xmpp::Duration::rep>(at)))};
}

}  // namespace xmppbench
