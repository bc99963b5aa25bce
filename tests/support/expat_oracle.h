// Expat as the oracle for our parser: does it accept a whole document, with what meaning, and did
// the document use anything that RFC 6120 11 forbids?
#pragma once

#include <expat.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "support/xml_dump.h"

namespace xmpp::xml::testing {

struct ExpatVerdict {
  bool is_accepted = false;
  bool is_forbidden =
      false;         // comment, processing instruction, DTD, or another version or encoding
  std::string dump;  // as dump() of the root
};

namespace detail {

constexpr char kSeparator = '\x01';

struct ExpatRun {
  ExpatVerdict verdict;
  std::vector<std::string> stack;  // of unfinished dumps
};

inline std::string expat_name(const char* raw) {
  const std::string_view name = raw;
  const std::size_t at = name.rfind(kSeparator);
  if (at == std::string_view::npos) return expanded("", name);
  return expanded(name.substr(0, at), name.substr(at + 1));
}

inline void on_start(void* user, const char* name, const char** attributes) {
  auto& run = *static_cast<ExpatRun*>(user);
  std::string out = "(" + expat_name(name);
  std::vector<std::string> list;
  for (; *attributes != nullptr; attributes += 2) {
    list.push_back(expat_name(attributes[0]) + "=" + attributes[1]);
  }
  std::sort(list.begin(), list.end());
  for (const std::string& attribute : list) out += " " + attribute;
  run.stack.push_back(out + "|");
}

inline void on_end(void* user, const char*) {
  auto& run = *static_cast<ExpatRun*>(user);
  std::string out = std::move(run.stack.back()) + ")";
  run.stack.pop_back();
  (run.stack.empty() ? run.verdict.dump : run.stack.back()) += out;
}

inline void on_text(void* user, const char* text, int size) {
  static_cast<ExpatRun*>(user)->stack.back().append(text, static_cast<std::size_t>(size));
}

inline void forbid(void* user) {
  static_cast<ExpatRun*>(user)->verdict.is_forbidden = true;
}

inline void on_declaration(void* user, const char* version, const char* encoding, int) {
  const std::string_view number = version == nullptr ? "" : version;
  std::string name = encoding == nullptr ? "UTF-8" : encoding;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  const bool is_one = number.size() > 2 && number.starts_with("1.") &&
                      number.find_first_not_of("0123456789", 2) == std::string_view::npos;
  if (!is_one || name != "UTF-8") forbid(user);
}

}  // namespace detail

inline ExpatVerdict ask_expat(std::string_view bytes) {
  detail::ExpatRun run;
  XML_Parser parser = XML_ParserCreateNS(nullptr, detail::kSeparator);
  XML_SetUserData(parser, &run);
  XML_SetElementHandler(parser, detail::on_start, detail::on_end);
  XML_SetCharacterDataHandler(parser, detail::on_text);
  XML_SetCommentHandler(parser, [](void* user, const char*) { detail::forbid(user); });
  XML_SetProcessingInstructionHandler(
      parser, [](void* user, const char*, const char*) { detail::forbid(user); });
  XML_SetStartDoctypeDeclHandler(
      parser, [](void* user, const char*, const char*, const char*, int) { detail::forbid(user); });
  XML_SetXmlDeclHandler(parser, detail::on_declaration);
  const auto status = XML_Parse(parser, bytes.data(), static_cast<int>(bytes.size()), 1);
  run.verdict.is_accepted = status == XML_STATUS_OK;
  XML_ParserFree(parser);
  return run.verdict;
}

// Does our verdict on `bytes` agree with Expat's? Returns what is wrong, or nothing. Exempt: our
// limits, UTF-16, and names with letters that the fifth edition of XML 1.0 added (Expat has the
// fourth).
inline std::string compare_with_expat(std::string_view bytes) {
  const auto ours = Document::parse(bytes);
  const ExpatVerdict theirs = ask_expat(bytes);
  if (!ours) {
    if (!theirs.is_accepted || theirs.is_forbidden) return {};
    if (ours.error() == ParseError::limit_exceeded) return {};
    if (bytes.find('\0') != std::string_view::npos) return {};
    return "Expat accepts, we do not: " + theirs.dump;
  }
  const std::string meaning = dump(ours->root());
  if (!theirs.is_accepted) {
    const bool is_ascii = std::all_of(bytes.begin(), bytes.end(), [](char c) { return c >= 0; });
    return is_ascii || !has_non_ascii_name(ours->root()) ? "we accept, Expat does not: " + meaning
                                                         : std::string();
  }
  if (theirs.is_forbidden) return "accepted, though forbidden: " + meaning;
  return meaning == theirs.dump ? std::string() : meaning + "\n differs from \n" + theirs.dump;
}

}  // namespace xmpp::xml::testing
