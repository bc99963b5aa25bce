// Certificates from strangers: any bytes as the certificate of a peer, as files of certificate and
// key, as the first flight of a client or a server. Nothing crashes; a certificate speaks for a
// host only if a name in it, read here in the plainest way, is that host's.
//
// Input: a certificate in DER (begins with 0x30) is described, and verified for hosts made of its
// own names; lines after an 'N' are the names of a certificate made here, each behind a letter (d
// dNSName, s SRVName, x XmppAddr, anything else an address of e-mail); a TLS record (0x16) goes to
// both roles of an engine; anything else is a PEM text.
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "transport/tls_engine_openssl.h"
#include "xmpp/core/jid.h"
#include "xmpp/transport/tls_engine.h"

namespace {

using xmpp::PeerCertificate;
using xmpp::TlsContext;
using xmpp::TlsEngine;
using xmpp::tls::X509Ptr;
using StorePtr = std::unique_ptr<X509_STORE, xmpp::tls::Deleter<X509_STORE_free>>;
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, xmpp::tls::Deleter<X509_STORE_CTX_free>>;

void require(bool condition, std::string_view what, std::string_view detail = {}) {
  if (condition) return;
  std::fprintf(stderr, "%s: %s\n", std::string(what).c_str(), std::string(detail).c_str());
  __builtin_trap();
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// RFC 9525 6.3, in the plainest way.
bool is_named(const std::string& name, const std::string& host) {
  if (name == host) return true;
  const std::size_t dot = host.find('.');
  return name.starts_with("*.") && dot != std::string::npos && dot > 0 &&
         name.substr(1) == host.substr(dot);
}

bool may_speak_for(const PeerCertificate& peer, std::string_view host) {
  const std::string wanted = lower(host);
  constexpr std::string_view kService = "_xmpp-client.";
  for (const std::string& name : peer.dns_names) {
    if (is_named(lower(name), wanted)) return true;
  }
  for (const std::string& name : peer.services) {
    const std::string service = lower(name);
    if (service.starts_with(kService) && is_named(service.substr(kService.size()), wanted)) {
      return true;
    }
  }
  const auto domain = xmpp::Jid::parse(host);
  return domain && std::ranges::any_of(peer.xmpp_addresses, [&](const std::string& text) {
           const auto address = xmpp::Jid::parse(text);
           return address && address->str() == domain->str();
         });
}

// Verifies as a handshake does: the certificate trusted as it is, for this host.
bool is_verified(X509* certificate, const std::string& host) {
  static SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  const xmpp::tls::SslPtr ssl(SSL_new(context));
  X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl.get());
  X509_VERIFY_PARAM_set_hostflags(
      parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_NO_CHECK_TIME);
  if (X509_VERIFY_PARAM_set1_host(parameters, host.data(), host.size()) != 1) return false;
  const StorePtr trusted(X509_STORE_new());
  if (X509_STORE_add_cert(trusted.get(), certificate) != 1) return false;
  const StoreContextPtr store(X509_STORE_CTX_new());
  if (X509_STORE_CTX_init(store.get(), trusted.get(), certificate, nullptr) != 1) return false;
  X509_STORE_CTX_set_ex_data(store.get(), SSL_get_ex_data_X509_STORE_CTX_idx(), ssl.get());
  X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(store.get()), parameters);
  X509_STORE_CTX_set_verify_cb(store.get(), &xmpp::tls::on_server_verified);
  return X509_verify_cert(store.get()) == 1;
}

// What its names could be meant for, and what is near.
std::set<std::string> hosts_of(const PeerCertificate& peer) {
  std::set<std::string> hosts = {"example.org", "im.example.org", "org"};
  // What an engine takes as the name of a peer (see TlsEngine::make_client()).
  const auto add_host = [&](std::string host) {
    if (host.ends_with('.')) host.pop_back();
    if (host.empty() || host.front() == '.' || host.find('\0') != std::string::npos) return;
    if (hosts.size() < 12) hosts.insert(std::move(host));
  };
  const auto add = [&](std::string_view name) {
    if (name.starts_with("_") && name.find('.') != std::string_view::npos) {
      name.remove_prefix(name.find('.') + 1);
    }
    std::string host(name.substr(0, 300));
    if (host.starts_with('*')) host.front() = 'x';
    add_host(host);
    add_host("x." + host);
    if (const auto at = host.find('@'); at != std::string::npos) add_host(host.substr(at + 1));
  };
  for (const auto* names : {&peer.dns_names, &peer.services, &peer.xmpp_addresses}) {
    for (const std::string& name : *names) add(name);
  }
  return hosts;
}

void check_certificate(X509* certificate) {
  const PeerCertificate refused = xmpp::tls::describe_peer(certificate, X509_V_ERR_CERT_REVOKED);
  require(!refused.verified && !refused.verify_error.empty(), "a refusal without a reason");
  const PeerCertificate peer = xmpp::tls::describe_peer(certificate, X509_V_OK);
  require(peer.verified && peer.verify_error.empty(), "a reason without a refusal");
  require(peer.fingerprint.size() == 64, "no fingerprint", peer.fingerprint);
  require(xmpp::tls::end_point_binding(certificate).size() <= EVP_MAX_MD_SIZE, "a long hash");
  for (const std::string& host : hosts_of(peer)) {
    if (is_verified(certificate, host)) {
      require(may_speak_for(peer, host), "it speaks for somebody whom it does not name", host);
    }
  }
}

void try_der(std::string_view bytes) {
  const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
  const X509Ptr certificate(d2i_X509(nullptr, &at, static_cast<long>(bytes.size())));
  ERR_clear_error();
  if (certificate) check_certificate(certificate.get());
}

ASN1_STRING* to_asn1(int type, std::string_view value) {
  ASN1_STRING* text = ASN1_STRING_type_new(type);
  ASN1_STRING_set(text, value.data(), static_cast<int>(value.size()));
  return text;
}

GENERAL_NAME* make_name(char form, std::string_view value) {
  GENERAL_NAME* name = GENERAL_NAME_new();
  if (form == 's' || form == 'x') {
    const int type = form == 's' ? V_ASN1_IA5STRING : V_ASN1_UTF8STRING;
    ASN1_TYPE* any = ASN1_TYPE_new();
    ASN1_TYPE_set(any, type, to_asn1(type, value));
    GENERAL_NAME_set0_othername(name, OBJ_nid2obj(form == 's' ? NID_SRVName : NID_XmppAddr), any);
  } else {
    GENERAL_NAME_set0_value(name, form == 'd' ? GEN_DNS : GEN_EMAIL,
                            to_asn1(V_ASN1_IA5STRING, value));
  }
  return name;
}

// Few changes of a DER text leave it one: this way the names themselves are what changes.
void try_names(std::string_view lines) {
  static const auto base = [] {
    const auto made = xmpp::make_self_signed({"unused.invalid"});
    require(made.has_value(), "no certificate");
    return std::move(xmpp::tls::parse_certificates(made->certificate.certificate_pem).front());
  }();
  const X509Ptr certificate(X509_dup(base.get()));
  GENERAL_NAMES* names = GENERAL_NAMES_new();
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find('\n'));
    lines.remove_prefix(std::min(line.size() + 1, lines.size()));
    if (!line.empty()) sk_GENERAL_NAME_push(names, make_name(line[0], line.substr(1)));
  }
  const bool is_made =
      X509_add1_ext_i2d(certificate.get(), NID_subject_alt_name, names, 0, X509V3_ADD_REPLACE) == 1;
  GENERAL_NAMES_free(names);
  unsigned char* der = nullptr;
  // OpenSSL keeps the encoding that it has read until it is told to make another.
  if (!is_made || i2d_re_X509_tbs(certificate.get(), nullptr) <= 0) return;
  const int size = i2d_X509(certificate.get(), &der);
  require(size > 0, "not encoded");
  try_der({reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)});
  OPENSSL_free(der);
}

void try_pem(const std::string& text) {
  const auto certificates = xmpp::tls::parse_certificates(text);
  for (std::size_t i = 0; i < certificates.size() && i < 4; ++i) {
    check_certificate(certificates[i].get());
  }
  const std::string fingerprint = xmpp::certificate_fingerprint(text);
  require(fingerprint.empty() == certificates.empty(), "no fingerprint", fingerprint);
  const auto loaded = xmpp::tls::parse_certificate({{"example.org"}, text, text});
  if (!loaded) {
    require(!loaded.error().text.empty(), "an error without a text");
    return;
  }
  require(!certificates.empty() && loaded->key, "loaded out of nothing");
  const xmpp::TlsCertificate pem{{"example.org"}, text, text};
  const auto context = TlsContext::make_server(std::span(&pem, 1));
  if (!context) require(!context.error().text.empty(), "an error without a text");
}

struct Contexts {
  std::shared_ptr<TlsContext> server;
  std::shared_ptr<TlsContext> client;
};

// Made once: it takes a key.
const Contexts& contexts() {
  static const Contexts made = [] {
    const auto certificate = xmpp::make_self_signed({"example.org"});
    require(certificate.has_value(), "no certificate");
    xmpp::TlsServerOptions server;
    server.request_peer_certificate = true;
    xmpp::TlsClientOptions client;
    client.ca_pem = certificate->certificate.certificate_pem;
    client.alpn = {"xmpp-client"};
    auto serving = TlsContext::make_server(std::span(&certificate->certificate, 1), server);
    auto asking = TlsContext::make_client(client);
    require(serving.has_value() && asking.has_value(), "no context");
    return Contexts{std::move(*serving), std::move(*asking)};
  }();
  return made;
}

// Bytes of somebody without keys never open anything.
void feed(TlsEngine engine, std::string_view bytes) {
  xmpp::OutputChain output;
  const std::size_t half = bytes.size() / 2;
  auto fed = engine.feed(bytes.substr(0, half));
  if (fed) fed = engine.feed(bytes.substr(half));
  engine.take_output(output);
  require(!engine.is_open(), "open without a handshake");
  require(fed.has_value() == (engine.state() != TlsEngine::State::failed), "no error, or no end");
  require(!engine.end_of_input(), "an end without an error");
  require(!engine.feed("x"), "an error does not last");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  constexpr std::uint8_t kSequence = 0x30;
  constexpr std::uint8_t kHandshake = 0x16;
  if (data[0] == kSequence) {
    try_der(bytes);
  } else if (data[0] == 'N') {
    try_names(bytes.substr(1));
  } else if (data[0] == kHandshake) {
    feed(TlsEngine::make_server(*contexts().server), bytes);
    feed(TlsEngine::make_client(*contexts().client, "example.org"), bytes);
  } else {
    try_pem(std::string(bytes));
  }
  ERR_clear_error();
  return 0;
}
