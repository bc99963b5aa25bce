// Whom a server's certificate names beside what OpenSSL compares: DNS names and addresses are its
// affair (set_peer_name()), XMPP's own forms are ours. Spec: RFC 6120 13.7, RFC 9525 6, RFC 4985.
#include <openssl/x509v3.h>

#include <algorithm>

#include "transport/tls_engine_openssl.h"
#include "xmpp/core/jid.h"

namespace xmpp::tls {
namespace {

constexpr std::string_view kService = "_xmpp-client.";

char to_lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  return std::ranges::equal(a, b, {}, to_lower, to_lower);
}

// RFC 9525 6.3: '*' stands for one whole label, the first. As OpenSSL does it for DNS names, two
// more must follow.
bool names_host(std::string_view name, std::string_view host) noexcept {
  if (!name.starts_with("*.")) return !name.empty() && equal_ignoring_case(name, host);
  name.remove_prefix(1);
  const std::size_t dot = host.find('.');
  return dot != std::string_view::npos && dot > 0 && name.find('*') == std::string_view::npos &&
         name.find('.', 1) != std::string_view::npos && equal_ignoring_case(name, host.substr(dot));
}

bool names_service(const PeerCertificate& peer, std::string_view host) {
  for (const std::string_view service : peer.services) {
    if (equal_ignoring_case(service.substr(0, kService.size()), kService) &&
        names_host(service.substr(kService.size()), host)) {
      return true;
    }
  }
  const auto domain = Jid::parse(host);
  return domain && std::ranges::any_of(peer.xmpp_addresses, [&](std::string_view text) {
           const auto address = Jid::parse(text);
           return address && address->is_domain() && *address == *domain;
         });
}

// RFC 9525 7.6: an authority that may name certain domains only is bound by OpenSSL for DNS names,
// not for these forms.
bool has_constraints(STACK_OF(X509) * chain) {
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    if (X509_get_ext_by_NID(sk_X509_value(chain, i), NID_name_constraints, -1) >= 0) return true;
  }
  return false;
}

}  // namespace

int on_server_verified(int is_good, X509_STORE_CTX* store) {
  if (is_good == 1) return 1;
  if (X509_STORE_CTX_get_error(store) != X509_V_ERR_HOSTNAME_MISMATCH ||
      X509_STORE_CTX_get_error_depth(store) != 0 ||
      has_constraints(X509_STORE_CTX_get0_chain(store))) {
    return 0;
  }
  auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  const char* host = X509_VERIFY_PARAM_get0_host(SSL_get0_param(ssl), 0);
  X509* certificate = X509_STORE_CTX_get0_cert(store);
  if (host == nullptr || !names_service(describe_peer(certificate, X509_V_OK), host)) return 0;
  X509_STORE_CTX_set_error(store, X509_V_OK);
  return 1;
}

}  // namespace xmpp::tls
