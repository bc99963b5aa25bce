// Certificates: reading PEM, describing what a peer showed, making self-signed ones.
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>

#include "transport/tls_engine_openssl.h"
#include "xmpp/base/assert.h"
#include "xmpp/base/encoding.h"
#include "xmpp/base/files.h"
#include "xmpp/base/secret.h"

namespace xmpp {
namespace tls {
namespace {

TlsError configuration_error(std::string text) {
  return TlsError{TlsErrorCode::configuration, std::move(text)};
}

std::string hash_certificate(const X509* certificate, const EVP_MD* md) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> out;
  unsigned size = 0;
  if (md == nullptr || X509_digest(certificate, md, out.data(), &size) != 1) return {};
  return {reinterpret_cast<const char*>(out.data()), size};
}

// OpenSSL would ask on the terminal.
int refuse_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*argument*/) {
  return -1;
}

std::string text_of(const ASN1_STRING* text) {
  const unsigned char* data = ASN1_STRING_get0_data(text);
  return {reinterpret_cast<const char*>(data), static_cast<std::size_t>(ASN1_STRING_length(text))};
}

void collect_names(X509* certificate, PeerCertificate& into) {
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  if (names == nullptr) return;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_DNS) {
      into.dns_names.push_back(text_of(name->d.dNSName));
    } else if (name->type == GEN_OTHERNAME) {
      const int form = OBJ_obj2nid(name->d.otherName->type_id);
      const ASN1_TYPE& value = *name->d.otherName->value;
      if (form == NID_XmppAddr && value.type == V_ASN1_UTF8STRING) {
        into.xmpp_addresses.push_back(text_of(value.value.utf8string));
      } else if (form == NID_SRVName && value.type == V_ASN1_IA5STRING) {
        into.services.push_back(text_of(value.value.ia5string));
      }
    }
  }
  GENERAL_NAMES_free(names);
}

}  // namespace

std::string take_openssl_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown error";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "error " + std::to_string(code);
}

std::string end_point_binding(const X509* certificate) {
  int md_nid = NID_undef;
  if (X509_get_signature_info(const_cast<X509*>(certificate), &md_nid, nullptr, nullptr, nullptr) !=
      1) {
    ERR_clear_error();
    return {};
  }
  // RFC 5929 4.1: MD5 and SHA-1 become SHA-256; a signature without one hash (Ed25519) has no
  // binding.
  if (md_nid == NID_md5 || md_nid == NID_sha1) md_nid = NID_sha256;
  return md_nid == NID_undef ? std::string()
                             : hash_certificate(certificate, EVP_get_digestbynid(md_nid));
}

std::vector<X509Ptr> parse_certificates(std::string_view pem) {
  std::vector<X509Ptr> certificates;
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(certificate);
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!at_end) certificates.clear();
  return certificates;
}

Result<LoadedCertificate, TlsError> parse_certificate(const TlsCertificate& pem) {
  auto certificates = parse_certificates(pem.certificate_pem);
  if (certificates.empty()) return Err(configuration_error("no certificate in PEM format"));
  LoadedCertificate loaded;
  const BioPtr bio(BIO_new_mem_buf(pem.key_pem.data(), static_cast<int>(pem.key_pem.size())));
  loaded.key.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, &refuse_passphrase, nullptr));
  ERR_clear_error();
  if (!loaded.key) {
    const bool encrypted = pem.key_pem.find("ENCRYPTED") != std::string::npos;
    return Err(configuration_error(
        encrypted ? "the private key is encrypted; store it without a passphrase"
                  : "no usable private key in PEM format"));
  }
  loaded.leaf = std::move(certificates.front());
  if (X509_check_private_key(loaded.leaf.get(), loaded.key.get()) != 1) {
    ERR_clear_error();
    return Err(configuration_error("the private key does not belong to the certificate"));
  }
  loaded.chain.reset(sk_X509_new_null());
  for (std::size_t i = 1; i < certificates.size(); ++i) {
    XMPP_ASSERT(sk_X509_push(loaded.chain.get(), certificates[i].release()) > 0);
  }
  loaded.end_point = end_point_binding(loaded.leaf.get());
  return loaded;
}

LoadedCertificate share_certificate(const LoadedCertificate& from) {
  LoadedCertificate shared;
  X509_up_ref(from.leaf.get());
  shared.leaf.reset(from.leaf.get());
  EVP_PKEY_up_ref(from.key.get());
  shared.key.reset(from.key.get());
  shared.chain.reset(X509_chain_up_ref(from.chain.get()));
  shared.end_point = from.end_point;
  return shared;
}

PeerCertificate describe_peer(X509* certificate, long verify_result) {
  PeerCertificate peer;
  peer.verified = verify_result == X509_V_OK;
  if (!peer.verified) peer.verify_error = X509_verify_cert_error_string(verify_result);
  peer.fingerprint = hex_encode(hash_certificate(certificate, EVP_sha256()));
  collect_names(certificate, peer);
  return peer;
}

namespace {

// "AB:CD:...", as `openssl x509 -fingerprint` prints it.
std::string fingerprint_text(const X509* certificate) {
  const std::string hex = hex_encode(hash_certificate(certificate, EVP_sha256()));
  std::string text;
  for (std::size_t i = 0; i < hex.size(); ++i) {
    if (i > 0 && i % 2 == 0) text += ':';
    text += static_cast<char>(hex[i] >= 'a' ? hex[i] - 'a' + 'A' : hex[i]);
  }
  return text;
}

bool add_hosts(X509* certificate, const std::vector<std::string>& hosts) {
  GENERAL_NAMES* names = GENERAL_NAMES_new();
  for (const std::string& host : hosts) {
    ASN1_IA5STRING* text = ASN1_IA5STRING_new();
    ASN1_STRING_set(text, host.data(), static_cast<int>(host.size()));
    GENERAL_NAME* name = GENERAL_NAME_new();
    GENERAL_NAME_set0_value(name, GEN_DNS, text);
    sk_GENERAL_NAME_push(names, name);
  }
  const bool ok = X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0) == 1;
  GENERAL_NAMES_free(names);
  return ok;
}

bool add_extension(X509* certificate, int nid, const char* value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
  if (extension == nullptr) return false;
  const bool ok = X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return ok;
}

bool fill_certificate(X509* certificate, EVP_PKEY* key, const std::vector<std::string>& hosts,
                      const SelfSignedOptions& options) {
  std::uint64_t serial = 0;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) != 1) return false;
  serial >>= 1;  // positive
  // A common name has at most 64 characters; what counts is the alternative name.
  const std::string common_name = hosts.front().size() <= 64 ? hosts.front() : "xmppd";
  X509_NAME* name = X509_get_subject_name(certificate);
  return X509_set_version(certificate, X509_VERSION_3) == 1 &&
         ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), serial) == 1 &&
         X509_gmtime_adj(X509_getm_notBefore(certificate), options.not_before_s) != nullptr &&
         X509_gmtime_adj(X509_getm_notAfter(certificate), options.not_after_s) != nullptr &&
         X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(common_name.c_str()), -1,
                                    -1, 0) == 1 &&
         X509_set_issuer_name(certificate, name) == 1 && X509_set_pubkey(certificate, key) == 1 &&
         add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
         add_extension(certificate, NID_ext_key_usage, "serverAuth,clientAuth") &&
         add_hosts(certificate, hosts) && X509_sign(certificate, key, EVP_sha256()) > 0;
}

std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

}  // namespace
}  // namespace tls

std::string_view to_string(TlsErrorCode code) noexcept {
  switch (code) {
    case TlsErrorCode::configuration:
      return "configuration";
    case TlsErrorCode::handshake:
      return "handshake";
    case TlsErrorCode::certificate:
      return "certificate";
    case TlsErrorCode::protocol:
      return "protocol";
    case TlsErrorCode::truncated:
      return "truncated";
    case TlsErrorCode::closed:
      return "closed";
  }
  return "";
}

Result<TlsCertificate, TlsError> load_tls_certificate(const std::string& certificate_file,
                                                      const std::string& key_file,
                                                      std::vector<std::string> hosts,
                                                      const TlsCertificate* known) {
  TlsCertificate certificate;
  certificate.hosts = std::move(hosts);
  const std::pair<const std::string&, std::string&> files[] = {
      {certificate_file, certificate.certificate_pem}, {key_file, certificate.key_pem}};
  for (const auto& [path, into] : files) {
    auto text = read_file(path);
    if (!text) {
      return Err(tls::configuration_error("cannot read " + path + ": " + text.error().message()));
    }
    if (text->empty())
      return Err(tls::configuration_error("cannot read " + path + ": it is empty"));
    into = *std::move(text);
  }
  const bool is_known = known != nullptr && known->parsed != nullptr &&
                        known->certificate_pem == certificate.certificate_pem &&
                        known->key_pem == certificate.key_pem;
  if (is_known) {
    certificate.parsed = known->parsed;
    return certificate;
  }
  auto parsed = tls::parse_certificate(certificate);
  if (!parsed) {
    return Err(
        tls::configuration_error(certificate_file + ", " + key_file + ": " + parsed.error().text));
  }
  certificate.parsed = std::make_shared<const tls::LoadedCertificate>(std::move(*parsed));
  return certificate;
}

Result<SelfSigned, TlsError> make_self_signed(const std::vector<std::string>& hosts,
                                              const SelfSignedOptions& options) {
  XMPP_ASSERT(!hosts.empty());
  for (const std::string& host : hosts) {
    const bool ascii = std::ranges::all_of(host, [](char c) { return c > 0x20 && c < 0x7F; });
    if (host.empty() || !ascii) return Err(tls::configuration_error("not an A-label: " + host));
  }
  const tls::KeyPtr key(EVP_EC_gen("P-256"));
  const tls::X509Ptr certificate(X509_new());
  if (!key || !certificate ||
      !tls::fill_certificate(certificate.get(), key.get(), hosts, options)) {
    return Err(tls::configuration_error(tls::take_openssl_error()));
  }
  const tls::BioPtr certificate_pem(BIO_new(BIO_s_mem()));
  const tls::BioPtr key_pem(BIO_new(BIO_s_secmem()));
  if (PEM_write_bio_X509(certificate_pem.get(), certificate.get()) != 1 ||
      PEM_write_bio_PrivateKey(key_pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) !=
          1) {
    return Err(tls::configuration_error(tls::take_openssl_error()));
  }
  SelfSigned made;
  made.certificate = {hosts, tls::text_of(certificate_pem.get()), tls::text_of(key_pem.get())};
  made.fingerprint = tls::fingerprint_text(certificate.get());
  return made;
}

std::string certificate_fingerprint(std::string_view certificate_pem) {
  const auto certificates = tls::parse_certificates(certificate_pem);
  return certificates.empty() ? std::string() : tls::fingerprint_text(certificates.front().get());
}

std::string certificate_fingerprint(const TlsCertificate& certificate) {
  if (certificate.parsed == nullptr) return certificate_fingerprint(certificate.certificate_pem);
  return tls::fingerprint_text(certificate.parsed->leaf.get());
}

}  // namespace xmpp
