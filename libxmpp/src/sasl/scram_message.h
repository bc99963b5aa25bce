// SCRAM's messages as text: pure parsing and writing (RFC 5802 5.1 and 7).
//
// Thread-safety: any thread. All views point into the parsed message.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace xmpp::sasl::scram {

// saslname: "," and "=" as =2C and =3D.
[[nodiscard]] std::string escape_name(std::string_view name);
// nullopt: a bare "=" or another escape, or nothing.
[[nodiscard]] std::optional<std::string> unescape_name(std::string_view text);

struct ClientFirst {
  char flag = 'n';              // 'n', 'y' or 'p'
  std::string_view binding;     // with 'p': the binding type's name
  std::string authzid;          // unescaped; empty: none
  std::string_view gs2_header;  // as sent, with its commas
  std::string_view bare;        // what is signed
  std::string username;         // unescaped
  std::string_view nonce;
};
[[nodiscard]] std::optional<ClientFirst> parse_client_first(std::string_view message);

struct ServerFirst {
  std::string_view nonce;
  std::string salt;  // decoded
  std::uint64_t iterations = 0;
};
[[nodiscard]] std::optional<ServerFirst> parse_server_first(std::string_view message);

struct ClientFinal {
  std::string channel_binding;  // decoded
  std::string_view nonce;
  std::string proof;  // decoded
  std::string_view without_proof;
};
[[nodiscard]] std::optional<ClientFinal> parse_client_final(std::string_view message);

struct ServerFinal {
  std::string signature;  // decoded; empty if `error` is set
  std::string_view error;
};
[[nodiscard]] std::optional<ServerFinal> parse_server_final(std::string_view message);

}  // namespace xmpp::sasl::scram
