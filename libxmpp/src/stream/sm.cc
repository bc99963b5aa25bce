// The wire of stream management, receiving side, and its counters. See xmpp/stream/sm.h and
// stream/machine.h. Spec: XEP-0198.
#include "xmpp/stream/sm.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "stream/machine.h"
#include "stream/tables.h"
#include "xmpp/core/namespaces.h"

namespace xmpp {
namespace sm {
namespace {

constexpr std::size_t kEnvelopeBytes = 256;
constexpr Count kHalf = Count{1} << 31;

// Is `a` before `b`, on a circle?
bool is_before(Count a, Count b) noexcept {
  return a != b && b - a < kHalf;
}

}  // namespace

std::size_t weight_of(const Stanza& stanza) noexcept {
  std::size_t bytes = kEnvelopeBytes;
  for (const Payload& payload : stanza.payloads()) {
    const auto text = payload.verbatim();
    bytes += text.empty() ? kEnvelopeBytes : text.size();
  }
  return bytes;
}

bool Queue::push(Stanza stanza, Timestamp at, std::uint32_t mark) {
  const std::size_t bytes = weight_of(stanza);
  entries_.push_back({std::move(stanza), at, bytes, mark});
  bytes_ += bytes;
  return size() <= stanzas_max_ && bytes_ <= bytes_max_;
}

Queue::Outcome Queue::acknowledge(Count h) {
  const Count gone = h - acknowledged_;
  if (gone > size()) return is_before(h, acknowledged_) ? Outcome::stale : Outcome::too_high;
  for (Count i = 0; i < gone; ++i) {
    Entry& entry = entries_[head_++];
    bytes_ -= entry.bytes;
    entry.stanza = Stanza();
  }
  acknowledged_ = h;
  if (head_ == entries_.size()) {
    entries_.clear();
    head_ = 0;
  } else if (head_ > entries_.size() / 2) {
    entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(head_));
    head_ = 0;
  }
  return Outcome::ok;
}

std::vector<Queue::Entry> Queue::take() {
  std::vector<Entry> all(
      std::make_move_iterator(entries_.begin() + static_cast<std::ptrdiff_t>(head_)),
      std::make_move_iterator(entries_.end()));
  acknowledged_ = sent();
  entries_.clear();
  head_ = 0;
  bytes_ = 0;
  return all;
}

void Window::confirm(Count number) noexcept {
  if (is_before(confirmed_, number)) confirmed_ = number;
}

void Window::hold(Count number) {
  if (!is_before(reported_, number)) return;
  auto found = std::find_if(held_.begin(), held_.end(),
                            [number](const Held& held) { return held.number == number; });
  if (found == held_.end()) {
    held_.push_back({number, 1});
  } else {
    ++found->holds;
  }
}

void Window::settle(Count number) noexcept {
  auto found = std::find_if(held_.begin(), held_.end(),
                            [number](const Held& held) { return held.number == number; });
  if (found == held_.end() || --found->holds != 0) return;
  *found = held_.back();
  held_.pop_back();
}

Count Window::handled() const noexcept {
  Count handled = confirmed_;
  for (const Held& held : held_) {
    if (!is_before(handled, held.number)) handled = held.number - 1;
  }
  return is_before(handled, reported_) ? reported_ : handled;
}

void Window::settle_all() noexcept {
  held_.clear();
  confirmed_ = received_;
}

}  // namespace sm

namespace stream {
namespace {

constexpr xml::Name kEnable{ns::sm, "enable"};
constexpr xml::Name kResumeName{ns::sm, "resume"};
constexpr xml::Name kRequest{ns::sm, "r"};
constexpr xml::Name kAnswer{ns::sm, "a"};

std::optional<std::uint32_t> number_of(const std::optional<std::string>& text) {
  if (!text) return std::nullopt;
  std::string_view digits = *text;
  // xs:unsignedInt collapses white space and allows a sign.
  while (!digits.empty() && digits.front() == ' ') digits.remove_prefix(1);
  while (!digits.empty() && digits.back() == ' ') digits.remove_suffix(1);
  if (!digits.empty() && digits.front() == '+') digits.remove_prefix(1);
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

bool is_true(const std::optional<std::string>& text) {
  return text && (*text == "true" || *text == "1");
}

std::optional<Event> on_enable(StreamMachine& machine, const xml::Element& root) {
  if (!machine.is_usable() || machine.sm_enabled) {
    refuse_sm(machine, StanzaCondition::unexpected_request);
    return std::nullopt;
  }
  machine.awaiting = Awaiting::enable;
  return Event(std::in_place_type<EnableRequested>,
               EnableRequested{is_true(root.attr("resume")), number_of(root.attr("max"))});
}

std::optional<Event> on_resume(StreamMachine& machine, const xml::Element& root) {
  if (!has_any(machine.bits, StreamBits::authenticated) ||
      has_any(machine.bits, StreamBits::bound)) {
    refuse_sm(machine, StanzaCondition::unexpected_request);
    return std::nullopt;
  }
  auto id = root.attr("previd");
  const auto handled = number_of(root.attr("h"));
  if (!id || id->empty() || !handled) {
    refuse_sm(machine, StanzaCondition::bad_request);
    return std::nullopt;
  }
  machine.awaiting = Awaiting::resume;
  return Event(std::in_place_type<ResumeRequested>, ResumeRequested{std::move(*id), *handled});
}

}  // namespace

std::optional<Event> read_sm(StreamMachine& machine, const xml::Document& document) {
  const xml::Element root = document.root();
  if (has_any(machine.bits, StreamBits::closing)) return std::nullopt;
  if (root.is(kEnable)) return on_enable(machine, root);
  if (root.is(kResumeName)) return on_resume(machine, root);
  if (!root.is(kRequest) && !root.is(kAnswer)) {
    machine.fail({StreamCondition::unsupported_stanza_type, {}});
    return std::nullopt;
  }
  if (!machine.sm_enabled) {
    refuse_sm(machine, StanzaCondition::unexpected_request);
    return std::nullopt;
  }
  if (root.is(kRequest)) return Event(std::in_place_type<AckRequested>);
  const auto handled = number_of(root.attr("h"));
  if (!handled) {
    machine.fail({StreamCondition::invalid_xml, "<a/> needs a number as its attribute h"});
    return std::nullopt;
  }
  return Event(std::in_place_type<Acked>, Acked{*handled});
}

void refuse_sm(StreamMachine& machine, StanzaCondition condition, std::optional<std::uint32_t> h) {
  machine.write_with([&](std::string& out) {
    out += "<failed xmlns='urn:xmpp:sm:3'";
    if (h) out += " h='" + std::to_string(*h) + '\'';
    out += "><";
    out += to_string(condition);
    out += " xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>";
  });
}

}  // namespace stream
}  // namespace xmpp
