// StreamParser: the bytes of an XMPP stream in, first-level elements out. Incremental and strict:
// XML 1.0 with namespaces, minus what RFC 6120 11 forbids (DTD, comments, processing instructions,
// other entities); UTF-8 is validated; limits hold while scanning.
//
//   parser.feed(bytes);
//   while ((event = parser.next()) != need_bytes) ...
//
// In the usual case (whole stanzas in one read) the bytes are scanned in the caller's buffer and
// copied once, into the Document. A partial element is buffered inside; each byte is scanned a
// bounded number of times whatever the fragmentation. Between stanzas no memory is held beyond the
// object itself.
//
// Thread-safety: one thread. Invariants: (1) after an error every further next() is an error.
// (2) Equal bytes give equal events, however they are split (but for one `text` becoming several).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "xmpp/xml/document.h"

namespace xmpp::xml {

class ElementParser;
struct OuterNamespaces;

class StreamParser {
 public:
  enum class Event : std::uint8_t {
    need_bytes,
    open,     // the stream's start tag; take_document() gives it as an element without content
    element,  // one first-level element; take_document()
    text,     // white space only between elements (a keepalive); anything else is an error
    close,    // the stream's end tag
    error,    // error()
  };

  explicit StreamParser(const Limits& limits = {}) noexcept;
  ~StreamParser();
  StreamParser(StreamParser&&) noexcept;
  StreamParser& operator=(StreamParser&&) noexcept;

  // Offers bytes. REQUIRES: next() has returned need_bytes since the last feed(), or nothing was
  // fed yet. `bytes` must stay readable until next() returns need_bytes or hold() is called.
  void feed(std::string_view bytes);
  [[nodiscard]] Event next();
  // The document of the last `open` or `element`.
  [[nodiscard]] Document take_document() noexcept;
  [[nodiscard]] ParseError error() const noexcept;

  // Bytes fed but not consumed yet (non-empty only between events).
  [[nodiscard]] std::size_t unread_bytes() const noexcept;
  // Copies the unread bytes inside, so that the caller's buffer may go (a link that migrates).
  void hold();
  // Stream restart: forgets the open stream; unread bytes are kept and belong to the new stream.
  // White space before its XML declaration is taken for the end of the old stream and skipped.
  // REQUIRES: !is_mid_element().
  void restart();
  // Drops unread bytes (bytes pipelined behind <starttls/>); returns how many there were.
  std::size_t discard_unread() noexcept;
  // Limits may rise after authentication.
  void set_limits(const Limits& limits) noexcept;
  // After need_bytes: is an element, a tag or a declaration partly read?
  [[nodiscard]] bool is_mid_element() const noexcept;
  // Bytes of heap that the parser holds now, roughly; for accounting and tests.
  [[nodiscard]] std::size_t heap_bytes() const noexcept;

 private:
  enum class Phase : std::uint8_t { start, after_restart, prolog, open, closed, failed };

  Event fail(ParseError error) noexcept;
  Event read_prolog();
  Event read_stream();
  Event read_text();
  Event read_close();
  Event read_element(bool is_header);
  Event wait();
  void consume(std::size_t count) noexcept;

  Limits limits_;
  std::string_view input_;  // unread, in the caller's buffer or in held_
  std::string_view fed_;  // if input_ is in held_: the end of it, as it lies in the caller's buffer
  std::unique_ptr<std::string> held_;       // bytes that had to be kept
  std::unique_ptr<ElementParser> partial_;  // the element that input_ begins with, if partly read
  std::unique_ptr<OuterNamespaces> outer_;
  Document document_;
  Phase phase_ = Phase::start;
  ParseError error_ = ParseError::not_well_formed;
  bool close_pending_ = false;  // the stream's start tag closed itself
};

}  // namespace xmpp::xml
