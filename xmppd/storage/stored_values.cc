// What may be written, and what is read back, which is believed only as far as it can be what was
// written.
#include "storage/stores.h"
#include "xmpp/base/utf8.h"

namespace xmppd::sql {

void check_key(const xmpp::Jid& account, std::string_view first, std::string_view second) {
  if (fits_key(account, first, second)) return;
  throw DatabaseError(StorageErrorCode::constraint,
                      "a key has more than " + std::to_string(kKeyBytesMax) + " bytes");
}

xmpp::Jid jid_from(std::string_view text) {
  auto jid = xmpp::Jid::parse(text);
  if (!jid || jid->str() != text) throw DataError("an address that is none in the database");
  return std::move(*jid);
}

std::string text_from(std::string text) {
  const auto is_control = [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r';
  };
  // U+FFFE and U+FFFF, which are UTF-8 but no characters of XML.
  if (!xmpp::utf8::is_valid(text) || std::any_of(text.begin(), text.end(), is_control) ||
      text.find("\xEF\xBF\xBE") != std::string::npos ||
      text.find("\xEF\xBF\xBF") != std::string::npos) {
    throw DataError("a text that is none in the database");
  }
  return text;
}

}  // namespace xmppd::sql
