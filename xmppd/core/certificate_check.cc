#include "core/certificate_check.h"

#include <filesystem>

#include "xmpp/net/dns.h"
#include "xmpp/transport/tls_engine.h"

namespace xmppd {

std::vector<ConfigError> check_certificates(const Config& config) {
  std::vector<ConfigError> errors;
  for (const HostConfig& host : config.hosts) {
    auto certificate = host.certificate;
    auto key = host.key;
    if (certificate.empty()) {
      certificate = config.server.data_dir / (host.name + ".crt");
      key = config.server.data_dir / (host.name + ".key");
      std::error_code unknown;
      const bool is_made =
          std::filesystem::exists(certificate, unknown) && std::filesystem::exists(key, unknown);
      if (!is_made) continue;  // a start makes them; the configuration allows it or was refused
    }
    auto loaded = xmpp::load_tls_certificate(certificate.string(), key.string(),
                                             {xmpp::net::to_a_labels(host.name)});
    if (!loaded) {
      errors.push_back({host.at, "host.\"" + host.name + "\".certificate", loaded.error().text});
    }
  }
  return errors;
}

}  // namespace xmppd
