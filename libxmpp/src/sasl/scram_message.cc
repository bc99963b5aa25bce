#include "sasl/scram_message.h"

#include <charconv>

#include "xmpp/base/encoding.h"
#include "xmpp/base/utf8.h"

namespace xmpp::sasl::scram {
namespace {

// Cuts the text up to the next comma off `rest`; nullopt if `rest` is exhausted.
class Attributes {
 public:
  explicit Attributes(std::string_view text) : rest_(text) {}

  // The value of the next attribute if its name is `name`.
  std::optional<std::string_view> take(char name) {
    const auto attribute = next();
    if (!attribute || (*attribute)[0] != name) return std::nullopt;
    return attribute->substr(2);
  }

  // Only optional extensions are left: well-formed, not "m=" (a mandatory one that nobody knows).
  [[nodiscard]] bool has_only_extensions() {
    while (!done_) {
      const auto attribute = next();
      if (!attribute || (*attribute)[0] == 'm') return false;
    }
    return true;
  }

 private:
  static bool is_attribute(std::string_view text) {
    // attr-val = ALPHA "=" value; value = 1*value-char
    if (text.size() < 3 || text[1] != '=') return false;
    const char letter = static_cast<char>(text[0] | 0x20);
    return letter >= 'a' && letter <= 'z';
  }
  std::optional<std::string_view> next() {
    if (done_) return std::nullopt;
    const std::size_t comma = rest_.find(',');
    const std::string_view attribute = rest_.substr(0, comma);
    done_ = comma == std::string_view::npos;
    if (!done_) rest_.remove_prefix(comma + 1);
    if (!is_attribute(attribute)) return std::nullopt;
    return attribute;
  }

  std::string_view rest_;
  bool done_ = false;
};

bool is_text(std::string_view message) {
  return utf8::is_valid(message) && message.find('\0') == std::string_view::npos;
}

// printable = %x21-2B / %x2D-7E
bool is_nonce(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (c < 0x21 || c > 0x7E || c == ',') return false;
  }
  return true;
}

bool is_binding_name(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    const bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '-';
    if (!ok) return false;
  }
  return true;
}

std::optional<std::string> decode(std::optional<std::string_view> text) {
  if (!text || text->empty()) return std::nullopt;
  return base64_decode(*text);
}

}  // namespace

std::string escape_name(std::string_view name) {
  std::string out;
  out.reserve(name.size());
  for (const char c : name) {
    if (c == ',') {
      out += "=2C";
    } else if (c == '=') {
      out += "=3D";
    } else {
      out += c;
    }
  }
  return out;
}

std::optional<std::string> unescape_name(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '=') {
      out += text[i];
      continue;
    }
    const std::string_view code = text.substr(i + 1, 2);
    if (code == "2C") {
      out += ',';
    } else if (code == "3D") {
      out += '=';
    } else {
      return std::nullopt;
    }
    i += 2;
  }
  return out;
}

std::optional<ClientFirst> parse_client_first(std::string_view message) {
  if (!is_text(message)) return std::nullopt;
  const std::size_t first = message.find(',');
  const std::size_t second = first == std::string_view::npos ? first : message.find(',', first + 1);
  if (second == std::string_view::npos) return std::nullopt;

  ClientFirst parsed;
  parsed.gs2_header = message.substr(0, second + 1);
  parsed.bare = message.substr(second + 1);

  const std::string_view flag = message.substr(0, first);
  if (flag == "n" || flag == "y") {
    parsed.flag = flag[0];
  } else if (flag.starts_with("p=") && is_binding_name(flag.substr(2))) {
    parsed.flag = 'p';
    parsed.binding = flag.substr(2);
  } else {
    return std::nullopt;
  }

  const std::string_view authzid = message.substr(first + 1, second - first - 1);
  if (!authzid.empty()) {
    if (!authzid.starts_with("a=")) return std::nullopt;
    auto name = unescape_name(authzid.substr(2));
    if (!name) return std::nullopt;
    parsed.authzid = std::move(*name);
  }

  Attributes attributes(parsed.bare);
  const auto username = attributes.take('n');  // "m=" in its place is refused here too
  if (!username) return std::nullopt;
  auto name = unescape_name(*username);
  const auto nonce = attributes.take('r');
  if (!name || !nonce || !is_nonce(*nonce) || !attributes.has_only_extensions()) {
    return std::nullopt;
  }
  parsed.username = std::move(*name);
  parsed.nonce = *nonce;
  return parsed;
}

std::optional<ServerFirst> parse_server_first(std::string_view message) {
  if (!is_text(message)) return std::nullopt;
  Attributes attributes(message);
  const auto nonce = attributes.take('r');
  if (!nonce || !is_nonce(*nonce)) return std::nullopt;
  auto salt = decode(attributes.take('s'));
  if (!salt) return std::nullopt;
  const auto count = attributes.take('i');
  if (!count || count->size() > 18 || (*count)[0] == '0') return std::nullopt;

  ServerFirst parsed{*nonce, std::move(*salt), 0};
  const char* end = count->data() + count->size();
  const auto [stop, error] = std::from_chars(count->data(), end, parsed.iterations);
  if (error != std::errc() || stop != end || !attributes.has_only_extensions()) {
    return std::nullopt;
  }
  return parsed;
}

std::optional<ClientFinal> parse_client_final(std::string_view message) {
  if (!is_text(message)) return std::nullopt;
  // The proof is last: what stands before it is signed.
  const std::size_t comma = message.rfind(',');
  if (comma == std::string_view::npos) return std::nullopt;

  ClientFinal parsed;
  parsed.without_proof = message.substr(0, comma);
  auto proof = decode(Attributes(message.substr(comma + 1)).take('p'));
  Attributes attributes(parsed.without_proof);
  auto binding = decode(attributes.take('c'));
  if (!proof || !binding) return std::nullopt;
  const auto nonce = attributes.take('r');
  if (!nonce || !is_nonce(*nonce) || !attributes.has_only_extensions()) return std::nullopt;
  parsed.channel_binding = std::move(*binding);
  parsed.nonce = *nonce;
  parsed.proof = std::move(*proof);
  return parsed;
}

std::optional<ServerFinal> parse_server_final(std::string_view message) {
  if (!is_text(message)) return std::nullopt;
  ServerFinal parsed;
  if (message.starts_with("e=")) {
    const auto error = Attributes(message).take('e');
    if (!error) return std::nullopt;
    parsed.error = *error;
    return parsed;
  }
  Attributes attributes(message);
  auto signature = decode(attributes.take('v'));
  if (!signature || !attributes.has_only_extensions()) return std::nullopt;
  parsed.signature = std::move(*signature);
  return parsed;
}

}  // namespace xmpp::sasl::scram
