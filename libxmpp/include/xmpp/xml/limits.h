// Limits that the tokenizer enforces while it scans. Exceeding one is ParseError::limit_exceeded.
#pragma once

#include <cstddef>

namespace xmpp::xml {

struct Limits {
  // Bytes of one first-level element; RFC 6120 13.12 forbids less than 10,000.
  std::size_t stanza_bytes = 262'144;
  // Nesting below the stream element: a stanza has depth 1.
  std::size_t depth = 64;
  // Attributes of one element, namespace declarations included.
  std::size_t attributes = 64;
  // Prefixes in force at one place, which bounds the work of looking one up.
  std::size_t prefixes = 64;
  // Nodes (elements, attributes, text runs) of one first-level element.
  std::size_t nodes = 32'768;
};

}  // namespace xmpp::xml
