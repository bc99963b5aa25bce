// Writer: canonical XML out. Escapes, and declares a namespace where it differs from the one around
// it.
//
//   std::string out;
//   Writer writer(out, ns::client);          // the default namespace already in force at this
//   place writer.start(ns::ping, "ping");          // <ping xmlns='urn:xmpp:ping' writer.attr("id",
//   value); writer.text("..."); writer.end();                            // /> or </ping>
//
// Only default namespaces are used; attributes with a namespace exist as xml:lang only (attr
// "xml:lang"), others are written with a generated prefix by write(Element).
//
// Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "xmpp/xml/document.h"

namespace xmpp::xml {

// Appends `text` with & < > ' " escaped (character references for what attribute normalisation or
// line-end handling would change: \t \n \r in attributes, \r in text). What XML cannot carry
// (control characters, invalid UTF-8) becomes U+FFFD, so that no value can break a stream.
void escape_text(std::string& out, std::string_view text);
void escape_attr(std::string& out, std::string_view text);
// Is `text` ASCII that both copy as it is?
[[nodiscard]] bool is_plain(std::string_view text) noexcept;

class Writer {
 public:
  explicit Writer(std::string& out, std::string_view default_ns = {});
  // Starts an element; closes the open start tag before it.
  void start(std::string_view ns, std::string_view name);
  // REQUIRES: a start tag is open.
  void attr(std::string_view name, std::string_view value);
  void text(std::string_view text);
  void end();
  // An element with text only.
  void element(std::string_view ns, std::string_view name, std::string_view text = {});
  // Copies an element: verbatim where copies_verbatim() says so, else canonically. The meaning
  // stays the same, with one exception: a stanza's child in the stanza's content namespace, written
  // in another content namespace, takes that one (jabber:client <-> jabber:server).
  void write(Element element);
  // Appends markup that is known to be right here (an encoded payload whose namespace is declared
  // on itself).
  void raw(std::string_view markup);
  [[nodiscard]] std::size_t depth() const noexcept { return open_.size(); }
  // The default namespace in force here.
  [[nodiscard]] std::string_view default_ns() const noexcept;

 private:
  struct Open {
    std::uint32_t name_begin;  // in names_: name, then namespace
    std::uint32_t name_size;
    std::uint32_t ns_size;
  };
  void close_start_tag();
  void write_canonical(Element element, std::string_view translated_ns);
  void write_attribute(Element element, std::uint32_t node, std::uint32_t number);

  std::string& out_;
  std::vector<Open> open_;
  std::string names_;
  std::string outer_ns_;
  bool in_start_tag_ = false;
};

}  // namespace xmpp::xml
