// Whom a server's certificate names (RFC 9525 6, RFC 6120 13.7.1.2, RFC 4985): DNS names with and
// without wildcards, A-labels, addresses, services, addresses of XMPP.
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "xmpp/transport/tls_engine.h"

namespace xmpp {
namespace {

using CertificatePtr = std::unique_ptr<X509, decltype(&X509_free)>;
using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

struct Made {
  CertificatePtr certificate{X509_new(), &X509_free};
  KeyPtr key{EVP_EC_gen("P-256"), &EVP_PKEY_free};

  template <typename Write>
  static std::string to_pem(Write write) {
    const std::unique_ptr<BIO, decltype(&BIO_free_all)> bio(BIO_new(BIO_s_mem()), &BIO_free_all);
    write(bio.get());
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<std::size_t>(size)};
  }
  [[nodiscard]] std::string pem() const {
    return to_pem([this](BIO* bio) { PEM_write_bio_X509(bio, certificate.get()); });
  }
  [[nodiscard]] std::string key_pem() const {
    return to_pem([this](BIO* bio) {
      PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
  }
  void extend(int nid, const std::string& value) const {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
    ASSERT_NE(extension, nullptr) << value;
    X509_add_ext(certificate.get(), extension, -1);
    X509_EXTENSION_free(extension);
  }
};

// A subjectAltName: `form` is GEN_DNS and the like, or the NID of another name.
struct Name {
  int form;
  std::string value;
};
using Names = std::vector<Name>;
Name dns(std::string_view name) {
  return {GEN_DNS, std::string(name)};
}
Name service(std::string_view name) {
  return {NID_SRVName, std::string(name)};
}
Name address(std::string_view name) {
  return {NID_XmppAddr, std::string(name)};
}
Name ip(const char* text) {
  ASN1_OCTET_STRING* octets = a2i_IPADDRESS(text);
  const auto* data = reinterpret_cast<const char*>(ASN1_STRING_get0_data(octets));
  Name name{GEN_IPADD, std::string(data, static_cast<std::size_t>(ASN1_STRING_length(octets)))};
  ASN1_OCTET_STRING_free(octets);
  return name;
}

ASN1_STRING* to_asn1(int type, const std::string& value) {
  ASN1_STRING* text = ASN1_STRING_type_new(type);
  ASN1_STRING_set(text, value.data(), static_cast<int>(value.size()));
  return text;
}

void add_names(X509* certificate, const Names& names) {
  GENERAL_NAMES* all = GENERAL_NAMES_new();
  for (const Name& name : names) {
    GENERAL_NAME* added = GENERAL_NAME_new();
    if (name.form == NID_SRVName || name.form == NID_XmppAddr) {
      const int type = name.form == NID_SRVName ? V_ASN1_IA5STRING : V_ASN1_UTF8STRING;
      ASN1_TYPE* value = ASN1_TYPE_new();
      ASN1_TYPE_set(value, type, to_asn1(type, name.value));
      GENERAL_NAME_set0_othername(added, OBJ_nid2obj(name.form), value);
    } else {
      const int type = name.form == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING;
      GENERAL_NAME_set0_value(added, name.form, to_asn1(type, name.value));
    }
    sk_GENERAL_NAME_push(all, added);
  }
  X509_add1_ext_i2d(certificate, NID_subject_alt_name, all, 0, 0);
  GENERAL_NAMES_free(all);
}

// Signed by `authority`, or by itself.
Made make(const std::string& common_name, const Names& names, const std::string& constraints,
          const Made* authority) {
  Made made;
  X509* certificate = made.certificate.get();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), authority == nullptr ? 1 : 2);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                             0);
  X509_set_issuer_name(
      certificate,
      X509_get_subject_name(authority == nullptr ? certificate : authority->certificate.get()));
  X509_set_pubkey(certificate, made.key.get());
  made.extend(NID_basic_constraints, authority == nullptr ? "critical,CA:TRUE" : "CA:FALSE");
  if (!names.empty()) add_names(certificate, names);
  if (!constraints.empty()) made.extend(NID_name_constraints, constraints);
  X509_sign(certificate, authority == nullptr ? made.key.get() : authority->key.get(),
            EVP_sha256());
  return made;
}

// Does a client that wants `host` take a certificate with these names?
bool takes(const Names& names, std::string_view host, const std::string& constraints = {}) {
  static const Made free = make("Authority", {}, "", nullptr);
  const Made bound = make("Bound authority", {}, constraints, nullptr);
  const Made& authority = constraints.empty() ? free : bound;
  const Made made = make("im.example.org", names, "", &authority);
  TlsCertificate certificate;
  certificate.certificate_pem = made.pem();
  certificate.key_pem = made.key_pem();
  const auto server = TlsContext::make_server(std::span(&certificate, 1));
  const auto client = TlsContext::make_client({.ca_pem = authority.pem()});
  if (!server || !client) {
    ADD_FAILURE() << host;
    return false;
  }
  TlsEngine ours = TlsEngine::make_client(**client, host);
  TlsEngine theirs = TlsEngine::make_server(**server);
  while (ours.has_output() || theirs.has_output()) {
    OutputChain to_server;
    ours.take_output(to_server);
    (void)theirs.feed(to_server.str());
    OutputChain to_client;
    theirs.take_output(to_client);
    (void)ours.feed(to_client.str());
  }
  if (ours.is_open()) {
    EXPECT_TRUE(ours.peer_certificate()->verified);
  } else {
    EXPECT_EQ(ours.feed("").error().code, TlsErrorCode::certificate) << host;
  }
  return ours.is_open();
}

TEST(ServiceIdentity, DnsNames) {
  EXPECT_TRUE(takes({dns("im.example.org")}, "im.example.org"));
  EXPECT_TRUE(takes({dns("IM.Example.ORG")}, "im.example.org"));
  EXPECT_TRUE(takes({dns("im.example.org")}, "im.example.org."));
  EXPECT_TRUE(takes({dns("other.example"), dns("im.example.org")}, "im.example.org"));
  EXPECT_FALSE(takes({dns("example.org")}, "im.example.org"));
  EXPECT_FALSE(takes({dns("im.example.org")}, "example.org"));
  EXPECT_FALSE(takes({}, "im.example.org"));  // it stands in the common name
  EXPECT_FALSE(takes({{GEN_EMAIL, "im@im.example.org"}}, "im.example.org"));
  EXPECT_FALSE(takes({{GEN_URI, "xmpp://im.example.org"}}, "im.example.org"));
  EXPECT_FALSE(
      takes({dns(std::string_view("im.example.org\0.evil.example", 28))}, "im.example.org"));
  EXPECT_TRUE(takes({dns("xn--bcher-kva.example")}, "xn--bcher-kva.example"));
  EXPECT_TRUE(takes({dns("XN--BCHER-KVA.example")}, "xn--bcher-kva.example"));
}

TEST(ServiceIdentity, Wildcards) {
  EXPECT_TRUE(takes({dns("*.example.org")}, "im.example.org"));
  EXPECT_TRUE(takes({dns("*.example.org")}, "xn--bcher-kva.example.org"));
  EXPECT_FALSE(takes({dns("*.example.org")}, "example.org"));
  EXPECT_FALSE(takes({dns("*.example.org")}, "a.im.example.org"));
  for (const char* partial : {"i*.example.org", "*m.example.org", "i*m.example.org", "im.*.org",
                              "im.example.*", "*.*.org", "**.example.org", "*"}) {
    EXPECT_FALSE(takes({dns(partial)}, "im.example.org")) << partial;
  }
  EXPECT_FALSE(takes({dns("im.example.org")}, "*.example.org"));
  EXPECT_FALSE(takes({dns("*.org")}, "example.org"));  // stricter than RFC 9525 6.3 demands
}

TEST(ServiceIdentity, IpAddresses) {
  EXPECT_TRUE(takes({ip("192.0.2.1")}, "192.0.2.1"));
  EXPECT_TRUE(takes({ip("2001:db8::1")}, "[2001:DB8:0::1]"));
  EXPECT_FALSE(takes({ip("192.0.2.1")}, "192.0.2.2"));
  EXPECT_FALSE(takes({dns("192.0.2.1")}, "192.0.2.1"));
  EXPECT_FALSE(takes({dns("*.0.2.1")}, "192.0.2.1"));
  EXPECT_FALSE(takes({service("_xmpp-client.192.0.2.1")}, "192.0.2.1"));
  EXPECT_FALSE(takes({address("192.0.2.1")}, "192.0.2.1"));
}

TEST(ServiceIdentity, Services) {
  EXPECT_TRUE(takes({service("_xmpp-client.im.example.org")}, "im.example.org"));
  EXPECT_TRUE(takes({service("_XMPP-Client.IM.example.org")}, "im.example.org"));
  EXPECT_TRUE(
      takes({dns("other.example"), service("_xmpp-client.im.example.org")}, "im.example.org"));
  EXPECT_TRUE(takes({service("_xmpp-client.*.example.org")}, "im.example.org"));
  EXPECT_TRUE(takes({service("_xmpp-client.xn--bcher-kva.example")}, "xn--bcher-kva.example"));
  for (const char* other : {"_xmpp-server.im.example.org", "_imap.im.example.org", "im.example.org",
                            "_xmpp-client.example.org", "_xmpp-client._tcp.im.example.org",
                            "_xmpp-client.", "_xmpp-client.*.org", "_xmpp-client.*",
                            "_xmpp-client.*.*.org", "_xmpp-clientim.example.org",
                            "xmpp-client.im.example.org", "_xmpp-client.i*.example.org"}) {
    EXPECT_FALSE(takes({service(other)}, "im.example.org")) << other;
  }
  EXPECT_FALSE(takes({service("_xmpp-client.*.example.org")}, "a.im.example.org"));
  EXPECT_FALSE(takes({service("_xmpp-client.*.example.org")}, "example.org"));
}

TEST(ServiceIdentity, AddressesOfXmpp) {
  EXPECT_TRUE(takes({address("im.example.org")}, "im.example.org"));
  EXPECT_TRUE(takes({address("b\xC3\xBC"
                             "cher.example")},
                    "xn--bcher-kva.example"));
  for (const char* other : {"user@im.example.org", "im.example.org/resource", "example.org", "@"}) {
    EXPECT_FALSE(takes({address(other)}, "im.example.org")) << other;
  }
}

// An authority that may name certain domains only could escape by forms that nobody constrains.
TEST(ServiceIdentity, ConstrainedAuthoritiesNameDnsNamesOnly) {
  const std::string constraints = "permitted;DNS:example.org";
  EXPECT_TRUE(takes({dns("im.example.org")}, "im.example.org", constraints));
  EXPECT_FALSE(takes({dns("im.example.com")}, "im.example.com", constraints));
  EXPECT_FALSE(takes({service("_xmpp-client.im.example.com")}, "im.example.com", constraints));
  EXPECT_FALSE(takes({address("im.example.com")}, "im.example.com", constraints));
}

}  // namespace
}  // namespace xmpp
