#include "core/certificate_check.h"

#include <filesystem>
#include <set>
#include <utility>

#include "xmpp/net/dns.h"
#include "xmpp/transport/tls_engine.h"

namespace xmppd {

std::string check_certificate(const Config& config, const HostConfig& host) {
  auto certificate = host.certificate;
  auto key = host.key;
  if (certificate.empty()) {
    certificate = config.server.data_dir / (host.name + ".crt");
    key = config.server.data_dir / (host.name + ".key");
    std::error_code unknown;
    const bool is_made =
        std::filesystem::exists(certificate, unknown) && std::filesystem::exists(key, unknown);
    if (!is_made) {
      // A start makes them.
      if (config.serves_only_loopback()) return {};
      return "a certificate and its key are needed; only with listeners on loopback alone a "
             "self-signed one is made";
    }
  }
  auto loaded = xmpp::load_tls_certificate(certificate.string(), key.string(),
                                           {xmpp::net::to_a_labels(host.name)});
  return loaded ? std::string() : loaded.error().text;
}

std::vector<ConfigError> check_certificates(const Config& config) {
  std::vector<ConfigError> errors;
  std::set<std::pair<std::filesystem::path, std::filesystem::path>> seen;
  for (const HostConfig& host : config.hosts) {
    // Many hosts may share one file.
    if (!host.certificate.empty() && !seen.emplace(host.certificate, host.key).second) continue;
    auto wrong = check_certificate(config, host);
    if (wrong.empty()) continue;
    errors.push_back(
        {host.certificate_at, "host.\"" + host.name + "\".certificate", std::move(wrong)});
  }
  return errors;
}

}  // namespace xmppd
