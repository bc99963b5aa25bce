// StreamParser: finds where first-level elements begin, keeps what is unfinished, remembers the
// stream header's namespaces. The elements themselves: element_parser.cc.
//
// Thread-safety: one thread.
#include "xmpp/xml/tokenizer.h"

#include <algorithm>
#include <utility>

#include "xml/element_parser.h"
#include "xml/prolog.h"

namespace xmpp::xml {
namespace {

// Elements that are there as a whole are parsed with this one; nothing survives in it between calls
// but its memory.
ElementParser& scratch_parser() {
  thread_local ElementParser parser;
  return parser;
}

}  // namespace

StreamParser::StreamParser(const Limits& limits) noexcept : limits_(limits) {}
StreamParser::~StreamParser() = default;
StreamParser::StreamParser(StreamParser&&) noexcept = default;
StreamParser& StreamParser::operator=(StreamParser&&) noexcept = default;

void StreamParser::feed(std::string_view bytes) {
  if (phase_ == Phase::failed) return;
  if (held_ == nullptr || held_->empty()) {
    XMPP_ASSERT(input_.empty());
    input_ = bytes;
    return;
  }
  // Without partial_ the held bytes came from hold() or are a few of the prolog.
  held_->erase(0, held_->size() - input_.size());
  held_->append(bytes);
  input_ = *held_;
  fed_ = bytes;
}

StreamParser::Event StreamParser::next() {
  if (phase_ == Phase::failed) return Event::error;
  if (close_pending_) {
    close_pending_ = false;
    phase_ = Phase::closed;
    return Event::close;
  }
  const Event event = phase_ <= Phase::prolog ? read_prolog() : read_stream();
  if (event == Event::error) {
    held_.reset();
    partial_.reset();
    input_ = {};
  }
  return event;
}

StreamParser::Event StreamParser::fail(ParseError error) noexcept {
  phase_ = Phase::failed;
  error_ = error;
  return Event::error;
}

// Keeps what could not be read yet.
StreamParser::Event StreamParser::wait() {
  hold();
  return Event::need_bytes;
}

void StreamParser::hold() {
  fed_ = {};
  if (input_.empty()) {
    held_.reset();
    return;
  }
  if (held_ == nullptr) held_ = std::make_unique<std::string>();
  if (held_->empty()) {
    held_->assign(input_);
  } else {
    held_->erase(0, held_->size() - input_.size());
  }
  input_ = *held_;
}

void StreamParser::consume(std::size_t count) noexcept {
  input_.remove_prefix(count);
  if (held_ == nullptr || held_->empty() || input_.size() > fed_.size()) return;
  // All that is left is in the caller's buffer, too.
  input_ = fed_.substr(fed_.size() - input_.size());
  fed_ = {};
  held_.reset();
}

StreamParser::Event StreamParser::read_prolog() {
  if (phase_ == Phase::after_restart) {
    while (!input_.empty() && has_class(input_.front(), kSpace)) consume(1);
    if (input_.empty()) return wait();
    phase_ = Phase::start;
  }
  if (phase_ == Phase::start) {
    const Prolog prolog = scan_prolog(input_);
    if (prolog.scan == Scan::failed) return fail(prolog.error);
    if (prolog.scan == Scan::incomplete) return wait();
    consume(prolog.size);
    phase_ = Phase::prolog;
  }
  while (!input_.empty() && has_class(input_.front(), kSpace)) consume(1);
  if (input_.empty()) return wait();
  if (input_.front() != '<') return fail(ParseError::not_well_formed);
  return read_element(true);
}

StreamParser::Event StreamParser::read_stream() {
  if (input_.empty()) return wait();
  if (input_.front() != '<') return read_text();
  if (phase_ == Phase::closed) return fail(ParseError::not_well_formed);
  if (partial_ == nullptr) {
    if (input_.size() == 1) return wait();
    if (input_[1] == '/') return read_close();
  }
  return read_element(false);
}

StreamParser::Event StreamParser::read_text() {
  std::size_t size = 0;
  while (size < input_.size() && has_class(input_[size], kSpace)) ++size;
  if (size == 0) {
    const auto lead = static_cast<unsigned char>(input_.front());
    // Behind the stream's end there is no text in XML. What it is inside of it, its first character
    // tells, so that it does not matter how much of it has come.
    const ParseError stray =
        phase_ == Phase::closed ? ParseError::not_well_formed : ParseError::stray_text;
    if (lead < 0x80) return fail(lead < ' ' ? ParseError::not_well_formed : stray);
    const Scanned scanned = scan_multibyte(input_.data(), input_.data() + input_.size());
    if (scanned.scan == Scan::incomplete) return wait();
    return fail(scanned.scan == Scan::failed ? scanned.error : stray);
  }
  consume(size);
  return Event::text;
}

StreamParser::Event StreamParser::read_close() {
  // "</" name white-space* ">"; the white space is bounded, so that nothing needs to be remembered.
  constexpr std::size_t kMaxSpace = 64;
  const std::string_view name = outer_->name();
  std::size_t at = 2;
  for (; at < name.size() + 2; ++at) {
    if (at == input_.size()) return wait();
    if (input_[at] != name[at - 2]) return fail(ParseError::not_well_formed);
  }
  for (; at < name.size() + 2 + kMaxSpace; ++at) {
    if (at == input_.size()) return wait();
    if (input_[at] == '>') {
      consume(at + 1);
      phase_ = Phase::closed;
      return Event::close;
    }
    if (!has_class(input_[at], kSpace)) break;
  }
  return fail(ParseError::not_well_formed);
}

StreamParser::Event StreamParser::read_element(bool is_header) {
  ElementParser& parser = partial_ != nullptr ? *partial_ : scratch_parser();
  if (partial_ == nullptr) {
    parser.reset(is_header ? ElementParser::Mode::header : ElementParser::Mode::element);
  }
  switch (parser.parse(input_, is_header ? nullptr : outer_.get(), limits_)) {
    case ElementParser::Status::failed: {
      const ParseError error = parser.error();
      parser.trim();
      return fail(error);
    }
    case ElementParser::Status::incomplete:
      if (partial_ == nullptr) {
        partial_ = std::make_unique<ElementParser>(parser);  // copies hold no spare memory
        parser.trim();
      }
      return wait();
    case ElementParser::Status::done:
      break;
  }
  document_ = parser.make_document(input_);
  if (is_header) {
    outer_ = std::make_unique<OuterNamespaces>(parser.take_namespaces(input_));
    close_pending_ = parser.is_closed();
    phase_ = Phase::open;
  }
  const std::size_t size = parser.size();
  parser.trim();
  partial_.reset();
  consume(size);
  return is_header ? Event::open : Event::element;
}

Document StreamParser::take_document() noexcept {
  return std::exchange(document_, {});
}

ParseError StreamParser::error() const noexcept {
  return error_;
}

std::size_t StreamParser::unread_bytes() const noexcept {
  return input_.size();
}

void StreamParser::restart() {
  XMPP_ASSERT(partial_ == nullptr);
  if (phase_ == Phase::failed) return;
  phase_ = Phase::after_restart;
  outer_.reset();
  close_pending_ = false;
}

std::size_t StreamParser::discard_unread() noexcept {
  const std::size_t size = input_.size();
  input_ = fed_ = {};
  held_.reset();
  partial_.reset();
  return size;
}

void StreamParser::set_limits(const Limits& limits) noexcept {
  limits_ = limits;
}

bool StreamParser::is_mid_element() const noexcept {
  return partial_ != nullptr;
}

std::size_t StreamParser::heap_bytes() const noexcept {
  std::size_t size = 0;
  if (held_ != nullptr) size += sizeof(std::string) + held_->capacity();
  if (partial_ != nullptr) size += sizeof(ElementParser) + partial_->heap_bytes();
  if (outer_ != nullptr) {
    size += sizeof(OuterNamespaces) + outer_->text.capacity() +
            outer_->bindings.capacity() * sizeof(OuterNamespaces::Binding);
  }
  return size;
}

}  // namespace xmpp::xml
